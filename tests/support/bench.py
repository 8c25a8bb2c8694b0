"""A test bench for one processor: feed it records, read what it put out.

Each ``run`` is one committed batch, over the engine's real state and cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any

import msgspec

from anabranch.engine.state import BatchState, LruCache, MemoryStore
from anabranch.processors.protocol import Batch, Headers, Processor, Record

NOW = 1_800_000_000_000


@dataclass
class In:
    """A record as a source topic would hold it."""

    topic: str
    value: bytes | None
    key: bytes | None = None
    headers: Headers = ()
    timestamp: int = NOW
    partition: int = 0
    offset: int = 0


@dataclass
class Out:
    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp: int | None = None

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.value or b"null")


@dataclass
class Collected:
    """What one batch put out (the ``Outputs`` protocol)."""

    records: list[Out] = field(default_factory=list)
    dead: list[tuple[Record, BaseException]] = field(default_factory=list)
    counters: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)

    def send(self, topic, key, value, headers=(), timestamp=None) -> None:
        self.records.append(Out(topic, key, value, headers, timestamp))

    def send_all(self, topic, outputs) -> None:
        for key, value, headers, timestamp in outputs:
            self.send(topic, key, value, headers, timestamp)

    def dead_letter(self, record, error) -> None:
        self.dead.append((record, error))

    def count(self, name, n=1) -> None:
        self.counters[name] = self.counters.get(name, 0) + n

    def level(self, name, value) -> None:
        self.levels[name] = value

    def of(self, topic: str) -> list[Out]:
        return [r for r in self.records if r.topic == topic]


class Bench:
    """Runs a processor over batches of one partition, keeping its state from batch to batch."""

    def __init__(
        self, processor: Processor, *sources: str, partition: int = 0, cache_size: int = 10_000
    ) -> None:
        self.processor = processor
        self.sources = sources
        self.partition = partition
        self.store = MemoryStore()
        self.cache = LruCache(cache_size)
        self.offsets = dict.fromkeys(sources, 0)

    async def run(self, *records: In, now: int = NOW, commit: bool = True) -> Collected:
        """Process one batch; with ``commit=False`` drop it afterwards, as after a failure."""
        by_source: dict[str, list[Record]] = {s: [] for s in self.sources}
        for record in records:
            record.partition = self.partition
            record.offset = self.offsets[record.topic]
            self.offsets[record.topic] += 1
            by_source[record.topic].append(record)
        return await self.run_batch(by_source, now=now, commit=commit)

    async def run_batch(
        self, sources: dict[str, Sequence[Record]], *, now: int = NOW, commit: bool = True
    ) -> Collected:
        out = Collected()
        state = BatchState(self.store)
        result = self.processor.process(
            Batch(sources=sources, partition=self.partition, now=now), state, self.cache, out
        )
        if isawaitable(result):
            await result
        if commit:
            self.store.apply(state.seal())
            self.cache.apply()
        else:
            self.cache.drop()
        return out
