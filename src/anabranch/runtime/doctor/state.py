"""The folder for state on disk."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from anabranch.runtime.doctor.findings import Finding, Level

__all__ = ["check_state_dir"]

LITTLE: Final = 1 << 30
"""Bytes below which the disk is called nearly full."""

_REMOTE: Final = frozenset({"nfs", "nfs4", "cifs", "smb3", "fuse.sshfs", "9p"})


def check_state_dir(
    folder: Path | None, *, mounts: Path = Path("/proc/mounts"), little: int = LITTLE
) -> Iterator[Finding]:
    """Whether SQLite can write there, and has room; nothing is left behind.

    Args:
        folder: The folder; None keeps state in memory.
        mounts: What is mounted where, as Linux tells it.
        little: Fewer free bytes are told.
    """
    if folder is None:
        yield Finding("state", Level.OK, "in memory, restored from the changelogs at each start")
        return
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder, prefix=".doctor-") as tried:
            db = sqlite3.connect(Path(tried) / "tried.sqlite3")
            try:
                mode = db.execute("PRAGMA journal_mode = WAL").fetchone()[0]
                db.execute("CREATE TABLE tried (one INTEGER)")
                db.commit()
            finally:
                db.close()
    except (OSError, sqlite3.Error) as error:
        yield Finding(
            "state",
            Level.ERROR,
            f"{folder} cannot be written to: {error}",
            "make the folder writable for the worker's user, or set ANABRANCH_STATE_DIR to one "
            "that is",
        )
        return
    kind = _kind(folder, mounts)
    if kind in _REMOTE or mode != "wal":
        yield Finding(
            "state",
            Level.ERROR,
            f"{folder} is on {kind or 'a file system without shared memory'}, where SQLite's "
            "write-ahead log does not work",
            "set ANABRANCH_STATE_DIR to a local disk; the changelogs have everything",
        )
        return
    free = shutil.disk_usage(folder).free
    if free < little:
        yield Finding(
            "state",
            Level.WARNING,
            f"{folder} has {free / (1 << 20):,.0f} MiB left",
            "make room, or set ANABRANCH_STATE_DIR to a larger disk",
        )
    elif kind in {"tmpfs", "ramfs"}:
        yield Finding(
            "state",
            Level.WARNING,
            f"{folder} is on {kind}: it is in memory and gone with the machine",
            "set ANABRANCH_STATE_DIR to a disk, or leave it out",
        )
    else:
        yield Finding("state", Level.OK, f"{folder}: {free / (1 << 30):,.1f} GiB free")


def _kind(folder: Path, mounts: Path) -> str | None:
    """The file system's kind; None where the system does not tell."""
    if not mounts.is_file():
        return None
    at = folder.resolve()
    best, kind = -1, None
    for line in mounts.read_text(encoding="utf-8").splitlines():
        _, point, found, *_ = line.split(" ")
        path = Path(point.replace("\\040", " "))
        if (path == at or path in at.parents) and len(path.parts) >= best:
            best, kind = len(path.parts), found
    return kind
