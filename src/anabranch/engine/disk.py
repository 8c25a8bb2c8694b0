"""State on disk, for more units than memory holds and for restarts that read little back.

SQLite holds the state together with the changelog's offset that it goes with. It is written after
the transaction on Kafka, so after a crash it is behind, never ahead: what is missing is read from
the changelog, beginning at that offset.
"""

from __future__ import annotations

import logging
import secrets
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from anabranch.engine.store import INTERNAL, Size
from anabranch.errors import FencedError

__all__ = ["DiskStore"]

log = logging.getLogger(__name__)

MAX_AGE: Final = 12 * 60 * 60
"""Seconds after which a file that nobody wrote to is not trusted: a broker drops tombstones
``delete.retention.ms`` after compaction, a day by default, and the file would keep what they
deleted."""

_CHUNK: Final = 1_000

_SCHEMA: Final = """
PRAGMA journal_mode = WAL;
PRAGMA synchronous = NORMAL;
PRAGMA cache_size = -65536;
PRAGMA mmap_size = 1073741824;
CREATE TABLE IF NOT EXISTS state (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS checkpoint (
    one INTEGER PRIMARY KEY CHECK (one = 1), owner TEXT NOT NULL, position INTEGER, written REAL
);
"""


class DiskStore:
    """A :class:`~anabranch.engine.store.Store` in a file of its own.

    Opening the file takes it from whoever had it before, on this machine: a worker that was
    stopped in the middle, and wakes up after another has taken over, cannot write to it.

    Args:
        path: The file; folders are made. One that SQLite cannot read is thrown away.
        max_age: Seconds after which an untouched file is thrown away, see :data:`MAX_AGE`.
        clock: Wall clock in seconds since the epoch.
    """

    def __init__(
        self,
        path: Path,
        *,
        max_age: float = MAX_AGE,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._path = path
        self._clock = clock
        self._owner = secrets.token_hex(8)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._db = self._open()
        except sqlite3.DatabaseError as error:
            log.warning("%s cannot be read (%s): restoring from the changelog", path, error)
            self._remove()
            self._db = self._open()
        self._position: int | None
        self._position, written = self._db.execute(
            "SELECT position, written FROM checkpoint"
        ).fetchone()
        if written is not None and clock() - written > max_age:
            log.warning("%s is too old to be trusted: restoring from the changelog", path)
            self.clear()

    def _open(self) -> sqlite3.Connection:
        db = sqlite3.connect(self._path, isolation_level=None)
        try:
            db.executescript(_SCHEMA)
            db.execute(
                "INSERT INTO checkpoint VALUES (1, ?, NULL, NULL) "
                "ON CONFLICT DO UPDATE SET owner = excluded.owner",
                (self._owner,),
            )
        except sqlite3.DatabaseError:
            db.close()
            raise
        return db

    def _remove(self) -> None:
        for suffix in ("", "-wal", "-shm"):
            self._path.with_name(self._path.name + suffix).unlink(missing_ok=True)

    @property
    def position(self) -> int | None:
        return self._position

    def get(self, key: bytes) -> bytes | None:
        row = self._db.execute("SELECT value FROM state WHERE key = ?", (key,)).fetchone()
        return None if row is None else row[0]

    def apply(self, changes: Mapping[bytes, bytes | None], position: int | None = None) -> None:
        position = self._position if position is None else position
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            self._take_checkpoint(position)
            db.executemany(
                "INSERT INTO state VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
                ((key, value) for key, value in changes.items() if value is not None),
            )
            db.executemany(
                "DELETE FROM state WHERE key = ?",
                ((key,) for key, value in changes.items() if value is None),
            )
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        self._position = position

    def _take_checkpoint(self, position: int | None) -> None:
        done = self._db.execute(
            "UPDATE checkpoint SET position = ?, written = ? WHERE owner = ?",
            (position, self._clock(), self._owner),
        )
        if not done.rowcount:
            raise FencedError(f"{self._path} was opened by another worker since")

    def keys(self, prefix: bytes = b"") -> Iterator[bytes]:
        after = prefix
        condition = "key >= ?"
        while True:
            rows = self._db.execute(
                f"SELECT key FROM state WHERE {condition} ORDER BY key LIMIT {_CHUNK}",  # noqa: S608
                (after,),
            ).fetchall()
            for (key,) in rows:
                if not key.startswith(prefix):
                    return
                if not key.startswith(INTERNAL):
                    yield key
            if len(rows) < _CHUNK:
                return
            after, condition = rows[-1][0], "key > ?"

    def clear(self) -> None:
        self._position = None
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM state")
        self._take_checkpoint(None)
        self._db.execute("COMMIT")

    def close(self) -> None:
        self._db.close()

    def __len__(self) -> int:
        count: int = self._db.execute(
            "SELECT count(*) FROM state WHERE key < ? OR key >= ?",
            (INTERNAL, bytes([INTERNAL[0] + 1])),
        ).fetchone()[0]
        return count

    def size(self) -> Size:
        pages, free, of = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_count", "freelist_count", "page_size")
        )
        return Size(bytes=(pages - free) * of)

    def snapshot(self) -> dict[bytes, bytes]:
        rows = self._db.execute("SELECT key, value FROM state")
        return {key: value for key, value in rows if not key.startswith(INTERNAL)}
