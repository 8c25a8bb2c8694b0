"""State of one task: committed bytes below, the open batch's decoded objects above.

Sealing encodes what the batch touched and keeps what really differs, so values may be changed in
place and dropping a batch is forgetting the upper layer.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, Final

import orjson

from anabranch.engine.store import INTERNAL, Size, Store

__all__ = ["BatchState", "Changes", "LruCache", "MemoryStore"]

Changes = dict[bytes, bytes | None]
"""Key to new value; None deletes (a tombstone on the changelog)."""

_DELETED: Final = object()


class MemoryStore:
    """A :class:`~anabranch.engine.store.Store` in memory: gone with the process."""

    __slots__ = ("_data", "_position")

    def __init__(self, data: Mapping[bytes, bytes] | None = None) -> None:
        self._data: dict[bytes, bytes] = dict(data or {})
        self._position: int | None = None

    @property
    def position(self) -> int | None:
        return self._position

    def get(self, key: bytes) -> bytes | None:
        return self._data.get(key)

    def apply(self, changes: Mapping[bytes, bytes | None], position: int | None = None) -> None:
        data = self._data
        for key, value in changes.items():
            if value is None:
                data.pop(key, None)
            else:
                data[key] = value
        if position is not None:
            self._position = position

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        found = [k for k in self._data if k.startswith(prefix) and not k.startswith(INTERNAL)]
        return iter(found)

    def clear(self) -> None:
        self._data.clear()
        self._position = None

    def close(self) -> None:
        return None

    def __len__(self) -> int:
        return sum(not key.startswith(INTERNAL) for key in self._data)

    def size(self) -> Size:
        return Size(entries=len(self._data))

    def snapshot(self) -> dict[bytes, bytes]:
        return {key: self._data[key] for key in self.keys()}


class BatchState:
    """The processor's view of a store during one batch (the ``State`` protocol)."""

    __slots__ = ("_store", "_top")

    def __init__(self, store: Store) -> None:
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
        for key in self._store.keys(prefix):
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
                # orjson's bytes hold on to the whole kilobytes they were written into; these stay.
                changes[key] = None if encoded is None else b"%b" % encoded
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
