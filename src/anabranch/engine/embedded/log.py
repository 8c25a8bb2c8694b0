"""An in-process log with Kafka's semantics as far as a task can tell.

Partitions, offsets, consumer positions, fencing by epoch, and transactions that append to many
partitions at once. Everything runs on one event loop, and a transaction has no await in it, so
it is atomic.
"""

from __future__ import annotations

import asyncio
import time
from bisect import bisect_left
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter

from anabranch.engine.embedded.members import Memberships
from anabranch.engine.murmur2 import partition_of
from anabranch.errors import FencedError, TopologyError
from anabranch.processors.protocol import Headers

_OFFSET = attrgetter("offset")


@dataclass(frozen=True, slots=True)
class StoredRecord:
    """A record as the log keeps it; ``timestamp`` in milliseconds since the epoch."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: Headers


class _Partition:
    """One partition: records by rising offset, compacted or trimmed as its topic says."""

    __slots__ = ("compact", "end", "keep", "number", "records", "topic")

    def __init__(self, topic: str, number: int, *, compact: bool, keep: int | None) -> None:
        self.topic = topic
        self.number = number
        self.compact = compact
        self.keep = keep
        self.end = 0
        self.records: list[StoredRecord] = []

    def append(
        self, key: bytes | None, value: bytes | None, headers: Headers, timestamp: int
    ) -> None:
        self.records.append(
            StoredRecord(self.topic, self.number, self.end, timestamp, key, value, headers)
        )
        self.end += 1

    def read(self, offset: int, limit: int) -> Sequence[StoredRecord]:
        records = self.records
        if not records or offset >= self.end:
            return ()
        first = records[0].offset
        if records[-1].offset - first + 1 == len(records):
            start = max(0, offset - first)
        else:
            start = bisect_left(records, offset, key=_OFFSET)
        return records[start : start + limit]

    def tidy(self, consumed: int) -> None:
        """Drop what compaction or the bound drops, but nothing that is not consumed yet."""
        if self.keep is None or len(self.records) <= 2 * self.keep:
            return
        if self.compact:
            latest = {record.key: record for record in self.records}
            self.records = sorted((r for r in latest.values() if r.value is not None), key=_OFFSET)
            self.keep = max(self.keep, len(self.records))
        else:
            cut = self.end - self.keep
            self.records = [r for r in self.records if r.offset >= min(cut, consumed)]


class Log:
    """The embedded broker.

    Args:
        clock: Seconds since the epoch, for records that bring no timestamp.
    """

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._topics: dict[str, list[_Partition]] = {}
        self._positions: dict[tuple[str, str, int], int] = {}
        self._epochs: dict[str, int] = {}
        self.members = Memberships()
        self._appended = asyncio.Event()

    # -- topics -------------------------------------------------------------------------------

    def create_topic(
        self, name: str, partitions: int, *, compact: bool = False, keep: int | None = None
    ) -> None:
        """Create a topic; creating it again with the same partitions does nothing.

        Args:
            name: Physical name.
            partitions: How many.
            compact: Keep the latest record of each key.
            keep: About how many records a partition keeps; None keeps all.
        """
        existing = self._topics.get(name)
        if existing is not None:
            if len(existing) != partitions:
                raise TopologyError(
                    f"topic {name} has {len(existing)} partitions, not {partitions}"
                )
            return
        self._topics[name] = [
            _Partition(name, n, compact=compact, keep=keep) for n in range(partitions)
        ]

    def partitions(self, topic: str) -> int:
        """How many partitions the topic has."""
        return len(self._of(topic))

    def _of(self, topic: str) -> list[_Partition]:
        try:
            return self._topics[topic]
        except KeyError:
            raise TopologyError(f"there is no topic {topic}: create it first") from None

    # -- writing ------------------------------------------------------------------------------

    def append(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp: int | None = None,
        partition: int | None = None,
    ) -> None:
        """Append one record outside any transaction, as an application would."""
        partitions = self._of(topic)
        if partition is None:
            partition = (
                partition_of(key, len(partitions))
                if key is not None
                else sum(p.end for p in partitions) % len(partitions)
            )
        when = int(self._clock() * 1000) if timestamp is None else timestamp
        partitions[partition].append(key, value, headers, when)
        self._wake()

    def fence(self, transactional_id: str) -> int:
        """Take a transactional id over; the epoch before can commit no more."""
        epoch = self._epochs[transactional_id] = self._epochs.get(transactional_id, -1) + 1
        return epoch

    def transact(
        self,
        transactional_id: str,
        epoch: int,
        records: Iterable[tuple[str, int, bytes | None, bytes | None, Headers, int | None]],
        group: str,
        positions: Mapping[tuple[str, int], int],
    ) -> None:
        """Append records and move a group's positions, all or nothing.

        Args:
            transactional_id: Whose epoch decides.
            epoch: What :meth:`fence` gave.
            records: Topic, partition, key, value, headers, timestamp of each.
            group: Consumer group.
            positions: (topic, partition) to the next offset to read.

        Raises:
            FencedError: The epoch is not the latest; nothing was appended.
        """
        if self._epochs.get(transactional_id) != epoch:
            raise FencedError(f"{transactional_id}: epoch {epoch} was taken over")
        now = int(self._clock() * 1000)
        for topic, partition, key, value, headers, timestamp in records:
            self._of(topic)[partition].append(
                key, value, headers, now if timestamp is None else timestamp
            )
        for (topic, partition), offset in positions.items():
            self._positions[group, topic, partition] = offset
            consumed = min(
                at for (_, t, p), at in self._positions.items() if t == topic and p == partition
            )
            self._of(topic)[partition].tidy(consumed)
        self._wake()

    def tidy(self, topics: Iterable[str]) -> None:
        """Bound topics that no group reads: outputs and changelogs."""
        for topic in topics:
            for partition in self._of(topic):
                partition.tidy(partition.end)

    # -- reading ------------------------------------------------------------------------------

    def read(self, topic: str, partition: int, offset: int, limit: int) -> Sequence[StoredRecord]:
        """Records from an offset on; empty at the end."""
        return self._of(topic)[partition].read(offset, limit)

    def all(self, topic: str) -> list[StoredRecord]:
        """Every record the topic still holds, partition by partition."""
        return [record for partition in self._of(topic) for record in partition.records]

    def end(self, topic: str, partition: int) -> int:
        """The offset the next record will get."""
        return self._of(topic)[partition].end

    def position(self, group: str, topic: str, partition: int) -> int:
        """Where the group reads next; 0 where it has never committed."""
        return self._positions.get((group, topic, partition), 0)

    def lag(self, group: str, topic: str) -> int:
        """Records of the topic the group has not consumed yet."""
        return sum(p.end - self.position(group, topic, p.number) for p in self._of(topic))

    async def wait(self, seconds: float) -> None:
        """Until something is appended, or the time is over."""
        try:
            # Not wait_for, which on Python 3.11 swallows a cancellation that comes with the event.
            async with asyncio.timeout(seconds):
                await self._appended.wait()
        except TimeoutError:
            return

    def _wake(self) -> None:
        self._appended.set()
        self._appended = asyncio.Event()
