"""What should come out, computed from all events at once, in the plainest way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from itertools import combinations
from typing import Any
from zoneinfo import ZoneInfo

from anabranch.metrics.sketch import bin_of
from anabranch.metrics.windows import Days
from anabranch.specs import ExperimentSpec, SuccessMetric, metric_property
from tests.metrics.shop import CATALOG

ZONE = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True)
class Shown:
    """An exposure."""

    experiment: str
    variant: str
    unit: str
    time: int
    version: str = ""
    """That of the shop's first of the experiment where it is not given."""
    country: str = "other"
    """The segment that the exposure names, where the experiment has such."""


@dataclass(frozen=True)
class Did:
    """An observation; the same id is the same event."""

    id: int
    event: str
    unit: str
    time: int
    properties: tuple[tuple[str, Any], ...] = ()


@dataclass
class Metric:
    converted: int = 0
    events: int = 0
    sum: Fraction = Fraction(0)
    sum_squares: Fraction = Fraction(0)
    event_squares: Fraction = Fraction(0)
    bins: Counter[str] = field(default_factory=Counter)
    capped: Fraction = Fraction(0)
    beside: Fraction = Fraction(0)
    beside_squares: Fraction = Fraction(0)
    cross: Fraction = Fraction(0)
    pairs: Counter[str] = field(default_factory=Counter)
    others: Counter[str] = field(default_factory=Counter)
    excluded: int = 0

    def take(
        self, metric: SuccessMetric, counted: list[tuple[int, Any]], second: list[tuple[int, Any]]
    ) -> None:
        """A unit: times and values of what counts, and of its second total."""
        exact = [Fraction(repr(value)) for _, value in counted]
        worth = _worth(metric, exact)
        beside = sum((Fraction(repr(value)) for _, value in second), Fraction(0))
        self.beside += beside
        self.beside_squares += beside**2
        self.cross += worth * beside
        if metric.winsorize:
            self.capped += worth
        self.converted += bool(counted)
        self.events += len(counted)
        self.sum += sum(exact)
        self.sum_squares += worth**2 if metric.winsorize else sum(exact) ** 2
        self.event_squares += sum(value**2 for value in exact)
        if metric.per == "unit" and counted:
            self.bins[bin_of(float(sum(exact)))] += 1
        elif metric.aggregation.startswith("p"):
            values = [value for _, value in counted]
            self.bins.update(map(bin_of, values))
            self.pairs.update(bin_of(max(pair)) for pair in combinations(values, 2))
            self.others.update(bin_of(value) for value in values for _ in values[1:])

    def walked(self, metric: SuccessMetric, times: list[int]) -> None:
        """A unit: when it took each step of a funnel that it took."""
        if times:
            self.bins[str(len(times))] += 1
        if len(times) == len(metric.steps) + 1:
            self.converted += 1
            self.events += 1
            self.sum += 1

    @property
    def figures(self) -> tuple[Any, ...]:
        return (
            self.converted,
            self.events,
            self.sum,
            self.sum_squares,
            self.event_squares,
            dict(self.bins),
            self.capped,
            self.beside,
            self.beside_squares,
            self.cross,
            dict(self.pairs),
            dict(self.others),
            self.excluded,
        )


def recompute(
    events: Iterable[Shown | Did], spec: ExperimentSpec, sizes: Iterable[int] = (60_000,)
) -> dict[str, Any]:
    """Everything about one run, zeros left out."""
    distinct = set(events)
    by_unit: dict[str, list[Shown | Did]] = defaultdict(list)
    for event in distinct:
        by_unit[event.unit].append(event)
    units: Counter[str] = Counter()
    crossovers: Counter[str] = Counter()
    metrics: dict[tuple[str, str], Metric] = defaultdict(Metric)
    windows: Counter[tuple[Any, ...]] = Counter()
    window_sums: dict[tuple[Any, ...], Fraction] = defaultdict(Fraction)
    segments: dict[tuple[str, str], list[Any]] = defaultdict(list)
    as_of = None
    for happened in by_unit.values():
        all_shown = [e for e in happened if isinstance(e, Shown) and e.experiment == spec.key]
        shown = [e for e in all_shown if version_of(e) == spec.version]
        if not shown:
            continue
        closed = min(
            (e.time for e in all_shown if version_of(e) > spec.version), default=float("inf")
        )
        used = {ref.key for m in spec.success_metrics for ref in _events(m)}
        did = [e for e in happened if isinstance(e, Did) and e.event in used]
        as_of = max([as_of or 0, *(e.time for e in [*shown, *did])])
        variants = {e.variant for e in shown}
        if len(variants) > 1:
            crossovers.update(variants)
            continue
        (variant,) = variants
        first = min(e.time for e in shown)
        units[variant] += 1
        for attribute in (segment.attribute for segment in spec.segments):
            value = min(e.country for e in shown if e.time == first)
            segments[attribute, value] += happened
        for size in sizes:
            windows["exposures", size, opens(first, size), variant] += 1
        for metric in spec.success_metrics:
            prop = metric_property(metric, CATALOG.telemetry)
            end = closed if metric.window is None else min(first + metric.window * 1000, closed)
            begin = first + (metric.after or 0) * 1000
            if metric.steps:
                times = _steps(did, metric, begin, end)
                metrics[variant, metric.name].walked(metric, times)
                if len(times) == len(metric.steps) + 1:
                    last = [(times[-1], 1)]
                    _into_windows(windows, window_sums, sizes, variant, metric, last, [])
                continue
            if metric.exclude_prior and _counted(did, metric.telemetry_event, prop, 0, first):
                metrics[variant, metric.name].excluded += 1
                continue
            counted = _counted(did, metric.telemetry_event, prop, begin, end)
            second = _second(did, metric, prop, (begin, end), min(first, closed), first)
            if not counted and not second:
                continue
            metrics[variant, metric.name].take(metric, counted, second)
            _into_windows(windows, window_sums, sizes, variant, metric, counted, second)
    zeros = Metric().figures
    return {
        "as_of": as_of,
        "units": dict(units),
        "crossovers": dict(crossovers),
        "metrics": {n: metric.figures for n, metric in metrics.items() if metric.figures != zeros},
        "windows": dict(windows),
        "window_sums": {at: total for at, total in window_sums.items() if total},
        "segments": _of_segments(segments, spec),
    }


def _of_segments(
    segments: dict[tuple[str, str], list[Any]], spec: ExperimentSpec
) -> dict[tuple[str, str], dict[str, Any]]:
    """Units and metrics of each segment: those of a run that only its units came to."""
    alone = spec.model_copy(update={"segments": ()})
    found = {at: recompute(events, alone) for at, events in segments.items()}
    return {at: {name: one[name] for name in ("units", "metrics")} for at, one in found.items()}


def version_of(shown: Shown) -> str:
    return shown.version or {"checkout": "1.0.0", "banner": "2.1.0"}[shown.experiment]


def _counted(
    did: Iterable[Did], ref: Any, prop: str | None, start: float, end: float
) -> list[tuple[int, Any]]:
    """Time and value of the event's observations within [start, end) that have the property."""
    found = []
    for e in did:
        value = 1 if prop is None else dict(e.properties).get(prop)
        if e.event == ref.key and start <= e.time < end and value is not None:
            found.append((e.time, value))
    return found


def _second(
    did: Iterable[Did],
    metric: SuccessMetric,
    prop: str | None,
    within: tuple[float, float],
    until: float,
    first: int,
) -> list[tuple[int, Any]]:
    """What the unit's second total is of: a ratio's denominator, or what it did before."""
    if metric.denominator:
        over = metric.denominator
        return _counted(did, over.telemetry_event, over.property, *within)
    if metric.covariate:
        start = first - metric.covariate.window * 1000
        return _counted(did, metric.telemetry_event, prop, start, until)
    return []


def _worth(metric: SuccessMetric, values: list[Fraction]) -> Fraction:
    """What a unit's total counts for."""
    if metric.aggregation == "unique":
        return Fraction(bool(values))
    worth = sum(values, Fraction(0))
    if metric.winsorize:
        low, high = metric.winsorize.lower, metric.winsorize.upper
        worth = worth if low is None else max(worth, Fraction(repr(low)))
        worth = worth if high is None else min(worth, Fraction(repr(high)))
    return worth


def _into_windows(
    windows: Counter[tuple[Any, ...]],
    window_sums: dict[tuple[Any, ...], Fraction],
    sizes: Iterable[int],
    variant: str,
    metric: SuccessMetric,
    counted: list[tuple[int, Any]],
    second: list[tuple[int, Any]],
) -> None:
    for size in sizes:
        for start in {opens(time, size) for time, _ in counted}:
            windows["units", size, start, variant, metric.name] += 1
        for time, value in counted:
            at = (size, opens(time, size), variant, metric.name)
            windows["events", *at] += 1
            window_sums[at] += Fraction(repr(value))
            if metric.aggregation.startswith("p") and metric.per == "event":
                windows["bins", *at, bin_of(value)] += 1
        for time, value in second if metric.denominator else ():
            at = (size, opens(time, size), variant, metric.name)
            window_sums["beside", *at] += Fraction(repr(value))


def opens(time: int, size: int) -> int:
    """When the window begins, by walking back from the time until the calendar shows another day."""
    if not isinstance(size, Days):
        return time // size * size
    shown = datetime.fromtimestamp(time / 1000, ZONE).date()
    quarter = 900_000
    at = time // quarter * quarter
    while datetime.fromtimestamp((at - quarter) / 1000, ZONE).date() == shown:
        at -= quarter
    return at


def _events(metric: SuccessMetric) -> list[Any]:
    over = [metric.denominator.telemetry_event] if metric.denominator else []
    return [metric.telemetry_event, *metric.steps, *over]


def _steps(did: Iterable[Did], metric: SuccessMetric, begin: float, end: float) -> list[int]:
    """The earliest way through a funnel, as far as it goes."""
    ways: list[list[int]] = [[]]
    for ref in (metric.telemetry_event, *metric.steps):
        times = sorted(time for time, _ in _counted(did, ref, None, begin, end))
        longer = [[*way, t] for way in ways for t in times if not way or t >= way[-1]]
        if not longer:
            break
        ways = [min(longer)]
    return min(ways)
