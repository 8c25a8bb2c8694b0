"""What a task tells of its batches to whoever makes spans of them; by itself to nobody.

Trace context is plain data on this side: headers, which processors carry from a record to what
comes of it. Whoever makes spans may hand the processor records whose ``traceparent`` names a span
of theirs (:class:`TracedRecord`), so that a consumer's span is a child of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, Protocol

from anabranch.processors.protocol import Headers, Record

__all__ = ["NO_SPANS", "BatchSpan", "Spans", "TracedRecord", "refused"]

Records = Mapping[str, Sequence[Record]]
"""Logical source to records."""


class TracedRecord:
    """A record with other headers; what else it has is the original's.

    Args:
        record: As it came.
        headers: Those to be carried on.

    Attributes:
        refused: Why it was put on the dead letters; None where it was not.
    """

    __slots__ = (
        "headers",
        "key",
        "offset",
        "partition",
        "record",
        "refused",
        "timestamp",
        "topic",
        "value",
    )

    def __init__(self, record: Record, headers: Headers) -> None:
        self.record = record
        self.topic = record.topic
        self.partition = record.partition
        self.offset = record.offset
        self.timestamp = record.timestamp
        self.key = record.key
        self.value = record.value
        self.headers = headers
        self.refused: BaseException | None = None


def refused(record: Record, error: BaseException) -> Record:
    """The record as it came, once its span knows that it is put on the dead letters."""
    if not isinstance(record, TracedRecord):
        return record
    record.refused = error
    return record.record


class BatchSpan(Protocol):
    """Told how one attempt at a batch goes; always ended."""

    @property
    def records(self) -> Records:
        """What the processor is to be given."""
        ...

    @property
    def ids(self) -> tuple[str, str] | None:
        """Trace and span in hexadecimal digits, for logs; None where there is no span."""
        ...

    def processed(self) -> None:
        """The processor is done; the transaction comes next."""
        ...

    def committed(self, dead_letters: int) -> None:
        """It is all there."""
        ...

    def failed(self, error: BaseException) -> None:
        """Something raised; nothing was committed, as far as is known."""
        ...

    def end(self) -> None:
        """The attempt is over, whether or not one of the others was told."""
        ...


class Spans(Protocol):
    """Makes spans of what the tasks of a stage do."""

    def begin(self, stage: str, partition: int, records: Records) -> BatchSpan:
        """A batch begins."""
        ...


class _NoSpan:
    __slots__ = ("ids", "records")

    def __init__(self, records: Records) -> None:
        self.records = records
        self.ids: tuple[str, str] | None = None

    def processed(self) -> None:
        return

    def committed(self, dead_letters: int) -> None:
        del dead_letters

    def failed(self, error: BaseException) -> None:
        del error

    def end(self) -> None:
        return


class _NoSpans:
    def begin(self, stage: str, partition: int, records: Records) -> BatchSpan:
        del stage, partition
        return _NoSpan(records)


NO_SPANS: Final[Spans] = _NoSpans()
"""Nobody is told."""
