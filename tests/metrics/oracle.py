"""What should come out, computed from all events at once, in the plainest way."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from anabranch.metrics.sketch import bin_of
from anabranch.specs import ExperimentSpec, metric_property
from tests.metrics.shop import CATALOG


@dataclass(frozen=True)
class Shown:
    """An exposure."""

    experiment: str
    variant: str
    unit: str
    time: int


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

    @property
    def figures(self) -> tuple[Any, ...]:
        return (
            self.converted,
            self.events,
            self.sum,
            self.sum_squares,
            self.event_squares,
            dict(self.bins),
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
    as_of = None
    for happened in by_unit.values():
        shown = [e for e in happened if isinstance(e, Shown) and e.experiment == spec.key]
        if not shown:
            continue
        used = {m.telemetry_event.key for m in spec.success_metrics}
        did = [e for e in happened if isinstance(e, Did) and e.event in used]
        as_of = max([as_of or 0, *(e.time for e in [*shown, *did])])
        variants = {e.variant for e in shown}
        if len(variants) > 1:
            crossovers.update(variants)
            continue
        (variant,) = variants
        first = min(e.time for e in shown)
        units[variant] += 1
        for size in sizes:
            windows["exposures", size, first // size * size, variant] += 1
        for metric in spec.success_metrics:
            prop = (
                metric_property(metric, CATALOG.telemetry)
                if metric.aggregation not in {"count", "unique"}
                else None
            )
            end = float("inf") if metric.window is None else first + metric.window * 1000
            counted = []
            for e in did:
                value = 1 if prop is None else dict(e.properties).get(prop)
                if (
                    e.event == metric.telemetry_event.key
                    and first <= e.time < end
                    and value is not None
                ):
                    counted.append((e.time, value))
            if not counted:
                continue
            exact = [Fraction(repr(value)) for _, value in counted]
            into = metrics[variant, metric.name]
            into.converted += 1
            into.events += len(counted)
            into.sum += sum(exact)
            into.sum_squares += sum(exact) ** 2
            into.event_squares += sum(value**2 for value in exact)
            sketched = metric.aggregation.startswith("p")
            if sketched:
                into.bins.update(bin_of(value) for _, value in counted)
            for size in sizes:
                for start in {time // size * size for time, _ in counted}:
                    windows["units", size, start, variant, metric.name] += 1
                for time, value in counted:
                    at = (size, time // size * size, variant, metric.name)
                    windows["events", *at] += 1
                    window_sums[at] += Fraction(repr(value))
                    if sketched:
                        windows["bins", *at, bin_of(value)] += 1
    return {
        "as_of": as_of,
        "units": dict(units),
        "crossovers": dict(crossovers),
        "metrics": {name: metric.figures for name, metric in metrics.items()},
        "windows": dict(windows),
        "window_sums": {at: total for at, total in window_sums.items() if total},
    }
