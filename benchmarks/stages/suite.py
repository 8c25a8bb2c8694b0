"""One pipeline's worth of records through each processor in turn."""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from anabranch.engine import BatchState, LruCache, MemoryStore, Outbox
from anabranch.processors.protocol import Batch, Processor
from anabranch.runtime import build_stages
from anabranch.runtime.process import settle
from anabranch.settings import load_settings
from anabranch.specs import Catalog, ExperimentSpec, TelemetrySpec
from benchmarks.contestants import Figures

_BATCH = 4_000
_NOW = 1_760_000_000_000
_ORDERED = 3
"""Telemetry events a unit."""

_META: dict[str, Any] = {
    "version": 1,
    "title": "Benchmark",
    "description": "What a stage costs",
    "domain": "benchmark",
    "owners": ["@platform"],
    "tags": ["benchmark"],
    "stability": "experimental",
}


@dataclass(slots=True)
class StageRecord:
    """A record of a source, as a stage is given it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Sequence[tuple[str, bytes]] = ()


def compete(*, units: int, rounds: int, progress: Callable[[str], None]) -> dict[str, Figures]:
    """Every stage once a round, each fed with what the one before put out.

    Args:
        units: Contexts, each of a unit of its own; three telemetry events a unit.
        rounds: How often.
        progress: Told what is done next.
    """
    figures: dict[str, Figures] = {}
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        _round(units, figures)
    return figures


def _round(units: int, figures: dict[str, Figures]) -> None:
    one, ten = _catalog(1), _catalog(10)
    contexts = list(some_contexts(units))
    telemetry = list(_telemetry(units))
    settle()

    full, _ = run_stage(ten, "assign", {"contexts": contexts})
    take(figures, "assign, 10 experiments, 2 targeted: a context and experiment", full, 10)
    found, out = run_stage(one, "assign", {"contexts": contexts})
    take(figures, "assign, 1 experiment, exposure too: a context", found)
    exposures = _records(out, "exposures")
    found, out = run_stage(one, "gate", {"telemetry": telemetry})
    take(figures, "gate: a telemetry event", found)
    observations = _records(out, "observations")
    state = MemoryStore()
    found, first = run_stage(one, "attribute", {"exposures": exposures}, state)
    take(figures, "attribute: an exposure", found)
    found, second = run_stage(one, "attribute", {"observations": observations}, state)
    take(figures, "attribute: an observation, two metrics", found)
    deltas = [*_records(first, "deltas"), *_records(second, "deltas")]
    found, _ = run_stage(one, "aggregate", {"deltas": deltas}, MemoryStore())
    take(figures, f"aggregate: a delta (of {_BATCH:,} records)", found)


@dataclass
class Spent:
    """What a stage took over all batches, in seconds."""

    records: int
    wall: float
    cpu: float


def run_stage(
    catalog: Catalog,
    stage: str,
    sources: dict[str, list[StageRecord]],
    store: MemoryStore | None = None,
) -> tuple[Spent, list[Outbox]]:
    """All batches through one processor, state sealed and applied as a task does."""
    (made,) = [s for s in build_stages(catalog, load_settings()) if s.name == stage]
    processor: Processor = made.make_processor()
    store = MemoryStore() if store is None else store
    cache = LruCache(made.cache_size)
    logical = {f"bench.{source}": source for source in made.sources}
    outs = []
    wall, cpu = time.perf_counter(), time.process_time()
    for batch in _batches(sources, made.sources):
        out, state = Outbox(logical), BatchState(store)
        processor.process(Batch(batch, 0, _NOW), state, cache, out)
        store.apply(state.seal())
        cache.apply()
        outs.append(out)
    spent = Spent(
        sum(map(len, sources.values())),
        time.perf_counter() - wall,
        time.process_time() - cpu,
    )
    return spent, outs


def _batches(
    sources: dict[str, list[StageRecord]], names: Sequence[str]
) -> Iterator[dict[str, Sequence[StageRecord]]]:
    for start in range(0, max(map(len, sources.values())), _BATCH):
        yield {name: sources.get(name, [])[start : start + _BATCH] for name in names}


def _records(outs: Iterable[Outbox], topic: str) -> list[StageRecord]:
    made = (entry for out in outs for entry in out.topics.get(topic, ()))
    return [
        StageRecord(f"bench.{topic}", 0, n, at or _NOW, key, value, headers)
        for n, (key, value, headers, at) in enumerate(made)
    ]


def take(figures: dict[str, Figures], name: str, spent: Spent, share: int = 1) -> None:
    taken = figures.setdefault(name, Figures())
    taken.rates.append(spent.records * share / spent.wall)
    taken.micros.append(spent.cpu / spent.records / share * 1e6)


def memory(*, units: int) -> dict[str, Figures]:
    """What the attribute stage's state takes: dictionary, keys and values."""
    catalog = _catalog(1)
    _, out = run_stage(catalog, "assign", {"contexts": list(some_contexts(units))})
    exposures = _records(out, "exposures")
    _, out = run_stage(catalog, "gate", {"telemetry": list(_telemetry(units))})
    observations = _records(out, "observations")
    store = MemoryStore()
    figures = {}
    for name, sources in (
        ("exposed", {"exposures": exposures}),
        (f"exposed, {_ORDERED} events of two metrics", {"observations": observations}),
    ):
        run_stage(catalog, "attribute", sources, store)
        held = store.snapshot()
        size = sum(sys.getsizeof(k) + sys.getsizeof(v) for k, v in held.items())
        figures[name] = Figures([], [(size + sys.getsizeof(held)) / units])
    return figures


def some_contexts(units: int) -> Iterator[StageRecord]:
    for i in range(units):
        value = {"userId": f"user-{i}", "attributes": {"segment": "vip" if i % 2 else "new"}}
        yield StageRecord(
            "bench.contexts", 0, i, _NOW - units + i, None, json.dumps(value).encode()
        )


def _telemetry(units: int) -> Iterator[StageRecord]:
    dice = random.Random(7)
    for i in range(units * _ORDERED):
        value = {
            "name": "order.placed",
            "version": 1,
            "userId": f"user-{dice.randrange(units)}",
            "properties": {"amount": round(dice.random() * 100, 2)},
        }
        yield StageRecord(
            "bench.telemetry", 0, i, _NOW + i // 100, None, json.dumps(value).encode()
        )


def _catalog(experiments: int) -> Catalog:
    return Catalog.of([orders(), *map(experiment, range(experiments))])


def experiment(number: int) -> ExperimentSpec:
    allocation: dict[str, Any] = {"type": "random"}
    if number % 5 == 4:
        allocation = {
            "type": "targeted",
            "rules": [
                {"variantId": "green", "expression": "context.attributes?.segment === 'vip'"}
            ],
            "fallback": "random",
        }
    return ExperimentSpec.model_validate(
        {
            "meta": {**_META, "key": f"bench.e{number}"},
            "controlVariant": "control",
            "variants": [{"id": "control", "name": "Grey"}, {"id": "green", "name": "Green"}],
            "allocation": allocation,
            "successMetrics": [
                {
                    "name": "orders",
                    "telemetryEvent": {"key": "order.placed", "version": 1},
                    "aggregation": "count",
                },
                {
                    "name": "revenue",
                    "telemetryEvent": {"key": "order.placed", "version": 1},
                    "aggregation": "sum",
                    "property": "amount",
                },
            ],
        }
    )


def orders() -> TelemetrySpec:
    """The one event there is."""
    return TelemetrySpec.model_validate(
        {
            "meta": {**_META, "key": "shop.orders"},
            "events": [
                {
                    "name": "order.placed",
                    "version": 1,
                    "semantics": {"what": "An order was placed"},
                    "properties": {"amount": {"type": "number"}},
                }
            ],
        }
    )
