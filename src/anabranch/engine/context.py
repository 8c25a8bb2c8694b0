"""What a log line is about: the partition that is worked on, the request that is answered.

A task of asyncio and all that it starts see what was set in it, so lines of the libraries beneath
are told apart, too. Nothing is put into words before a line is really written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from typing import Any, Final

from anabranch.engine.tracing import BatchSpan
from anabranch.processors.protocol import Record

__all__ = ["ABOUT", "Place", "about"]

Fields = dict[str, Any]

ABOUT: Final[ContextVar[Callable[[], Fields] | None]] = ContextVar("about", default=None)
"""Tells the fields of the lines that are written now."""


def about() -> Fields:
    """The fields of a line that is written now; none where nobody has said."""
    tell = ABOUT.get()
    return {} if tell is None else tell()


class Place:
    """Where a task is: stage, partition, and the batch that is open.

    Args:
        stage: Its name.
        partition: Its number.
        topics: Logical source to the name on the broker.
        positions: Gives logical source to the next offset to read.

    Attributes:
        batch: What is processed; None between batches.
        span: Of the batch.
    """

    __slots__ = ("_partition", "_positions", "_stage", "_topics", "batch", "span")

    def __init__(
        self,
        stage: str,
        partition: int,
        topics: Mapping[str, str],
        positions: Callable[[], Mapping[str, int]],
    ) -> None:
        self._stage = stage
        self._partition = partition
        self._topics = topics
        self._positions = positions
        self.batch: Mapping[str, Sequence[Record]] | None = None
        self.span: BatchSpan | None = None

    def __call__(self) -> Fields:
        """Stage, partition, topics and offsets; of a batch its first offsets, and its size.

        ``topic`` and ``offset`` are lists where there are several.
        """
        fields: Fields = {"stage": self._stage, "partition": self._partition}
        batch = {source: some for source, some in (self.batch or {}).items() if some}
        if batch:
            offsets = {source: records[0].offset for source, records in batch.items()}
            fields["records"] = sum(map(len, batch.values()))
        else:
            offsets = dict(self._positions())
        names = [self._topics.get(source, source) for source in offsets or self._topics]
        fields["topic"] = names[0] if len(names) == 1 else names
        if offsets:
            fields["offset"] = (
                next(iter(offsets.values())) if len(offsets) == 1 else list(offsets.values())
            )
        ids = None if self.span is None else self.span.ids
        if ids is not None:
            fields["trace_id"], fields["span_id"] = ids
        return fields
