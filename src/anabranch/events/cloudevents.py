"""CloudEvents 1.0 on Kafka: the three content modes in, binary mode out.

Sources: CloudEvents 1.0.2, its JSON format and its Kafka protocol binding 1.0.2. As the binding
has it, a content type that begins with ``application/cloudevents`` tells structured mode, else
headers that begin with ``ce_`` tell binary mode. Whatever is neither is the bare data: its id is
``topic/partition/offset``, which reading the topic again keeps, its source is ``kafka``, and its
time is the record's timestamp.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, Final, NoReturn

import msgspec

from anabranch.errors import (
    EmptyEventError,
    FutureEventError,
    MalformedEventError,
    OversizedEventError,
)
from anabranch.events.problems import explain
from anabranch.events.records import Headers, Record
from anabranch.events.tracing import NO_TRACE, trace_of, traced

__all__ = [
    "BARE_SOURCE",
    "STRUCTURED",
    "Envelope",
    "HeaderMaker",
    "Limits",
    "bare_id",
    "format_time",
    "open_envelope",
    "parse_time",
    "refuse_future",
    "refuse_unannounced",
    "time_header",
]

BARE_SOURCE: Final = "kafka"
STRUCTURED: Final = b"application/cloudevents+json"
_CLOUDEVENTS: Final = b"application/cloudevents"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class Limits:
    """What is taken in at all.

    Attributes:
        max_event_bytes: Largest value.
        future_tolerance_ms: How far an event's time may lie ahead of the clock.
    """

    max_event_bytes: int = 1 << 20
    future_tolerance_ms: int = 5 * 60 * 1000


class Envelope(msgspec.Struct, gc=False):
    """An event's attributes and its data, still encoded; ``time`` in ms since the epoch.

    Attributes:
        trace: What to carry on of the trace it belongs to, see :mod:`anabranch.events.tracing`.
    """

    id: str
    source: str
    time: int
    data: bytes | msgspec.Raw
    trace: Headers = NO_TRACE


class _Structured(msgspec.Struct):
    id: str
    source: str
    specversion: str
    type: str
    time: str | None = None
    data: msgspec.Raw = msgspec.Raw()
    data_base64: bytes | None = None
    # Of any type, for a trace is never a reason to refuse an event.
    traceparent: Any = None
    tracestate: Any = None


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
            "the value is null: send a JSON object, for nothing is deleted from this topic by key"
        )
    if len(value) > limits.max_event_bytes:
        raise OversizedEventError(
            f"the value has {len(value):,} bytes, and {limits.max_event_bytes:,} is the limit: "
            "send less, or raise ANABRANCH_MAX_EVENT_BYTES"
        )
    headers = record.headers
    if not headers:
        event = _bare(record, value, kind)
    else:
        # Kafka allows a header without a value, which its type here does not say.
        found: dict[str, bytes | None] = dict(headers)
        content_type = found.get("content-type")
        if content_type and len(content_type) >= 23 and _is_structured(content_type):
            event = _structured(record, value, content_type, kind)
        elif "ce_id" in found or any(name.startswith("ce_") for name in found):
            event = _binary(record, value, found, kind)
        else:
            event = _bare(record, value, kind)
        if "traceparent" in found or "ce_traceparent" in found:
            event.trace = trace_of(found)
    if event.time > now + limits.future_tolerance_ms:
        refuse_future(event.time, now, limits)
    return event


def refuse_future(time: int, now: int, limits: Limits) -> NoReturn:
    """Raises FutureEventError."""
    raise FutureEventError(
        f"time: {format_time(time)} lies more than {limits.future_tolerance_ms / 1000:g} s ahead "
        f"of the clock ({format_time(now)}): set the sender's clock"
    )


def _is_structured(content_type: bytes) -> bool:
    return content_type[:23].lower() == _CLOUDEVENTS


def _bare(record: Record, value: bytes, kind: str) -> Envelope:
    if b'"specversion"' in value:
        refuse_unannounced(value, kind)
    return Envelope(bare_id(record), BARE_SOURCE, record.timestamp, value)


def refuse_unannounced(value: bytes, kind: str) -> None:
    """Refuses a whole CloudEvent of the topic's type whose header does not tell that it is one.

    As bare data it would lack every field, and the error would speak of those.

    Raises:
        MalformedEventError: It is one.
    """
    try:
        event = _decode_structured(value)
    except (ValueError, RecursionError):
        return
    if event.type == kind:
        raise MalformedEventError(
            "the value is a whole CloudEvent, and no header says so: send the header content-type: "
            f"{STRUCTURED.decode()} with it"
        )


def bare_id(record: Record) -> str:
    """Id of an event that is nothing but its data."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def _binary(record: Record, value: bytes, headers: dict[str, bytes | None], kind: str) -> Envelope:
    version = headers.get("ce_specversion")
    event_id = headers.get("ce_id")
    source = headers.get("ce_source")
    given_kind = headers.get("ce_type")
    time = headers.get("ce_time")
    if not (version and event_id and source and given_kind):
        _incomplete(headers)
    try:
        if not version.startswith(b"1."):
            _wrong_version(version.decode())
        if given_kind != kind.encode():
            _wrong_kind(given_kind.decode(), kind)
        return Envelope(
            event_id.decode(),
            source.decode(),
            record.timestamp if time is None else parse_time(time.decode()),
            value,
        )
    except UnicodeDecodeError:
        raise MalformedEventError(
            "headers ce_…: one is not UTF-8: encode it, as the Kafka protocol binding asks"
        ) from None


def _structured(record: Record, value: bytes, content_type: bytes, kind: str) -> Envelope:
    if content_type[23:28].lower() != b"+json":
        shown = content_type[:80].decode("utf-8", "replace")
        raise MalformedEventError(
            f"header content-type: {shown!r} is not taken: send single events as "
            f"{STRUCTURED.decode()}"
        )
    try:
        event = _decode_structured(value)
    except msgspec.ValidationError as error:
        raise MalformedEventError(f"not a CloudEvent: {explain(error)}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(f"not JSON: {error}") from None
    if not event.specversion.startswith("1."):
        _wrong_version(event.specversion)
    if not event.id or not event.source:
        raise MalformedEventError(
            f"{'source' if event.id else 'id'}: is empty, and a CloudEvent needs it: set it"
        )
    if event.type != kind:
        _wrong_kind(event.type, kind)
    data: bytes | msgspec.Raw = event.data
    if not bytes(data):
        if event.data_base64 is None:
            raise MalformedEventError("data: is missing: put the event's JSON object there")
        data = event.data_base64
    moment = record.timestamp if event.time is None else parse_time(event.time)
    return Envelope(event.id, event.source, moment, data, _trace(event))


def _trace(event: _Structured) -> Headers:
    parent, state = event.traceparent, event.tracestate
    if not isinstance(parent, str):
        return NO_TRACE
    known = state.encode("utf-8", "replace") if isinstance(state, str) else None
    return traced(parent.encode("utf-8", "replace"), known)


def _incomplete(headers: dict[str, bytes | None]) -> NoReturn:
    needed = ("ce_specversion", "ce_id", "ce_source", "ce_type")
    name = next(name for name in needed if not headers.get(name))
    raise MalformedEventError(
        f"header {name}: is {'empty' if name in headers else 'missing'}, and a CloudEvent in "
        "binary mode needs it: set it"
    )


def _wrong_version(version: str) -> NoReturn:
    raise MalformedEventError(f"specversion: {version[:40]!r} is not 1.x: send CloudEvents 1.0")


def _wrong_kind(given: str, wanted: str) -> NoReturn:
    raise MalformedEventError(
        f"type: {given[:80]!r} does not belong on this topic: it takes {wanted}"
    )


def parse_time(text: str) -> int:
    """Milliseconds since the epoch of an RFC 3339 time; what is finer is cut off.

    Other forms of ISO 8601 are taken too, as long as they say their offset from UTC.

    Raises:
        MalformedEventError: It is no time, or has no offset.
    """
    moment: datetime | None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = _lower_case_time(text)
    if moment is None or moment.tzinfo is None:
        raise MalformedEventError(
            f"time: {text[:40]!r} is not an RFC 3339 time with an offset: write it as in "
            "2026-01-31T12:00:00Z"
        )
    return (moment - _EPOCH) // _MILLISECOND


def _lower_case_time(text: str) -> datetime | None:
    """RFC 3339, section 5.6, allows t and z; Python does not."""
    try:
        return datetime.fromisoformat(text.upper())
    except ValueError:
        return None


def format_time(ms: int) -> str:
    """RFC 3339 in UTC with milliseconds, ``2026-01-31T12:00:00.000Z``.

    A time outside the years 1 to 9999, which RFC 3339 cannot write, is given in seconds.
    """
    return _formatted(ms).decode()


def _formatted(ms: int) -> bytes:
    return b"%b%03dZ" % (_second(ms // 1000), ms % 1000)


@lru_cache(maxsize=4096)
def _second(seconds: int) -> bytes:
    try:
        return (_EPOCH + timedelta(seconds=seconds)).isoformat()[:19].encode() + b"."
    except OverflowError:
        return b"%d s." % seconds


class HeaderMaker:
    """Makes the binary-mode headers of one kind of output.

    Args:
        kind: CloudEvents type.
        source: CloudEvents source.

    Attributes:
        fixed: The headers that do not depend on the event.
    """

    __slots__ = ("fixed",)

    def __init__(self, kind: str, source: str) -> None:
        self.fixed: tuple[tuple[str, bytes], ...] = (
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_type", kind.encode()),
            ("ce_source", source.encode()),
        )

    def make(self, event_id: bytes, time: tuple[str, bytes]) -> Headers:
        """Headers of an event with this id; ``time`` as :func:`time_header` has it."""
        return [*self.fixed, ("ce_id", event_id), time]


@lru_cache(maxsize=256)
def time_header(ms: int) -> tuple[str, bytes]:
    """The ``ce_time`` header, to be shared by all outputs of one event."""
    return "ce_time", _formatted(ms)
