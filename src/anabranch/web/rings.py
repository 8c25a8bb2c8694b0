"""Bounded memories of a live model: counts per second, and the latest windows of a series."""

from __future__ import annotations

from typing import Any

__all__ = ["HISTORY_SECONDS", "WINDOWS_KEPT", "SecondCounts", "WindowSeries"]

HISTORY_SECONDS = 900
"""How far back counts per second reach: 15 minutes."""

WINDOWS_KEPT = 240
"""Windows kept of one metric, window size and variant."""


class SecondCounts:
    """A ring of counts per second, and their total since the beginning.

    Time must not be known in advance: it moves with what is added. An addition that lies before
    the ring adds to the total only.
    """

    __slots__ = ("_counts", "_first", "_last", "total")

    def __init__(self) -> None:
        self._counts = [0] * HISTORY_SECONDS
        self._first: int | None = None
        self._last = 0
        self.total = 0

    def add(self, second: int, n: int = 1) -> None:
        """Count ``n`` in a second since the epoch."""
        self.total += n
        if self._first is None:
            self._first = self._last = second
        elif second > self._last:
            passed = min(second - self._last, HISTORY_SECONDS)
            for past in range(second - passed + 1, second + 1):
                self._counts[past % HISTORY_SECONDS] = 0
            self._last = second
        elif second <= self._last - HISTORY_SECONDS:
            return
        else:
            self._first = min(self._first, second)
        self._counts[second % HISTORY_SECONDS] += n

    @property
    def first(self) -> int | None:
        """The first second that was ever counted; None before."""
        return self._first

    def between(self, start: int, end: int) -> list[int]:
        """Counts of the seconds from ``start`` up to, not including, ``end``."""
        if self._first is None:
            return [0] * max(0, end - start)
        oldest = max(self._first, self._last - HISTORY_SECONDS + 1)
        counts, last = self._counts, self._last
        return [
            counts[second % HISTORY_SECONDS] if oldest <= second <= last else 0
            for second in range(start, end)
        ]


class WindowSeries:
    """The latest windows of one metric, size and variant, by their start.

    Each remembers the board's version at which it changed, so that only news is sent. Points of
    a series have the same fields; they are kept as bare values, for there are many.
    """

    __slots__ = ("_fields", "_points")

    def __init__(self) -> None:
        self._fields: tuple[str, ...] = ()
        self._points: dict[int, tuple[Any, ...]] = {}

    def put(self, start: int, point: dict[str, Any], version: int) -> None:
        """Set the window that starts then; beyond the bound the oldest leaves."""
        points = self._points
        self._fields = self._fields or tuple(point)
        points[start] = (version, *map(point.__getitem__, self._fields))
        if len(points) > WINDOWS_KEPT:
            del points[min(points)]

    def remove(self, start: int) -> bool:
        """Forget a window; whether it was there."""
        return self._points.pop(start, None) is not None

    def since(self, version: int) -> list[dict[str, Any]]:
        """Windows that changed after the version, by rising start."""
        return [
            dict(zip(self._fields, values, strict=True))
            for _, (changed, *values) in sorted(self._points.items())
            if changed > version
        ]

    def thin(self) -> int:
        """Forget the older half; how many went."""
        going = sorted(self._points)[: len(self._points) // 2]
        for start in going:
            del self._points[start]
        return len(going)

    def __len__(self) -> int:
        return len(self._points)
