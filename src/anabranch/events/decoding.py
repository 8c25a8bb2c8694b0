"""From a record to a checked event, one function a topic; a few microseconds each."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import msgspec

from anabranch.errors import (
    EventSchemaError,
    InvalidEventError,
    MalformedEventError,
    SpecValidationError,
)
from anabranch.events.cloudevents import (
    BARE_SOURCE,
    Limits,
    bare_id,
    open_envelope,
    refuse_future,
    refuse_unannounced,
)
from anabranch.events.models import ContextData, ExposureData, TelemetryData
from anabranch.events.problems import explain
from anabranch.events.records import Headers, Record
from anabranch.events.tracing import NO_TRACE
from anabranch.specs.version import normalize_version

__all__ = [
    "CONTEXT",
    "EXPOSURE",
    "TELEMETRY",
    "Context",
    "Exposure",
    "Limits",
    "Telemetry",
    "decode_context",
    "decode_exposure",
    "decode_telemetry",
]

CONTEXT: Final = "anabranch.context.v1"
EXPOSURE: Final = "anabranch.exposure.v1"
TELEMETRY: Final = "anabranch.telemetry.v1"

T = TypeVar("T")


class Context(msgspec.Struct, gc=False):
    """A context event; ``version`` (in the data too) is canonical, None where there is none.

    ``trace`` are the headers of the trace that it belongs to.
    """

    id: str
    source: str
    time: int
    data: ContextData
    version: str | None
    trace: Headers = NO_TRACE


class Exposure(msgspec.Struct, gc=False):
    """An exposure event; ``version`` (in the data too) is canonical."""

    id: str
    source: str
    time: int
    data: ExposureData
    version: str


class Telemetry(msgspec.Struct, gc=False):
    """A telemetry event; ``version`` (in the data too) is canonical.

    ``trace`` are the headers of the trace that it belongs to.
    """

    id: str
    source: str
    time: int
    data: TelemetryData
    version: str
    trace: Headers = NO_TRACE


_context = msgspec.json.Decoder(ContextData).decode
_exposure = msgspec.json.Decoder(ExposureData).decode
_telemetry = msgspec.json.Decoder(TelemetryData).decode


def decode_context(record: Record, *, now: int, limits: Limits) -> Context:
    """The context event of a record.

    Raises:
        InvalidEventError: See :func:`~anabranch.events.cloudevents.open_envelope`; besides
            EventSchemaError, naming the field that is missing or of the wrong type.
    """
    value = record.value
    raw: bytes | msgspec.Raw
    if record.headers or not value or len(value) > limits.max_event_bytes:
        envelope = open_envelope(record, CONTEXT, now=now, limits=limits)
        event_id, source, time = envelope.id, envelope.source, envelope.time
        raw, trace = envelope.data, envelope.trace
    else:  # bare data, which is what most applications send: the same without an envelope
        time = record.timestamp
        if time > now + limits.future_tolerance_ms:
            refuse_future(time, now, limits)
        if b'"specversion"' in value:
            refuse_unannounced(value, CONTEXT)
        event_id, source, raw, trace = bare_id(record), BARE_SOURCE, value, NO_TRACE
    try:
        data = _context(raw)
    except (ValueError, RecursionError) as error:
        raise _undecodable(error) from None
    version = data.version
    if version is not None:
        if data.experiment is None:
            raise EventSchemaError(
                "version: is given without an experiment: name the experiment too"
            )
        data.version = version = _version(version)
    return Context(event_id, source, time, data, version, trace)


def decode_exposure(record: Record, *, now: int, limits: Limits) -> Exposure:
    """The exposure event of a record; raises as :func:`decode_context` does."""
    envelope = open_envelope(record, EXPOSURE, now=now, limits=limits)
    data = _data(_exposure, envelope.data)
    data.version = version = _version(data.version)
    return Exposure(envelope.id, envelope.source, envelope.time, data, version)


def decode_telemetry(record: Record, *, now: int, limits: Limits) -> Telemetry:
    """The telemetry event of a record; raises as :func:`decode_context` does."""
    envelope = open_envelope(record, TELEMETRY, now=now, limits=limits)
    data = _data(_telemetry, envelope.data)
    data.version = version = _version(data.version)
    return Telemetry(envelope.id, envelope.source, envelope.time, data, version, envelope.trace)


def _data(decode: Callable[[bytes | msgspec.Raw], T], data: bytes | msgspec.Raw) -> T:
    try:
        return decode(data)
    except (ValueError, RecursionError) as error:
        raise _undecodable(error) from None


def _undecodable(error: Exception) -> InvalidEventError:
    """Why data could not be decoded: msgspec's errors, and broken UTF-8, are ValueErrors."""
    if isinstance(error, msgspec.ValidationError):
        return EventSchemaError(explain(error))
    return MalformedEventError(f"not JSON: {error}")


def _version(version: str | int) -> str:
    try:
        return normalize_version(version)
    except SpecValidationError as error:
        raise EventSchemaError(str(error)) from None
