"""Results as tables in the terminal."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from anabranch.cli.console import out, table
from anabranch.events.models import Comparison, MetricResult, MetricVariantResult, Results


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
    p_value = results.srm.p_value
    if p_value is not None:
        verdict = "[red]sample ratio mismatch[/]" if p_value < 0.001 else "no sign of a mismatch"
        out.print(f"sample ratio: p = {p_value:.4g}, {verdict}", highlight=False)
    for metric in results.metrics:
        _show_metric(metric, results.control)


def _show_metric(metric: MetricResult, control: str) -> None:
    figures = _figures(metric.aggregation)
    out.print(f"\n[bold]{metric.name}[/] ({metric.aggregation})", highlight=False)
    comparing = table("variant", figures=(*figures, "lift", "95 % of difference", "p"))
    comparisons = {c.variant: c for c in metric.comparisons}
    for arm in metric.variants:
        comparing.add_row(
            _arm(arm.id, control),
            *(read(arm) for read in figures.values()),
            *_comparison(comparisons.get(arm.id)),
        )
    out.print(comparing)


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
    return {
        "events": lambda arm: f"{arm.events:,}",
        aggregation: lambda arm: _number(arm.value),
    }


def _comparison(comparison: Comparison | None) -> tuple[str, str, str]:
    if comparison is None:
        return ("", "", "")
    fixed, lift = comparison.fixed, comparison.relative_lift
    change = _number(comparison.difference) if lift is None else f"{lift:+.1%}"
    if fixed is None:
        return (change, "", "")
    return (change, f"{fixed.low:+.3g} … {fixed.high:+.3g}", f"{fixed.p_value:.2g}")


def _arm(name: str, control: str) -> str:
    return f"{name} [dim](control)[/]" if name == control != "control" else name


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.5g}"
