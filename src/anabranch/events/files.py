"""Event files: JSON Lines of CloudEvents in structured mode, for replays, tests and examples."""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec

from anabranch.errors import MalformedEventError
from anabranch.events.cloudevents import STRUCTURED, parse_time
from anabranch.events.decoding import CONTEXT, EXPOSURE, TELEMETRY
from anabranch.events.problems import explain
from anabranch.events.records import Headers

__all__ = ["FileEvent", "parse_line"]

_HEADERS: Final[Headers] = (("content-type", STRUCTURED),)
_TOPICS: Final = {CONTEXT: "contexts", EXPOSURE: "exposures", TELEMETRY: "telemetry"}


class FileEvent(NamedTuple):
    """An event of a file as a record of its topic; ``time`` in milliseconds, None if it has none.

    An exposure is keyed by its unit, the others by the first identity they have.
    """

    topic: str
    key: bytes | None
    value: bytes
    headers: Headers
    time: int | None


class _Identities(msgspec.Struct, rename="camel"):
    unit: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    organization_id: str | None = None


class _Line(msgspec.Struct):
    type: str
    time: str | None = None
    data: msgspec.Raw = msgspec.Raw(b"{}")


_decode = msgspec.json.Decoder(_Line).decode
_identities = msgspec.json.Decoder(_Identities).decode


def parse_line(line: bytes, where: str) -> FileEvent:
    """The event of one line. Its data is checked by the stage that takes it.

    Args:
        line: The line, with or without its line feed.
        where: File and line number, for messages.

    Raises:
        MalformedEventError: Not a CloudEvent, or of a type that no topic takes.
    """
    try:
        event = _decode(line)
        time = None if event.time is None else parse_time(event.time)
    except msgspec.ValidationError as error:
        raise MalformedEventError(f"{where}: not a CloudEvent: {explain(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(f"{where}: not JSON: {error}") from None
    except MalformedEventError as error:
        raise MalformedEventError(f"{where}: {error}") from None
    topic = _TOPICS.get(event.type)
    if topic is None:
        raise MalformedEventError(
            f"{where}: type: {event.type!r} is none of {', '.join(sorted(_TOPICS))}"
        )
    return FileEvent(topic, _key(event.data), line.strip(), _HEADERS, time)


def _key(data: msgspec.Raw) -> bytes | None:
    """The first identity; where the data is not as it should be, none: its stage will say so."""
    try:
        found = _identities(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return None
    if found.unit is not None:
        return found.unit.encode()
    for kind, name in (
        ("user", found.user_id),
        ("session", found.session_id),
        ("organization", found.organization_id),
    ):
        if name:
            return f"{kind}:{name}".encode()
    return None
