"""What an experiment can find with the units it has, and how long it takes to find more.

By the fixed test at 80 % power, from the results' own intervals and from how many units came of
late (:mod:`anabranch.metrics.duration`).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, isfinite
from typing import Any, Final

from anabranch.metrics.duration import expected_duration, variance_of_mean
from anabranch.metrics.power import least_difference
from anabranch.specs import ExperimentSpec, Status, SuccessMetric

__all__ = ["LIFTS", "POWER", "outlook"]

POWER: Final = 0.8

LIFTS: Final = (0.02, 0.05, 0.1)
"""Relative differences whose days are told."""

_OVER: Final = {Status.DRAFT, Status.COMPLETED, Status.RETIRED}
_DAY_MS: Final = 86_400_000


def outlook(
    results: Mapping[str, Any], spec: ExperimentSpec | None, per_day: float, now_ms: int
) -> dict[str, Any] | None:
    """What is to be expected of every comparison.

    Args:
        results: As the results topic has them.
        spec: The run's; None where it is not known.
        per_day: New units of the experiment in a day of late.
        now_ms: For the days until the schedule's end.

    Returns:
        None for what takes no units any more, else ``{"perDay", "endsIn": days | None,
        "comparisons": [{"metric", "variant", "why": text | None, "least", "relative",
        "atEnd": least difference at the schedule's end | None,
        "lifts": [{"lift", "days": n | None}], "target": {"value", "days"} | None}]}``; ``days`` is
        0 where there are enough units, and null where they would never come.
    """
    if spec is not None and spec.status in _OVER:
        return None
    end = spec.schedule.end if spec is not None and spec.schedule is not None else None
    left = None if end is None else max(0.0, end.timestamp() * 1000 - now_ms) / _DAY_MS
    total = sum(arm["units"] for arm in results["variants"])
    metrics = {} if spec is None else spec.metrics_by_name
    return {
        "perDay": per_day,
        "endsIn": left,
        "comparisons": [
            one
            for metric in results["metrics"]
            for one in _comparisons(
                metric, results["control"], metrics.get(metric["name"]), total, per_day, left
            )
        ],
    }


def _comparisons(
    metric: Mapping[str, Any],
    control: str,
    spec: SuccessMetric | None,
    total: int,
    per_day: float,
    left: float | None,
) -> Iterator[dict[str, Any]]:
    arms = {arm["id"]: arm for arm in metric["variants"]}
    theirs = arms[control]
    for comparison in metric["comparisons"]:
        ours = arms[comparison["variant"]]
        found = {"metric": metric["name"], "variant": ours["id"], "why": None}
        base = theirs["value"] if metric["aggregation"] == "ratio" else theirs["mean"]
        if ours.get("interval") is None or theirs.get("interval") is None:
            quantile = metric["aggregation"].startswith("p") and comparison["sequential"]
            why = (
                "the formula is of means and ratios, not of percentiles"
                if quantile
                else "too little data so far"
            )
            yield found | {"why": why}
            continue
        kept = 1 - (comparison.get("adjustment") or {}).get("varianceReduction", 0.0)
        units = ours["units"], theirs["units"]
        variances = kept * _variance(ours), kept * _variance(theirs)
        if not sum(variances):
            yield found | {"why": "all units did the same so far"}
            continue
        # These arms' part of the new units.
        rate = per_day * sum(units) / total if total else 0.0
        least = least_difference(units=units, variances=variances, power=POWER)
        yield found | {
            "least": least,
            "relative": least / abs(base) if base else None,
            "atEnd": _at_end(units, variances, rate, left),
            "lifts": [
                {"lift": lift, "days": _days(lift * abs(base), units, variances, rate)}
                for lift in LIFTS
            ]
            if base
            else [],
            "target": _target(metric, spec, base, units, variances, rate),
        }


def _variance(arm: Mapping[str, Any]) -> float:
    return variance_of_mean(arm["interval"]["low"], arm["interval"]["high"], arm["units"])


def _days(
    difference: float, units: tuple[int, int], variances: tuple[float, float], rate: float
) -> float | None:
    try:
        days = expected_duration(
            difference, units=units, variances=variances, per_day=rate, power=POWER
        ).days
    except ValueError:  # more units than there are people
        return None
    return days if isfinite(days) else None


def _at_end(
    units: tuple[int, int], variances: tuple[float, float], rate: float, left: float | None
) -> float | None:
    if not left or left == inf:
        return None
    more = 1 + rate * left / sum(units)
    return least_difference(
        units=(units[0] * more, units[1] * more), variances=variances, power=POWER
    )


def _target(
    metric: Mapping[str, Any],
    spec: SuccessMetric | None,
    base: float | None,
    units: tuple[int, int],
    variances: tuple[float, float],
    rate: float,
) -> dict[str, Any] | None:
    """Of metrics whose own value is what arms are compared by."""
    compared = {"unique", "funnel", "ratio"}
    if spec is None or spec.target is None or base is None or metric["aggregation"] not in compared:
        return None
    difference = spec.target - base
    there = difference <= 0 if spec.direction == "increase" else difference >= 0
    days = 0.0 if there else _days(abs(difference), units, variances, rate)
    return {"value": spec.target, "days": days}
