"""Results as tables in the terminal, intervals drawn to scale."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

import msgspec
from rich.console import RenderableType
from rich.markup import escape
from rich.text import Text

from anabranch.cli.console import out, table
from anabranch.cli.intervals import Scale, draw
from anabranch.events.models import (
    Comparison,
    Interval,
    MetricResult,
    MetricVariantResult,
    Results,
    SampleRatio,
)
from anabranch.runtime.replaying import decode_results

PLANNED_END: Final = "valid at its planned end only"
"""Said of the fixed intervals; the others may be looked at as often as one likes."""

_BOTH_FIT: Final = 150
"""Columns below which a table shows the sequential interval alone."""

_DRAWING: Final = "[dim]│ no difference[/]"
_DRAWN: Final = 100
"""Columns below which intervals are not drawn."""


def show_results(values: Iterable[bytes]) -> None:
    """Print the values of the ``results`` topic, one section a run."""
    shown = False
    for value in values:
        shown = True
        for part in rendered(decode_results(value), out.width):
            out.print(part, highlight=False)
    if not shown:
        out.print("no results: no unit was exposed to an experiment")


def rendered(results: Results, width: int) -> Iterator[RenderableType]:
    """A run's results as what the console prints, part by part.

    Args:
        results: Of one run.
        width: Columns there are; a narrow terminal gets the sequential interval as figures only.
    """
    segment = results.segment
    part = "" if segment is msgspec.UNSET else escape(f" · {segment.attribute} = {segment.value}")
    yield _marked(
        f"\n[bold]{results.experiment}[/] {results.version}{part}   as of {results.as_of}"
    )
    harms = _harms(results)
    arms = table(
        "variant",
        *(("status",) if harms else ()),
        figures=("units", "expected share", "crossovers"),
    )
    for arm in results.variants:
        share = results.srm.expected.get(arm.id)
        arms.add_row(
            _arm(arm.id, results.control),
            *((harms.get(arm.id, "ok"),) if harms else ()),
            f"{arm.units:,}",
            "" if share is None else f"{share:.4f}",
            f"{arm.crossovers:,}",
        )
    yield arms
    yield from _sample_ratio(results.srm)
    for metric in results.metrics:
        yield from _metric(metric, results.control, width)


def _harms(results: Results) -> dict[str, str]:
    """Variants that harm a guardrail, and which they harm."""
    found: dict[str, list[str]] = {}
    for breach in results.breaches or ():
        if breach.variant is not None and breach.metric is not None:
            found.setdefault(breach.variant, []).append(escape(breach.metric))
    return {variant: f"[red]harms {', '.join(names)}[/]" for variant, names in found.items()}


def _marked(text: str) -> Text:
    return Text.from_markup(text)


def _sample_ratio(ratio: SampleRatio) -> Iterator[RenderableType]:
    at_any_time = ratio.sequential_p_value
    if at_any_time is None:
        return
    verdict = "[red]sample ratio mismatch[/]" if at_any_time < 0.001 else "no sign of a mismatch"
    fixed = (
        ""
        if ratio.p_value is None
        else f" [dim](chi-square: p = {ratio.p_value:.4g}, {PLANNED_END})[/]"
    )
    yield _marked(f"sample ratio: p = {at_any_time:.4g}, {verdict}{fixed}")


def _metric(metric: MetricResult, control: str, width: int) -> Iterator[RenderableType]:
    yield _marked(f"\n[bold]{escape(metric.name)}[/] ({metric.aggregation})")
    comparisons = {c.variant: c for c in metric.comparisons}
    scale = Scale.of(c.sequential for c in metric.comparisons)
    drawn = width >= _DRAWN and scale is not None
    once = width >= _BOTH_FIT and any(c.fixed for c in metric.comparisons)
    figures = _figures(metric.aggregation)
    comparing = table(
        "variant",
        figures=(
            *figures,
            "lift",
            "95 % at any time",
            *((_DRAWING,) if drawn else ()),
            "p",
            *((f"[dim]fixed: {PLANNED_END}[/]",) if once else ()),
        ),
    )
    for column in comparing.columns:
        if column.header == _DRAWING:
            column.justify = "left"  # to the right, blanks at a drawing's end would be lost
    for arm in metric.variants:
        comparing.add_row(
            _arm(arm.id, control),
            *(read(arm) for read in figures.values()),
            *_comparison(comparisons.get(arm.id), scale if drawn else None, once=once),
        )
    yield comparing
    yield from _excluded(metric)
    yield from _adjustments(metric, comparisons)


def _excluded(metric: MetricResult) -> Iterator[RenderableType]:
    """Who the metric leaves out, where it leaves anybody out."""
    told = {arm.id: arm.excluded for arm in metric.variants if arm.excluded is not msgspec.UNSET}
    if told:
        of_arms = ", ".join(f"{arm} {n:,}" for arm, n in told.items())
        yield _marked(f"[dim]left out, for they did it before their exposure: {of_arms}[/]")


def _adjustments(
    metric: MetricResult, comparisons: Mapping[str, Comparison]
) -> Iterator[RenderableType]:
    for arm in metric.variants:
        comparison = comparisons.get(arm.id)
        adjustment = msgspec.UNSET if comparison is None else comparison.adjustment
        if adjustment is not msgspec.UNSET:
            yield _marked(
                f"{arm.id}: adjusted for what units did before, which takes "
                f"{adjustment.variance_reduction:.1%} of the variance away "
                f"(unadjusted difference {_number(adjustment.difference)})"
            )


def _figures(aggregation: str) -> dict[str, Callable[[MetricVariantResult], str]]:
    """The columns that tell something about a metric of this kind."""
    if aggregation in {"count", "unique"}:
        return {
            "events": lambda arm: f"{arm.events:,}",
            "converted": lambda arm: f"{arm.converted:,}",
            "rate": lambda arm: _number(arm.rate),
        }
    if aggregation in {"avg", "sum"}:
        return {
            "events": lambda arm: f"{arm.events:,}",
            "sum": lambda arm: f"{arm.sum:,.2f}",
            "/ unit": lambda arm: _number(arm.mean),
            "/ event": lambda arm: _number(arm.event_mean),
        }
    if aggregation == "funnel":
        return {
            "units at each step": lambda arm: " > ".join(f"{n:,}" for n in arm.steps or ()),
            "rate": lambda arm: _number(arm.rate),
        }
    if aggregation == "ratio":
        return {
            "numerator": lambda arm: f"{arm.sum:,.6g}",
            "denominator": lambda arm: _number(arm.denominator),
            "ratio": lambda arm: _number(arm.value),
        }
    return {
        "events": lambda arm: f"{arm.events:,}",
        aggregation: lambda arm: _number(arm.value),
    }


def _comparison(
    comparison: Comparison | None, scale: Scale | None, *, once: bool
) -> tuple[RenderableType, ...]:
    """Lift, interval and p-value at any time, and the drawing and fixed ones if there is room."""
    if comparison is None:
        return ("", "", "")
    lift = comparison.relative_lift
    ends, p_value = _interval(comparison.sequential)
    return (
        _number(comparison.difference) if lift is None else f"{lift:+.1%}",
        ends,
        *(() if scale is None else (draw(comparison, scale),)),
        p_value,
        *((f"[dim]{'  '.join(_interval(comparison.fixed))}[/]",) if once else ()),
    )


def _interval(found: Interval | None) -> tuple[str, str]:
    if found is None:
        return ("", "")
    return (f"{found.low:+.3g} … {found.high:+.3g}", f"{found.p_value:.2g}")


def _arm(name: str, control: str) -> str:
    return f"{name} [dim](control)[/]" if name == control != "control" else name


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.5g}"
