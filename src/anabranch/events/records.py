"""A Kafka record as everything above the engine sees it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

__all__ = ["Headers", "Record"]

Headers = Sequence[tuple[str, bytes]]


class Record(Protocol):
    """A Kafka record, read-only; ``timestamp`` in milliseconds since the epoch."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def timestamp(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
