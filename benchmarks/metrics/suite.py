"""Each metric type by itself: what an observation costs, and what a unit takes in the state."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from anabranch.engine import MemoryStore
from anabranch.events.models import Observation
from anabranch.runtime.process import settle
from anabranch.specs import Catalog, ExperimentSpec, TelemetrySpec
from benchmarks.contestants import Figures
from benchmarks.stages.suite import StageRecord, run_stage, take

EVENTS: Final = 10
"""Of a unit, two of them before it is exposed."""

_NOW: Final = 1_760_000_000_000
_MINUTE: Final = 60_000
_PAID: Final = {"key": "shop.paid", "version": 1}
_VIEWED: Final = {"key": "shop.viewed", "version": 1}
_AMOUNT: Final = {"telemetryEvent": _PAID, "property": "amount"}

METRICS: Final[dict[str, dict[str, Any]]] = {
    "count": {"telemetryEvent": _PAID, "aggregation": "count"},
    "conversion (unique)": {"telemetryEvent": _PAID, "aggregation": "unique"},
    "sum": {**_AMOUNT, "aggregation": "sum"},
    "avg": {**_AMOUNT, "aggregation": "avg"},
    "ratio": {**_AMOUNT, "aggregation": "ratio", "denominator": {"telemetryEvent": _VIEWED}},
    "p90 of events": {**_AMOUNT, "aggregation": "p90"},
    "p90 of units": {**_AMOUNT, "aggregation": "p90", "per": "unit"},
    "retention": {"telemetryEvent": _PAID, "aggregation": "unique", "after": 120, "window": 300},
    "funnel": {"telemetryEvent": _VIEWED, "aggregation": "funnel", "steps": [_PAID]},
    "winsorized sum": {**_AMOUNT, "aggregation": "sum", "winsorize": {"upper": 100}},
    "sum with a covariate": {**_AMOUNT, "aggregation": "sum", "covariate": {"window": 3600}},
    "count without prior units": {
        "telemetryEvent": _PAID,
        "aggregation": "count",
        "excludePrior": True,
    },
}


def compete(
    *, units: int, rounds: int, progress: Callable[[str], None]
) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """CPU microseconds an observation in the attribute stage, and bytes a unit in its state.

    Args:
        units: Each exposed once, with :data:`EVENTS` events, half of each kind.
        rounds: How often.
        progress: Told what is done next.
    """
    cost: dict[str, Figures] = {}
    memory: dict[str, Figures] = {}
    exposures = list(_exposures(units))
    observations = list(_observations(units))
    for number in range(rounds):
        for name, metric in METRICS.items():
            progress(f"round {number + 1} of {rounds}: {name}")
            catalog = Catalog.of([_telemetry(), _experiment(metric)])
            store = MemoryStore()
            settle()
            run_stage(catalog, "attribute", {"exposures": exposures}, store)
            spent, _ = run_stage(catalog, "attribute", {"observations": observations}, store)
            take(cost, name, spent)
            held = store.snapshot()
            size = sum(sys.getsizeof(k) + sys.getsizeof(v) for k, v in held.items())
            memory[name] = Figures([], [(size + sys.getsizeof(held)) / units])
    return cost, memory


def _exposures(units: int) -> Iterator[StageRecord]:
    for i in range(units):
        data = {
            "experiment": "bench.metric",
            "version": 1,
            "variant": "green" if i % 2 else "control",
            "unit": f"user:user-{i}",
        }
        value = msgspec.json.encode(data)
        yield StageRecord("bench.exposures", 0, i, _NOW, data["unit"].encode(), value)


def _observations(units: int) -> Iterator[StageRecord]:
    dice = random.Random(7)
    for at in range(EVENTS):
        for i in range(units):
            offset = at * units + i
            paid = (at + i) % 2
            event = Observation(
                id=f"e{offset}",
                source="bench",
                name="shop.paid" if paid else "shop.viewed",
                version="1.0.0",
                unit=f"user:user-{i}",
                time=_NOW + (at - 2) * _MINUTE + i % 1000,
                properties={"amount": round(dice.random() * 100, 2)} if paid else {},
            )
            value = msgspec.json.encode(event)
            yield StageRecord("bench.observations", 0, offset, _NOW, event.unit.encode(), value)


def _telemetry() -> TelemetrySpec:
    return TelemetrySpec.model_validate(
        {
            "meta": {"key": "bench.shop", "version": 1},
            "events": [{**_PAID, "properties": {"amount": {"type": "number"}}}, _VIEWED],
        }
    )


def _experiment(metric: dict[str, Any]) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "meta": {"key": "bench.metric", "version": 1},
            "controlVariant": "control",
            "variants": [{"id": "control"}, {"id": "green"}],
            "allocation": {"type": "random"},
            "successMetrics": [{"name": "metric", **metric}],
        }
    )
