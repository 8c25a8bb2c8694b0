"""A task's way into the in-process log."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

from anabranch.engine.embedded.log import Log
from anabranch.engine.murmur2 import partitions_of
from anabranch.engine.outbox import Entry, Outbox
from anabranch.engine.port import Poll
from anabranch.engine.stage import Stage
from anabranch.engine.state import Changes
from anabranch.engine.store import Store
from anabranch.errors import FencedError
from anabranch.processors.protocol import Headers, Record

_RESTORE_CHUNK = 10_000


class EmbeddedPort:
    """The :class:`~anabranch.engine.port.Port` of the embedded runtime.

    Args:
        log: The shared log.
        stage: Whose task this is.
        partition: The task's partition.
        group: Consumer group; with the partition it also makes the transactional id.
        physical: Logical to physical topic name.
    """

    def __init__(
        self,
        log: Log,
        stage: Stage,
        partition: int,
        *,
        group: str,
        physical: Callable[[str], str],
    ) -> None:
        self._log = log
        self._stage = stage
        self._partition = partition
        self._group = group
        self._physical = physical
        self._id = f"{group}-{partition}"
        self._epoch: int | None = None
        self._at: dict[str, int] = {}

    async def open(self) -> None:
        for topic in self._stage.written:
            self._log.partitions(self._physical(topic))
        self._epoch = self._log.fence(self._id)

    async def restore(self, store: Store, progress: Callable[[], None]) -> int:
        count = 0
        if self._stage.changelog is not None:
            topic = self._physical(self._stage.changelog)
            offset, end = store.position or 0, self._log.end(topic, self._partition)
            if offset > end:
                store.clear()
                offset = 0
            while offset < end:
                records = self._log.read(topic, self._partition, offset, _RESTORE_CHUNK)
                if not records:
                    break
                offset = records[-1].offset + 1
                store.apply({r.key: r.value for r in records if r.key is not None}, offset)
                count += len(records)
                progress()
                await asyncio.sleep(0)
        self._at = {
            source: self._log.position(self._group, self._physical(source), self._partition)
            for source in self._stage.sources
        }
        return count

    async def poll(self, limit: int, wait: float) -> Poll:
        found = self._read(limit)
        if not any(found.values()):
            await self._log.wait(wait)
            found = self._read(limit)
        else:
            await asyncio.sleep(0)
        for source, records in found.items():
            if records:
                self._at[source] = records[-1].offset + 1
        return found

    def _read(self, limit: int) -> dict[str, Sequence[Record]]:
        found: dict[str, Sequence[Record]] = {}
        sources = self._stage.sources
        for n, source in enumerate(sources):
            share = max(1, limit // (len(sources) - n))  # what is left is there for the others
            found[source] = self._log.read(
                self._physical(source), self._partition, self._at[source], share
            )
            limit -= len(found[source])
        return found

    async def positions(self) -> Mapping[str, int]:
        return dict(self._at)

    def ends(self) -> Mapping[str, int]:
        return {
            source: self._log.end(self._physical(source), self._partition) for source in self._at
        }

    async def commit(
        self, outbox: Outbox, changes: Changes, positions: Mapping[str, int]
    ) -> int | None:
        if self._epoch is None:
            raise FencedError(f"{self._id} is not open")
        self._log.transact(
            self._id,
            self._epoch,
            self._records(outbox, changes),
            self._group,
            {(self._physical(s), self._partition): at for s, at in positions.items()},
        )
        self._log.tidy(self._physical(topic) for topic in self._stage.outputs)
        if self._stage.changelog is None or not changes:
            return None
        changelog = self._physical(self._stage.changelog)
        self._log.tidy([changelog])
        return self._log.end(changelog, self._partition)

    def _records(
        self, outbox: Outbox, changes: Changes
    ) -> Iterator[tuple[str, int, bytes | None, bytes | None, Headers, int | None]]:
        for logical, entries in outbox.topics.items():
            topic = self._physical(logical)
            numbers = _partitions(entries, self._partition, self._log.partitions(topic))
            for number, (key, value, headers, timestamp) in zip(numbers, entries, strict=True):
                yield topic, number, key, value, headers, timestamp
        if self._stage.changelog is not None:
            topic = self._physical(self._stage.changelog)
            for key, value in changes.items():
                yield topic, self._partition, key, value, (), None

    async def close(self) -> None:
        self._epoch = None


def _partitions(entries: Sequence[Entry], own: int, count: int) -> list[int]:
    """By key; records without one go to the task's own partition number."""
    if all(entry[0] is not None for entry in entries):
        return partitions_of([entry[0] or b"" for entry in entries], count)
    return [
        own % count if key is None else partitions_of([key], count)[0] for key, _, _, _ in entries
    ]
