"""What a task needs of a runtime."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from anabranch.engine.outbox import Outbox
from anabranch.engine.state import Changes
from anabranch.engine.store import Store
from anabranch.processors.protocol import Record

Poll = Mapping[str, Sequence[Record]]
"""Logical source to the records polled, in offset order; every source is a key."""


class Port(Protocol):
    """One task's way into the log, on the embedded or on the Kafka runtime.

    The order of opening matters: ``open`` fences every other owner first, then ``restore`` reads
    the changelog to its last stable offset, and only then are source positions read.
    """

    async def open(self) -> None:
        """Become the only one who may commit for this partition.

        Raises:
            FencedError: Somebody else took over meanwhile.
        """
        ...

    async def restore(self, store: Store, progress: Callable[[], None]) -> int:
        """Bring the store up to the changelog's end, then seek the sources to what is committed.

        A store with a position is told what comes after it, one whose position the changelog does
        not have is cleared first.

        Args:
            store: To be brought up.
            progress: Called with every piece.

        Returns:
            How many changelog records were read.
        """
        ...

    async def poll(self, limit: int, wait: float) -> Poll:
        """At most ``limit`` records, waiting ``wait`` seconds when there are none.

        Several sources have equal shares of the limit, so that none fills the batch alone.
        """
        ...

    async def positions(self) -> Mapping[str, int]:
        """Logical source to the offset the next poll begins at.

        On Kafka it passes the markers that end a transaction, which no poll returns.
        """
        ...

    def ends(self) -> Mapping[str, int]:
        """Logical source to where what may be read ended when last heard of; may lack some."""
        ...

    async def commit(
        self, outbox: Outbox, changes: Changes, positions: Mapping[str, int]
    ) -> int | None:
        """Outputs, changelog and source positions together, or nothing.

        Args:
            outbox: What the batch put out.
            changes: State changes for the changelog.
            positions: Logical source to the next offset to read.

        Returns:
            An offset of the changelog with all its changes before it; None without changes.

        Raises:
            FencedError: Another owner has taken over; nothing was committed.
            ProcessingError: The log refused a record of the outbox; nothing was committed.
            OutcomeUnknownError: It may or may not have been committed; open again.
        """
        ...

    async def close(self) -> None:
        """Let go of everything; never raises."""
        ...
