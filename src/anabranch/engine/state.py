"""State of one task: committed bytes below, the open batch's decoded objects above.

Sealing encodes what the batch touched and keeps what really differs, so values may be changed in
place and dropping a batch is forgetting the upper layer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

import orjson

__all__ = ["BatchState", "Changes", "LruCache", "MemoryStore"]

Changes = dict[bytes, bytes | None]
"""Key to new value; None deletes (a tombstone on the changelog)."""

_DELETED: Final = object()


class MemoryStore:
    """Committed state in memory: key to encoded value, as the changelog has it."""

    __slots__ = ("_data",)

    def __init__(self, data: Mapping[bytes, bytes] | None = None) -> None:
        self._data: dict[bytes, bytes] = dict(data or {})

    def get(self, key: bytes) -> bytes | None:
        return self._data.get(key)

    def apply(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Take over changes that were committed, or read back from the changelog."""
        data = self._data
        for key, value in changes.items():
            if value is None:
                data.pop(key, None)
            else:
                data[key] = value

    def keys(self) -> Iterator[bytes]:
        return iter(self._data)

    def __len__(self) -> int:
        return len(self._data)

    def snapshot(self) -> dict[bytes, bytes]:
        """A copy, for inspection and tests."""
        return dict(self._data)


class BatchState:
    """The processor's view of a store during one batch (the ``State`` protocol)."""

    __slots__ = ("_store", "_top")

    def __init__(self, store: MemoryStore) -> None:
        self._store = store
        self._top: dict[bytes, Any] = {}

    def get(self, key: bytes) -> Any | None:
        value = self._top.get(key)
        if value is None:
            encoded = self._store.get(key)
            if encoded is None:
                return None
            value = self._top[key] = orjson.loads(encoded)
        return None if value is _DELETED else value

    def put(self, key: bytes, value: Any) -> None:
        self._top[key] = value

    def delete(self, key: bytes) -> None:
        self._top[key] = _DELETED

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        """Keys that start with ``prefix``; a copy is walked, so deleting meanwhile is fine."""
        top = self._top
        found = [k for k in self._store.keys() if k.startswith(prefix)]  # noqa: SIM118
        for key in found:
            if top.get(key) is not _DELETED:
                yield key
        for key in [k for k in top if k.startswith(prefix)]:
            if top[key] is not _DELETED and self._store.get(key) is None:
                yield key

    def seal(self) -> Changes:
        """Encode what the batch touched; only what differs from the committed bytes is left."""
        get = self._store.get
        changes: Changes = {}
        for key, value in self._top.items():
            encoded = None if value is _DELETED else orjson.dumps(value)
            if encoded != get(key):
                changes[key] = encoded
        return changes

    def forget(self) -> None:
        """Leave the open batch: it was committed (and applied to the store) or dropped."""
        self._top.clear()


class LruCache:
    """A bounded local memory with a batch's additions held back until they are committed.

    Args:
        size: Most entries kept; the least recently used leave first.
    """

    __slots__ = ("_data", "_size", "_staged")

    def __init__(self, size: int) -> None:
        self._size = size
        self._data: OrderedDict[Hashable, Any] = OrderedDict()
        self._staged: dict[Hashable, Any] = {}

    def get(self, key: Hashable) -> Any | None:
        found = self._staged.get(key)
        if found is not None:
            return found
        found = self._data.get(key)
        if found is not None:
            self._data.move_to_end(key)
        return found

    def put(self, key: Hashable, value: Any) -> None:
        self._staged[key] = value

    def apply(self) -> None:
        """The batch was committed: keep what it put."""
        data = self._data
        for key, value in self._staged.items():
            data[key] = value
            data.move_to_end(key)
        self._staged.clear()
        while len(data) > self._size:
            data.popitem(last=False)

    def drop(self) -> None:
        """The batch was dropped: forget what it put."""
        self._staged.clear()

    def __len__(self) -> int:
        return len(self._data)
