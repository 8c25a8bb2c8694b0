"""What a whole pipeline offers, whichever runtime it is on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from anabranch.processors.protocol import Headers, Record


@dataclass(frozen=True, slots=True)
class Message:
    """A record of a topic by its logical name; ``timestamp`` in milliseconds since the epoch."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp: int | None = None


class Pipeline(Protocol):
    """Publish inputs, wait for the flow to run dry, read outputs."""

    async def publish(self, messages: Iterable[Message]) -> None:
        """Append inputs, each to its topic."""
        ...

    async def drain(self, progress: Callable[[int], None] | None = None) -> None:
        """Until every stage has processed all there is.

        Args:
            progress: Told now and then how many records are left to read, over all stages.
        """
        ...

    async def records(self, topic: str) -> Sequence[Record]:
        """Every committed record that a topic still holds, partition by partition."""
        ...


def latest_values(records: Iterable[Record]) -> dict[bytes, bytes]:
    """What a compacted topic says: key to latest value, tombstones gone, by sorted key."""
    latest: dict[bytes, bytes] = {}
    for record in records:
        if record.key is None:
            continue
        if record.value is None:
            latest.pop(record.key, None)
        else:
            latest[record.key] = record.value
    return dict(sorted(latest.items()))
