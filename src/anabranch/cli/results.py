"""Results as tables in the terminal."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec
from rich.table import Table

from anabranch.cli.console import out
from anabranch.events.models import Comparison, MetricResult, Results


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
    arms = Table("variant", "units", "expected share", "crossovers")
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
    table = Table(
        "variant", "units", "events", "converted", "rate", "sum", "per unit", "value",
        "difference", "lift", "95 % interval", "p",
        title=f"{metric.name} ({metric.aggregation})",
        title_justify="left",
    )  # fmt: skip
    comparisons = {c.variant: c for c in metric.comparisons}
    for arm in metric.variants:
        table.add_row(
            _arm(arm.id, control),
            f"{arm.units:,}",
            f"{arm.events:,}",
            f"{arm.converted:,}",
            _number(arm.rate),
            f"{arm.sum:,.2f}",
            _number(arm.mean),
            _number(arm.value),
            *_comparison(comparisons.get(arm.id)),
        )
    out.print(table)


def _comparison(comparison: Comparison | None) -> tuple[str, str, str, str]:
    if comparison is None:
        return ("", "", "", "")
    fixed = comparison.fixed
    lift = comparison.relative_lift
    return (
        _number(comparison.difference),
        "" if lift is None else f"{lift:+.2%}",
        "" if fixed is None else f"{fixed.low:.6g} … {fixed.high:.6g}",
        "" if fixed is None else f"{fixed.p_value:.3g}",
    )


def _arm(name: str, control: str) -> str:
    return f"{name} (control)" if name == control else name


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:,.6f}".rstrip("0").rstrip(".")
