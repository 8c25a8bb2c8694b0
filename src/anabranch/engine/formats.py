"""Which layout the state of a changelog has, so that older code does not misread newer state.

The first batch that changes anything writes a marker to the changelog, under a key of the
engine's own. Changelogs without one are from before there were markers, and are read. A format is
raised when values that are written can no longer be read by the code before; the code that raises
it goes on reading the older ones.
"""

from __future__ import annotations

import orjson

from anabranch.engine.store import INTERNAL, Store
from anabranch.errors import StateFormatError

__all__ = ["FORMAT_KEY", "check_format", "format_marker"]

FORMAT_KEY = INTERNAL + b"format"


def format_marker(version: int) -> bytes:
    """What the marker says."""
    return orjson.dumps({"format": version})


def check_format(store: Store, version: int, where: str) -> bool:
    """Whether the store's marker is that of ``version``; False where it is older or missing.

    Raises:
        StateFormatError: It is newer, or unreadable.
    """
    marker = store.get(FORMAT_KEY)
    if marker is None:
        return False
    try:
        found = int(orjson.loads(marker)["format"])
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError) as error:
        raise StateFormatError(
            f"{where}: the changelog's format marker {marker[:80]!r} is unreadable: was it written "
            "by something else? Start with the version of anabranch that wrote it"
        ) from error
    if found > version:
        raise StateFormatError(
            f"{where}: the changelog has state of format {found}, and this version of anabranch "
            f"knows formats up to {version}: start a version that is at least as new as the one "
            "that wrote it"
        )
    return found == version
