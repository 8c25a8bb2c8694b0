"""What a batch puts out, held until it is committed."""

from __future__ import annotations

import traceback
from collections import Counter
from collections.abc import Iterable

from anabranch.engine.stage import DEAD_LETTER_SUFFIX
from anabranch.engine.tracing import refused
from anabranch.errors import InvalidEventError
from anabranch.processors.protocol import Headers, Output, Record

Entry = Output
"""Key, value, headers, timestamp in milliseconds."""

ERROR_PREFIX = "__streams.errors."
"""What KIP-1034 puts before the names of a dead letter's headers."""

_HEADER_LIMIT = 8192
"""Bytes kept of one error header: a dead letter must fit where its original fitted."""


class Outbox:
    """Outputs, dead letters and counters of one batch (the ``Outputs`` protocol).

    Args:
        logical: Physical source topic to logical name, to find the dead letters of a record.

    Attributes:
        sizes: Logical topic to bytes, told by a port that knows them.
    """

    __slots__ = ("_logical", "counters", "levels", "reasons", "sizes", "topics")

    def __init__(self, logical: dict[str, str]) -> None:
        self._logical = logical
        self.topics: dict[str, list[Entry]] = {}
        self.counters: dict[str, int] = {}
        self.levels: dict[str, int] = {}
        self.sizes: dict[str, int] = {}
        self.reasons: Counter[str] = Counter()

    def send(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers = (),
        timestamp: int | None = None,
    ) -> None:
        entries = self.topics.get(topic)
        if entries is None:
            entries = self.topics[topic] = []
        entries.append((key, value, headers, timestamp))

    def send_all(self, topic: str, outputs: Iterable[Output]) -> None:
        entries = self.topics.get(topic)
        if entries is None:
            self.topics[topic] = list(outputs)
        else:
            entries.extend(outputs)

    def dead_letter(self, record: Record, error: BaseException) -> None:
        record = refused(record, error)
        self.reasons[type(error).__name__] += 1
        self.send(
            self._logical[record.topic] + DEAD_LETTER_SUFFIX,
            record.key,
            record.value,
            (*record.headers, *error_headers(record, error)),
            record.timestamp,
        )

    @property
    def dead(self) -> int:
        """How many dead letters there are."""
        return self.reasons.total()

    def count(self, name: str, n: int = 1) -> None:
        self.counters[name] = self.counters.get(name, 0) + n

    def level(self, name: str, value: int) -> None:
        self.levels[name] = value


def error_headers(record: Record, error: BaseException) -> Iterable[tuple[str, bytes]]:
    """The headers KIP-1034 puts on a dead letter, as text in UTF-8.

    The stack trace is given where it tells something: not for an invalid event, whose message
    says all there is to say.
    """
    if isinstance(error, InvalidEventError):
        trace = "".join(traceback.format_exception_only(error))
    else:
        trace = "".join(traceback.format_exception(error))
    texts = (
        ("exception", type(error).__name__),
        ("message", str(error)),
        ("stacktrace", trace),
        ("topic", record.topic),
        ("partition", str(record.partition)),
        ("offset", str(record.offset)),
    )
    return tuple(
        (ERROR_PREFIX + name, text.encode("utf-8", "replace")[:_HEADER_LIMIT])
        for name, text in texts
    )
