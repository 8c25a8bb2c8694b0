"""What a processor is given and what it may do: the seam between the domain and the engine.

A processor is handed a batch of records of one partition, the partition's state and somewhere to
put its outputs. It does no I/O and reads no clock. The runtime commits state changes, outputs and
source offsets together, or drops them all and calls again with the same records.
"""

from __future__ import annotations

from collections.abc import Awaitable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from anabranch.events.records import Headers, Record

__all__ = ["Batch", "Cache", "Headers", "Output", "Outputs", "Processor", "Record", "State"]

Output = tuple[bytes | None, bytes | None, Headers, int | None]
"""Key, value, headers, timestamp in milliseconds."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Records of one partition, in offset order within each source.

    Attributes:
        sources: Logical topic name (``"contexts"``) to its records; every source of the stage is
            a key, with an empty sequence where nothing arrived.
        partition: The partition number, the same for every source.
        now: Wall-clock time in milliseconds since the epoch, for checks against the future only.
    """

    sources: Mapping[str, Sequence[Record]]
    partition: int
    now: int


class State(Protocol):
    """The partition's changelogged state: a mapping of bytes to JSON-able values.

    ``get`` returns the decoded value itself: changing it in place is noticed at commit, and only
    what really differs is written to the changelog. Nothing lasts when the batch is dropped.
    Values are dicts or lists of what JSON holds (integers within 64 bits).
    """

    def get(self, key: bytes) -> Any | None: ...
    def put(self, key: bytes, value: Any) -> None: ...
    def delete(self, key: bytes) -> None: ...
    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Keys that start with ``prefix``, uncommitted ones included; walks all keys."""
        ...


class Cache(Protocol):
    """A bounded, local, least-recently-used memory. It may be lost at any time.

    Like state, what a dropped batch put is forgotten.
    """

    def get(self, key: Hashable) -> Any | None: ...
    def put(self, key: Hashable, value: Any) -> None: ...


class Outputs(Protocol):
    """Where a processor puts what it makes; topics by logical name."""

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> None:
        """Add a record; the key decides the partition by Kafka's default murmur2."""
        ...

    def send_all(self, topic: str, outputs: Iterable[Output]) -> None:
        """As :meth:`send` of each; for the many records of a batch."""
        ...

    def dead_letter(self, record: Record, error: BaseException) -> None:
        """Put the record, untouched, on its topic's dead letters with the error as its reason."""
        ...

    def count(self, name: str, n: int = 1) -> None:
        """Add to the stage's counter ``name`` once committed.

        Snake_case, no unit suffix; what is counted by kind has the kind after a colon, as in
        ``evaluations:random``. :mod:`anabranch.web.metrics.registry` says what each one means.
        """
        ...

    def level(self, name: str, value: int) -> None:
        """Say how high something is that rises and falls, such as the watermark, once committed."""
        ...


class Processor(Protocol):
    """One per task (stage and partition), made by the stage's factory when the task opens."""

    def process(
        self, batch: Batch, state: State, cache: Cache, out: Outputs
    ) -> Awaitable[None] | None:
        """Process the batch.

        Invalid records go to ``out.dead_letter``. Any other exception drops the batch; the
        runtime tries again and at last isolates the record that raises.
        A processor keeps nothing of its own between batches but what it can derive from its
        arguments: a dropped batch is not undone inside the processor.
        """
        ...
