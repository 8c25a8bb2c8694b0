"""CloudEvents 1.0 on Kafka: the three content modes in, binary mode out.

Sources: CloudEvents 1.0.2 and its Kafka protocol binding 1.0.2. A record is in binary mode when
it has ``ce_`` headers, in structured mode when its content type is
``application/cloudevents+json``, else it is the bare data: then its id is
``topic/partition/offset``, which reading the topic again keeps, its source is ``kafka``, and its
time is the record's timestamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple

import msgspec

from anabranch.errors import (
    EmptyEventError,
    FutureEventError,
    MalformedEventError,
    OversizedEventError,
)
from anabranch.events.problems import explain
from anabranch.processors.protocol import Headers, Record

__all__ = ["BARE_SOURCE", "Envelope", "HeaderMaker", "Limits", "format_time", "open_envelope"]

BARE_SOURCE: Final = "kafka"
STRUCTURED: Final = b"application/cloudevents+json"


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken in at all.

    Attributes:
        max_event_bytes: Largest value.
        future_tolerance_ms: How far an event's time may lie ahead of the clock.
    """

    max_event_bytes: int = 1 << 20
    future_tolerance_ms: int = 5 * 60 * 1000


class Envelope(NamedTuple):
    """An event's attributes and its data, still encoded; ``time`` in ms since the epoch."""

    id: str
    source: str
    time: int
    data: bytes | msgspec.Raw


class _Structured(msgspec.Struct):
    id: str
    source: str
    specversion: str
    type: str
    time: str | None = None
    data: msgspec.Raw = msgspec.Raw()


_decode_structured = msgspec.json.Decoder(_Structured).decode


def open_envelope(record: Record, kind: str, *, now: int, limits: Limits) -> Envelope:
    """The event of a record, whichever mode it is in.

    Args:
        record: As it came.
        kind: The event type that the topic takes, such as ``anabranch.context.v1``.
        now: Wall clock, milliseconds since the epoch.
        limits: What is taken in at all.

    Raises:
        EmptyEventError: The value is null.
        OversizedEventError: The value is above the limit.
        MalformedEventError: Not a CloudEvent, of another type, or with a time that is none.
        FutureEventError: Its time lies too far ahead.
    """
    value = record.value
    if value is None:
        raise EmptyEventError(
            "the value is null: an event needs a JSON object (the topic is not compacted)"
        )
    if len(value) > limits.max_event_bytes:
        raise OversizedEventError(
            f"the value has {len(value):,} bytes, and {limits.max_event_bytes:,} is the limit: "
            "send less, or raise ANABRANCH_MAX_EVENT_BYTES"
        )
    if record.headers:
        headers = dict(record.headers)
        if "ce_id" in headers or "ce_specversion" in headers or "ce_type" in headers:
            event = _binary(record, value, headers, kind)
        elif headers.get("content-type", b"").startswith(STRUCTURED):
            event = _structured(record, value, kind)
        else:
            event = _bare(record, value)
    else:
        event = _bare(record, value)
    if event.time > now + limits.future_tolerance_ms:
        raise FutureEventError(
            f"time: {format_time(event.time)} lies more than {limits.future_tolerance_ms / 1000:g} "
            f"s ahead of the clock ({format_time(now)}): set the sender's clock"
        )
    return event


def _bare(record: Record, value: bytes) -> Envelope:
    event_id = f"{record.topic}/{record.partition}/{record.offset}"
    return Envelope(event_id, BARE_SOURCE, record.timestamp, value)


def _binary(record: Record, value: bytes, headers: dict[str, bytes], kind: str) -> Envelope:
    try:
        version = headers["ce_specversion"]
        event_id = headers["ce_id"].decode()
        source = headers["ce_source"].decode()
        given_kind = headers["ce_type"].decode()
        time = headers.get("ce_time")
        moment = record.timestamp if time is None else parse_time(time.decode())
    except KeyError as error:
        raise MalformedEventError(
            f"header {error.args[0]}: a CloudEvent in binary mode needs it"
        ) from None
    except UnicodeDecodeError:
        raise MalformedEventError("ce_ headers: not UTF-8") from None
    _check(version.decode("ascii", "replace"), event_id, source, given_kind, kind)
    return Envelope(event_id, source, moment, value)


def _structured(record: Record, value: bytes, kind: str) -> Envelope:
    try:
        event = _decode_structured(value)
    except msgspec.ValidationError as error:
        raise MalformedEventError(f"not a CloudEvent: {explain(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise MalformedEventError(f"not JSON: {error}") from None
    _check(event.specversion, event.id, event.source, event.type, kind)
    if not bytes(event.data):
        raise MalformedEventError("data: a CloudEvent here needs JSON data")
    moment = record.timestamp if event.time is None else parse_time(event.time)
    return Envelope(event.id, event.source, moment, event.data)


def _check(version: str, event_id: str, source: str, given_kind: str, kind: str) -> None:
    if not version.startswith("1."):
        raise MalformedEventError(f"specversion: {version!r} is not 1.x")
    if not event_id:
        raise MalformedEventError("id: is empty")
    if not source:
        raise MalformedEventError("source: is empty")
    if given_kind != kind:
        raise MalformedEventError(f"type: {given_kind!r} does not belong here, {kind!r} does")


def parse_time(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 time.

    Raises:
        MalformedEventError: It is none, or has no offset from UTC.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = None
    if moment is None or moment.tzinfo is None:
        raise MalformedEventError(
            f"time: {text[:40]!r} is not an RFC 3339 time with an offset, "
            "such as 2026-01-31T12:00:00Z"
        )
    return round(moment.timestamp() * 1000)


def format_time(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, ``2026-01-31T12:00:00.000Z``."""
    seconds, rest = divmod(ms, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=4096)
def _second(seconds: int) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    except (OverflowError, ValueError, OSError):
        return f"{seconds} s"


class HeaderMaker:
    """Makes the binary-mode headers of one kind of output.

    Args:
        kind: CloudEvents type.
        source: CloudEvents source.
    """

    __slots__ = ("_fixed",)

    def __init__(self, kind: str, source: str) -> None:
        self._fixed: list[tuple[str, bytes]] = [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_type", kind.encode()),
            ("ce_source", source.encode()),
        ]

    def make(self, event_id: bytes, time: bytes) -> Headers:
        """Headers of an event with this id and RFC 3339 time."""
        return [*self._fixed, ("ce_id", event_id), ("ce_time", time)]
