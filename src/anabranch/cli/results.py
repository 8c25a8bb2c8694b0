"""Results as tables in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

import msgspec

from anabranch.cli.console import out, table
from anabranch.events.models import (
    Comparison,
    Interval,
    MetricResult,
    MetricVariantResult,
    Results,
    SampleRatio,
)

PLANNED_END: Final = "valid at its planned end only"
"""Said of the fixed intervals; the others may be looked at as often as one likes."""

_BOTH_FIT: Final = 120
"""Columns below which a table shows the sequential interval alone."""


def show_results(values: Iterable[bytes]) -> None:
    """Print the values of the ``results`` topic, one section a run."""
    shown = False
    for value in values:
        shown = True
        _show(msgspec.json.decode(value, type=Results))
    if not shown:
        out.print("no results: no unit was exposed to an experiment")


def _show(results: Results) -> None:
    out.print(
        f"\n[bold]{results.experiment}[/] {results.version}   as of {results.as_of}",
        highlight=False,
    )
    arms = table("variant", figures=("units", "expected share", "crossovers"))
    for arm in results.variants:
        share = results.srm.expected.get(arm.id)
        arms.add_row(
            _arm(arm.id, results.control),
            f"{arm.units:,}",
            "" if share is None else f"{share:.4f}",
            f"{arm.crossovers:,}",
        )
    out.print(arms)
    _show_sample_ratio(results.srm)
    for metric in results.metrics:
        _show_metric(metric, results.control)


def _show_sample_ratio(ratio: SampleRatio) -> None:
    at_any_time = ratio.sequential_p_value
    if at_any_time is None:
        return
    verdict = "[red]sample ratio mismatch[/]" if at_any_time < 0.001 else "no sign of a mismatch"
    fixed = (
        ""
        if ratio.p_value is None
        else f" [dim](chi-square: p = {ratio.p_value:.4g}, {PLANNED_END})[/]"
    )
    out.print(f"sample ratio: p = {at_any_time:.4g}, {verdict}{fixed}", highlight=False)


def _show_metric(metric: MetricResult, control: str) -> None:
    figures = _figures(metric.aggregation)
    out.print(f"\n[bold]{metric.name}[/] ({metric.aggregation})", highlight=False)
    columns = ("lift", "95 % at any time", "p")
    once = out.width >= _BOTH_FIT and any(c.fixed for c in metric.comparisons)
    comparing = table(
        "variant",
        figures=(*figures, *columns, *((f"[dim]fixed: {PLANNED_END}[/]",) if once else ())),
    )
    comparisons = {c.variant: c for c in metric.comparisons}
    for arm in metric.variants:
        comparing.add_row(
            _arm(arm.id, control),
            *(read(arm) for read in figures.values()),
            *_comparison(comparisons.get(arm.id), once=once),
        )
    out.print(comparing)
    for comparison in metric.comparisons:
        adjustment = comparison.adjustment
        if adjustment is not msgspec.UNSET:
            out.print(
                f"{comparison.variant}: adjusted for what units did before, which takes "
                f"{adjustment.variance_reduction:.1%} of the variance away "
                f"(unadjusted difference {_number(adjustment.difference)})",
                highlight=False,
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


def _comparison(comparison: Comparison | None, *, once: bool) -> tuple[str, ...]:
    """Lift, interval and p-value at any time, and the fixed ones if there is room for them."""
    if comparison is None:
        return ("", "", "")
    lift = comparison.relative_lift
    return (
        _number(comparison.difference) if lift is None else f"{lift:+.1%}",
        *_interval(comparison.sequential),
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
