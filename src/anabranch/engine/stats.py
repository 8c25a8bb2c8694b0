"""What a task has done, in figures that grow; read once a batch, shown by the metrics."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from anabranch.engine.outbox import Outbox
from anabranch.processors.protocol import Record

__all__ = ["BATCH_SECONDS", "TaskStats"]

BATCH_SECONDS: Final = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds of the classes that batches are counted in by how long they took."""


@dataclass(slots=True)
class TaskStats:
    """What tasks of a partition have done in this process; only committed work is counted.

    Attributes:
        batches: Batches committed.
        records: Records processed.
        dead_letters: Records put on the dead letters.
        failures: Batches dropped because something raised.
        pauses: How often the circuit breaker stopped the partition.
        fenced: How often another owner took the partition over.
        opened: How often a task opened, its state restored.
        restored: Changelog records read back.
        restoring: Seconds spent opening and reading back.
        processing: Seconds the processor took.
        committing: Seconds that transactions took.
        durations: Batches by processing and commit, in the classes of :data:`BATCH_SECONDS` and
            one for those beyond.
        read: Logical source to records processed.
        read_bytes: Logical source to bytes of the records' values.
        written: Logical topic to records put out, the changelog left aside.
        written_bytes: Logical topic to bytes as sent; only the Kafka runtime knows them.
        reasons: Name of the error to dead letters.
        counters: What processors counted.
        levels: What processors last said of something that rises and falls.
        newest: Record timestamp of the newest record processed last, milliseconds.
    """

    batches: int = 0
    records: int = 0
    dead_letters: int = 0
    failures: int = 0
    pauses: int = 0
    fenced: int = 0
    opened: int = 0
    restored: int = 0
    restoring: float = 0.0
    processing: float = 0.0
    committing: float = 0.0
    durations: list[int] = field(default_factory=lambda: [0] * (len(BATCH_SECONDS) + 1))
    read: Counter[str] = field(default_factory=Counter)
    read_bytes: Counter[str] = field(default_factory=Counter)
    written: Counter[str] = field(default_factory=Counter)
    written_bytes: Counter[str] = field(default_factory=Counter)
    reasons: Counter[str] = field(default_factory=Counter)
    counters: dict[str, int] = field(default_factory=dict)
    levels: dict[str, int] = field(default_factory=dict)
    newest: int | None = None

    def committed(self, batch: Mapping[str, Sequence[Record]], outbox: Outbox) -> None:
        """Count a batch that was committed."""
        self.batches += 1
        for source, records in batch.items():
            if records:
                self.read[source] += len(records)
                self.records += len(records)
                self.read_bytes[source] += sum([len(r.value) for r in records if r.value])
        self.newest = max((r[-1].timestamp for r in batch.values() if r), default=self.newest)
        for topic, entries in outbox.topics.items():
            self.written[topic] += len(entries)
        self.written_bytes.update(outbox.sizes)
        self.dead_letters += outbox.dead
        self.reasons.update(outbox.reasons)
        for name, n in outbox.counters.items():
            self.counters[name] = self.counters.get(name, 0) + n
        self.levels.update(outbox.levels)

    def timed(self, processing: float, committing: float) -> None:
        """Count the seconds of a batch."""
        self.processing += processing
        self.committing += committing
        self.durations[bisect_left(BATCH_SECONDS, processing + committing)] += 1
