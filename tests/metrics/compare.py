"""What a pipeline published, held against what the oracle computed from all events at once."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from fractions import Fraction

from anabranch.metrics.moments import Moments
from anabranch.metrics.results import contrast

SIZES = {"1m": 60_000, "1h": 3_600_000, "1d": 86_400_000}


def check_results(results, expected, spec):
    """Figures of every arm and every comparison of a run."""
    assert {v["id"]: v["units"] for v in results["variants"] if v["units"]} == expected["units"]
    assert {v["id"]: v["crossovers"] for v in results["variants"] if v["crossovers"]} == (
        expected["crossovers"]
    )
    assert [metric["name"] for metric in results["metrics"]] == list(spec.metrics_by_name)
    for metric in results["metrics"]:
        for arm in metric["variants"]:
            _check_arm(metric, arm, expected["metrics"].get((arm["id"], metric["name"])))
        _check_comparisons(spec.metrics_by_name[metric["name"]], metric, results, expected)


def check_segments(found, expected, spec):
    """The latest results of every segment; those that every unit has left are at zero."""
    known = {
        (one["segment"]["attribute"], one["segment"]["value"]): one
        for key, one in found.items()
        if key.startswith(f"{spec.key}|{spec.version}|".encode())
    }
    assert {*known} >= {*expected["segments"]}
    nothing = {"units": {}, "metrics": {}}
    for at, results in known.items():
        check_results(results, {"crossovers": {}, **expected["segments"].get(at, nothing)}, spec)


def _check_arm(metric, arm, figures):
    converted, events, total, *_, excluded = figures or [0] * 13
    assert arm.get("excluded", 0) == excluded
    beside = figures[7] if figures else 0
    if metric["aggregation"] == "unique":
        total = converted
    assert (arm["converted"], arm["events"]) == (converted, events)
    assert arm["sum"] == float(total)
    if metric["aggregation"] == "ratio":
        assert arm["denominator"] == float(beside)
        assert arm["value"] == (float(Fraction(total) / beside) if beside else None)
    if metric["aggregation"] == "funnel":
        bins = figures[5] if figures else {}
        for step, took in enumerate(arm["steps"], start=1):
            assert took == sum(n for last, n in bins.items() if int(last) >= step)


def _check_comparisons(spec, metric, results, expected):
    """Every comparison is what the moments of a batch recomputation give."""
    units = {arm["id"]: arm["units"] for arm in results["variants"]}
    arms = {
        arm: (count - moments.excluded, moments)
        for arm, count in units.items()
        for moments in (Moments(*expected["metrics"].get((arm, spec.name), ())),)
    }
    for comparison in metric["comparisons"]:
        found = contrast(
            spec.aggregation,
            arms[comparison["variant"]],
            arms[comparison["control"]],
            winsorized=spec.winsorize is not None,
            adjusted=spec.covariate is not None,
            per_unit=spec.per == "unit",
        )
        assert comparison["difference"] == found.difference
        assert comparison["relativeLift"] == found.relative_lift
        for name in ("fixed", "sequential"):
            interval, told = getattr(found, name), comparison[name]
            assert (told is None) == (interval is None)
            if told is not None:
                figures = interval.low, interval.high, interval.p_value
                assert (told["low"], told["high"], told["pValue"]) == figures
        adjustment = comparison.get("adjustment")
        assert (adjustment is None) == (found.adjustment is None)
        if adjustment is not None:
            assert adjustment["theta"] == found.adjustment.theta


def window_counts(cells, spec):
    """Published windows as the oracle counts them."""
    counts = Counter()
    for cell in cells:
        if (cell["experiment"], cell["version"]) != (spec.key, spec.version):
            continue
        size = SIZES[cell["window"]["size"]]
        start = int(datetime.fromisoformat(cell["window"]["start"]).timestamp() * 1000)
        if cell["metric"] == "$exposures":
            counts["exposures", size, start, cell["variant"]] += cell["units"]
            continue
        for name in ("units", "events"):
            counts[name, size, start, cell["variant"], cell["metric"]] += cell[name]
    return {at: count for at, count in counts.items() if count}


def expected_counts(expected):
    return {at: count for at, count in expected["windows"].items() if at[0] != "bins"}
