"""A table with a row for each unit: the results that the pipeline would come to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from anabranch.analysis.frames import Frame, columns_of
from anabranch.analysis.report import Analysis
from anabranch.errors import EventSchemaError
from anabranch.events.models import Results
from anabranch.metrics.exact import EXACT, Exact, add, check, decimal, multiply
from anabranch.metrics.moments import Moments
from anabranch.metrics.sketch import bin_of
from anabranch.processors.reports import Arm, results
from anabranch.specs import Aggregation, ExperimentSpec
from anabranch.specs.explain import nearest

__all__ = ["UnitMetric", "read_units"]

_EVENT: Final = {"key": "unit.total", "version": "1.0.0"}


@dataclass(frozen=True, slots=True)
class UnitMetric:
    """A metric of a table with a row for each unit.

    Attributes:
        column: The unit's total; 0 or missing if it did nothing.
        aggregation: As of a success metric, as far as totals can tell: with ``unique`` a total but
            0 counts as 1, and quantiles are over units.
        before: Column with what the unit did before, to adjust for (a covariate, CUPED).
        over: Column with the denominator, of a ratio.
        lower: Least total that counts (winsorizing).
        upper: Greatest total that counts.
    """

    column: str
    aggregation: Aggregation = "sum"
    before: str | None = None
    over: str | None = None
    lower: float | None = None
    upper: float | None = None


def read_units(
    frame: Frame,
    *,
    variant: str,
    control: str,
    metrics: Mapping[str, str | UnitMetric],
    shares: Mapping[str, float] | None = None,
    experiment: str = "units",
    as_of: datetime | None = None,
) -> Analysis:
    """Results of a table that has a row for each unit.

    Args:
        frame: Of pandas or polars, or a mapping of column names to values.
        variant: Column that names each unit's variant.
        control: The variant that others are compared with.
        metrics: Name to what is measured; a column's name alone is its sum.
        shares: Weight of each variant, for the sample ratio; equal ones when not given.
        experiment: What to call it.
        as_of: When the table was made; 1970 when not given.

    Raises:
        EventSchemaError: A column is not there or holds what no metric takes.
        SpecValidationError: The metrics or the control make no experiment.
    """
    columns = columns_of(frame)
    asked = {
        name: UnitMetric(metric) if isinstance(metric, str) else metric
        for name, metric in metrics.items()
    }
    # Tables call their variants what they like, specs do not: in between they are numbered.
    ids = _ids(_column(columns, variant), control)
    arms_of_rows = [ids[str(value)] for value in columns[variant]]
    weights = dict.fromkeys(ids, 1.0) if shares is None else shares
    spec = _spec(experiment, ids[control], {ids[name]: weights.get(name, 0) for name in ids}, asked)
    counts = Counter(arms_of_rows)
    arms = {arm: Arm(counts[arm], 0, {}) for arm in ids.values()}
    for name, metric in asked.items():
        moments = _moments(columns, arms_of_rows, metric)
        for arm_id, arm in arms.items():
            arm.moments = {**arm.moments, name: moments.get(arm_id, Moments())}
    at = 0 if as_of is None else round(as_of.timestamp() * 1000)
    return Analysis([_named(results(spec, arms, at), {arm: name for name, arm in ids.items()})])


def _ids(variants: Sequence[Any], control: str) -> dict[str, str]:
    """What the table calls its variants to their ids, control first."""
    for number, value in enumerate(variants):
        if value is None:
            raise EventSchemaError(f"row {number} has no variant: leave such units out")
    names = {str(value) for value in variants}
    if control not in names:
        raise EventSchemaError(
            f"no unit has the variant {control!r}, which is to be the control: "
            f"{nearest(control, names)}"
        )
    return {name: f"v{n}" for n, name in enumerate([control, *sorted(names - {control})])}


def _named(found: Results, names: Mapping[str, str]) -> Results:
    """With the variants called what the table calls them."""
    found.control = names[found.control]
    found.srm.expected = {names[arm]: share for arm, share in found.srm.expected.items()}
    for arm in found.variants:
        arm.id = names[arm.id]
    for metric in found.metrics:
        for figures in metric.variants:
            figures.id = names[figures.id]
        for comparison in metric.comparisons:
            comparison.variant = names[comparison.variant]
            comparison.control = names[comparison.control]
    return found


def _spec(
    experiment: str,
    control: str,
    weights: Mapping[str, float],
    metrics: Mapping[str, UnitMetric],
) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "meta": {
                "key": experiment,
                "version": "1.0.0",
                "title": experiment,
                "description": "a table of units",
                "domain": "analysis",
                "owners": ["@analysis"],
                "tags": [],
                "stability": "experimental",
            },
            "control_variant": control,
            "variants": [{"id": arm, "weight": weight} for arm, weight in weights.items()],
            "allocation": {"type": "random"},
            "success_metrics": [_metric(name, metric) for name, metric in metrics.items()],
        }
    )


def _metric(name: str, metric: UnitMetric) -> dict[str, Any]:
    told: dict[str, Any] = {
        "name": name,
        "telemetry_event": _EVENT,
        "aggregation": metric.aggregation,
    }
    if metric.aggregation in {"sum", "avg"} or metric.aggregation.startswith("p"):
        told["property"] = metric.column
    if metric.aggregation.startswith("p"):
        told["per"] = "unit"
    if metric.over is not None:
        told["denominator"] = {"telemetry_event": _EVENT, "property": metric.over}
    if metric.before is not None:
        told["covariate"] = {"window": 1}
    if metric.lower is not None or metric.upper is not None:
        told["winsorize"] = {"lower": metric.lower, "upper": metric.upper}
    return told


def _column(columns: Mapping[str, list[Any]], name: str) -> list[Any]:
    found = columns.get(name)
    if found is None:
        raise EventSchemaError(f"there is no column {name!r}: there are {', '.join(columns)}")
    return found


def _numbers(columns: Mapping[str, list[Any]], name: str) -> list[Exact]:
    """The column's values as exact numbers; a missing one is 0, a boolean 0 or 1."""
    exact: list[Exact] = []
    for number, value in enumerate(_column(columns, name)):
        plain = 0 if value is None else int(value) if isinstance(value, bool) else value
        exact.append(decimal(check(plain, f"row {number} of column {name!r}")))
    return exact


def _moments(
    columns: Mapping[str, list[Any]], arms: Sequence[str], metric: UnitMetric
) -> dict[str, Moments]:
    beside = metric.over or metric.before
    totals = _numbers(columns, metric.column)
    others: Sequence[Exact] = [0] * len(totals) if beside is None else _numbers(columns, beside)
    found: dict[str, Moments] = {}
    for arm, total, other in zip(arms, totals, others, strict=True):
        moments = found.setdefault(arm, Moments())
        worth = _worth(metric, total)
        if total:
            moments.converted += 1
            moments.events += int(total) if metric.aggregation == "count" else 1
            moments.sum = add(moments.sum, total)
            moments.event_squares = add(moments.event_squares, multiply(total, total))
            moments.sum_squares = add(moments.sum_squares, multiply(worth, worth))
            if metric.lower is not None or metric.upper is not None:
                moments.capped = add(moments.capped, worth)
            if metric.aggregation.startswith("p"):
                bin_name = bin_of(float(total))
                moments.bins[bin_name] = moments.bins.get(bin_name, 0) + 1
        if other:
            moments.beside = add(moments.beside, other)
            moments.beside_squares = add(moments.beside_squares, multiply(other, other))
            moments.cross = add(moments.cross, multiply(worth, other))
    return found


def _worth(metric: UnitMetric, total: Exact) -> Exact:
    """What a unit's total enters the comparison as."""
    if metric.aggregation == "unique":
        return 1 if total else 0
    if metric.lower is not None:
        total = EXACT.max(total, decimal(metric.lower))
    if metric.upper is not None:
        total = EXACT.min(total, decimal(metric.upper))
    return total
