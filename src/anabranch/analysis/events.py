"""A data frame that has a row for each event, as records of the input topics.

Columns that mean something; a row needs those of its kind, and what it lacks may be missing:

====================  ==========================================================================
``time``              when it happened: a datetime (UTC where it names no zone), RFC 3339, or
                      milliseconds since the epoch
``type``              ``exposure``, ``telemetry`` or ``context``; when left out, a row with a
                      variant is an exposure, one with a name is telemetry, any other a context
``id``                the event's id; its row number when left out, so that no two are the same
``unit``              as in ``user:123``; a plain value is a user
``userId`` …          instead: ``userId``, ``sessionId``, ``organizationId``
``experiment``        of exposures and contexts; of a context all running ones when left out
``version``           of the experiment, or of the telemetry event; ``1.0.0`` when left out
``variant``           of exposures
``name``              of telemetry
====================  ==========================================================================

All other columns are properties of telemetry, and attributes of contexts.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from anabranch.analysis.frames import Frame, rows_of
from anabranch.errors import EventSchemaError, MalformedEventError
from anabranch.events.cloudevents import format_time, parse_time
from anabranch.events.files import parse_line
from anabranch.runtime import Message

__all__ = ["SOURCE", "frame_messages", "told_by_rows"]

SOURCE: Final = "frame"
"""CloudEvents source of a data frame's events."""

_KINDS: Final = ("exposure", "telemetry", "context")
_IDENTITIES: Final = {"user": "userId", "session": "sessionId", "organization": "organizationId"}
_MEANT: Final = frozenset(
    {"time", "type", "id", "unit", "experiment", "version", "variant", "name"}
    | set(_IDENTITIES.values())
)
_encode = msgspec.json.Encoder().encode


def frame_messages(frame: Frame) -> Iterator[Message]:
    """The events of a data frame, in its order.

    Raises:
        EventSchemaError: A row is no event; the message names it.
    """
    for number, told in enumerate(_told(frame)):
        try:
            line = _encode(_event(told, number))
            event = parse_line(line, f"row {number}")
        except (EventSchemaError, MalformedEventError, TypeError, ValueError) as error:
            raise EventSchemaError(f"row {number} of the data frame: {error}") from error
        yield Message(event.topic, event.key, event.value, event.headers, event.time)


def told_by_rows(frame: Frame, attribute: str) -> Iterator[tuple[int, str, tuple[str, ...], Any]]:
    """Time, id, units and value of each exposure and context that has the attribute.

    Raises:
        EventSchemaError: A row is no event.
    """
    for number, row in enumerate(_told(frame)):
        if attribute in row and _kind(row) != "telemetry":
            units = tuple(
                f"{kind}:{_plain(row[name])}" for kind, name in _IDENTITIES.items() if name in row
            )
            yield _time(row), str(row.get("id", number)), units or (_unit(row),), row[attribute]


def _told(frame: Frame) -> Iterator[dict[str, Any]]:
    """The rows, without what is missing."""
    for row in rows_of(frame):
        yield {name: value for name, value in row.items() if value is not None}


def _kind(row: Mapping[str, Any]) -> str:
    kind: str = row.get("type") or (
        "exposure" if "variant" in row else "telemetry" if "name" in row else "context"
    )
    if kind not in _KINDS:
        raise EventSchemaError(f"type: {kind!r} is none of {', '.join(_KINDS)}")
    return kind


def _event(row: Mapping[str, Any], number: int) -> dict[str, Any]:
    kind = _kind(row)
    return {
        "specversion": "1.0",
        "id": str(row.get("id", number)),
        "source": SOURCE,
        "type": f"anabranch.{kind}.v1",
        "time": format_time(_time(row)),
        "data": _DATA[kind](row),
    }


def _time(row: Mapping[str, Any]) -> int:
    value = row.get("time")
    if isinstance(value, datetime):  # a pandas Timestamp is one
        aware = value if value.tzinfo is not None else value.replace(tzinfo=UTC)
        return round(aware.timestamp() * 1000)
    if isinstance(value, str):
        return parse_time(value)
    if isinstance(value, int | float):
        return int(value)
    raise EventSchemaError("time is missing" if value is None else f"time: {value!r} is no time")


def _unit(row: Mapping[str, Any]) -> str:
    if "unit" in row:
        unit = _plain(row["unit"])
        return unit if unit.partition(":")[0] in _IDENTITIES and ":" in unit else f"user:{unit}"
    for kind, name in _IDENTITIES.items():
        if name in row:
            return f"{kind}:{_plain(row[name])}"
    raise EventSchemaError(f"there is no unit: give unit, or {', '.join(_IDENTITIES.values())}")


def _plain(value: Any) -> str:
    """Numbers as people write them: pandas makes floats of integers beside missing values."""
    whole = isinstance(value, float) and value.is_integer()
    return str(int(value)) if whole else str(value)


def _identities(row: Mapping[str, Any]) -> dict[str, str]:
    given = {name: _plain(row[name]) for name in _IDENTITIES.values() if name in row}
    if given:
        return given
    kind, _, value = _unit(row).partition(":")
    return {_IDENTITIES[kind]: value}


def _need(row: Mapping[str, Any], name: str) -> Any:
    if name not in row:
        raise EventSchemaError(f"there is no {name}")
    return row[name]


def _version(row: Mapping[str, Any]) -> str:
    return _plain(row.get("version", "1.0.0"))


def _others(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _MEANT}


def _exposure(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "experiment": _need(row, "experiment"),
        "version": _version(row),
        "variant": _need(row, "variant"),
        "unit": _unit(row),
    }


def _telemetry(row: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "name": _need(row, "name"),
        "version": _version(row),
        **_identities(row),
        "properties": _others(row),
    }


def _context(row: Mapping[str, Any]) -> dict[str, Any]:
    named = {name: row[name] for name in ("experiment",) if name in row}
    versions = {"version": _plain(row["version"])} if "version" in row and named else {}
    return {**named, **versions, **_identities(row), "attributes": _others(row)}


_DATA: Final = {"exposure": _exposure, "telemetry": _telemetry, "context": _context}
