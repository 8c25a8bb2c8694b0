"""Where a task keeps its committed state."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple, Protocol

__all__ = ["INTERNAL", "Size", "Store"]

INTERNAL = b"\0"
"""Keys that begin with it are the engine's own: walks and snapshots leave them out."""


class Size(NamedTuple):
    """How large a store is, as far as it can say so at once."""

    entries: int | None = None
    bytes: int | None = None


class Store(Protocol):
    """Committed state of one partition: key to encoded value, as the changelog has it.

    Attributes:
        position: Offset of the changelog from which on the store has to be told what changed;
            None if from its beginning. It may be too early, never too late.
    """

    @property
    def position(self) -> int | None: ...

    def get(self, key: bytes) -> bytes | None: ...

    def apply(self, changes: Mapping[bytes, bytes | None], position: int | None = None) -> None:
        """Take over changes that were committed, or read back from the changelog, all or none.

        Args:
            changes: Key to new value; None deletes.
            position: The changelog's next offset, where it is known.

        Raises:
            FencedError: Somebody else has opened the same store since.
        """
        ...

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Keys that start with ``prefix``; the store may change meanwhile."""
        ...

    def clear(self) -> None:
        """Forget everything, the position too."""
        ...

    def close(self) -> None:
        """Let go of it; what is kept on disk stays."""
        ...

    def __len__(self) -> int: ...

    def size(self) -> Size:
        """In constant time, for the metrics."""
        ...

    def snapshot(self) -> dict[bytes, bytes]:
        """A copy, for inspection and tests."""
        ...
