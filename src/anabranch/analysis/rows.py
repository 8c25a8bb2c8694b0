"""Results as rows of plain values: what every data frame is made of."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import msgspec

from anabranch.events.cloudevents import parse_time
from anabranch.events.models import Bounds, Comparison, Interval, MetricResult, Results

__all__ = ["Row", "comparison_rows", "figure_rows", "moment", "split_rows"]

Row = dict[str, Any]
"""Column to value; rows of one table have the same columns in the same order."""


def moment(results: Results) -> datetime:
    """The results' ``as_of``: the greatest event time counted."""
    return datetime.fromtimestamp(parse_time(results.as_of) / 1000, UTC)


def _run(results: Results) -> Row:
    return {
        "experiment": results.experiment,
        "version": results.version,
        "as_of": moment(results),
    }


def split_rows(runs: Iterable[Results]) -> list[Row]:
    """A row for each variant: units, crossovers, and the sample ratio of its run."""
    return [
        {
            **_run(results),
            "variant": arm.id,
            "is_control": arm.id == results.control,
            "units": arm.units,
            "crossovers": arm.crossovers,
            "expected_share": results.srm.expected.get(arm.id),
            "srm_sequential_p_value": results.srm.sequential_p_value,
            "srm_fixed_p_value": results.srm.p_value,
        }
        for results in runs
        for arm in results.variants
    ]


def figure_rows(runs: Iterable[Results]) -> list[Row]:
    """A row for each metric and variant: what the units did."""
    return [
        {
            **_run(results),
            "metric": metric.name,
            "aggregation": metric.aggregation,
            "variant": arm.id,
            "units": arm.units,
            "events": arm.events,
            "converted": arm.converted,
            "rate": arm.rate,
            "sum": arm.sum,
            "mean": arm.mean,
            "event_mean": arm.event_mean,
            "value": arm.value,
            "denominator": arm.denominator,
            "steps": arm.steps,
            **_bounds("mean", arm.interval),
            "probability_best": arm.probability_best,
            "excluded": None if arm.excluded is msgspec.UNSET else arm.excluded,
        }
        for results in runs
        for metric in results.metrics
        for arm in metric.variants
    ]


def comparison_rows(runs: Iterable[Results]) -> list[Row]:
    """A row for each metric and variant but control: the difference and its intervals."""
    return [
        _comparison(results, metric, comparison)
        for results in runs
        for metric in results.metrics
        for comparison in metric.comparisons
    ]


def _comparison(results: Results, metric: MetricResult, comparison: Comparison) -> Row:
    adjustment, lift = comparison.adjustment, comparison.lift
    adjusted = None if adjustment is msgspec.UNSET else adjustment
    return {
        **_run(results),
        "metric": metric.name,
        "aggregation": metric.aggregation,
        "variant": comparison.variant,
        "control": comparison.control,
        "difference": comparison.difference,
        "relative_lift": comparison.relative_lift,
        **_bounds("relative_lift", None if lift is msgspec.UNSET else lift.sequential),
        **_interval("sequential", comparison.sequential),
        **_interval("fixed", comparison.fixed),
        "unadjusted_difference": None if adjusted is None else adjusted.difference,
        "variance_reduction": None if adjusted is None else adjusted.variance_reduction,
    }


def _bounds(name: str, bounds: Bounds | None) -> Row:
    """95 %, valid at any time."""
    return {
        f"{name}_low": None if bounds is None else bounds.low,
        f"{name}_high": None if bounds is None else bounds.high,
    }


def _interval(name: str, interval: Interval | None) -> Row:
    return {
        f"{name}_low": None if interval is None else interval.low,
        f"{name}_high": None if interval is None else interval.high,
        f"{name}_p_value": None if interval is None else interval.p_value,
    }
