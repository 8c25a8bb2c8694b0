"""From a runtime's output records into the board."""

from __future__ import annotations

from collections.abc import AsyncIterable, Callable
from typing import Protocol

from anabranch.processors.protocol import Headers
from anabranch.web.board import Board

__all__ = ["Feed", "FeedRecord", "pump"]


class FeedRecord(Protocol):
    """A record of an output topic by its logical name, such as ``runtime.Message``.

    ``timestamp`` is in milliseconds since the epoch; None means the moment it was read.
    """

    @property
    def topic(self) -> str: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Headers: ...
    @property
    def timestamp(self) -> int | None: ...


Feed = AsyncIterable[FeedRecord]
"""Records of the output topics as they come, without end; a runtime implements it."""


async def pump(feed: Feed, board: Board, clock: Callable[[], float]) -> None:
    """Put what the feed brings on the board, until the feed ends or the task is cancelled.

    Args:
        feed: Where records come from.
        board: Where they are shown.
        clock: Seconds since the epoch: when a record arrived.
    """
    async for record in feed:
        arrived = int(clock() * 1000)
        timestamp = arrived if record.timestamp is None else record.timestamp
        board.apply(
            record.topic, record.key, record.value, record.headers, timestamp, arrived=arrived
        )
