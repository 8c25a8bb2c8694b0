"""Tumbling windows of event time: bounds, names and what may be set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from anabranch.errors import SettingsError

__all__ = ["DAY", "HOUR", "MINUTE", "WindowSettings", "size_name", "window_start"]

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """Which windows are kept and for how long; all in milliseconds of event time.

    Attributes:
        sizes_ms: Sizes of the tumbling windows, several at once if wanted.
        lateness_ms: How long after its end a window stays open for what is late.
        retention_ms: How long after its end a window is kept for revision.
        idle_ms: How far a silent source falls behind before it no longer holds the watermark back.

    Raises:
        SettingsError: a size or a time is not positive, or windows are kept shorter than they
            stay open.
    """

    sizes_ms: tuple[int, ...] = (MINUTE,)
    lateness_ms: int = MINUTE
    retention_ms: int = 15 * DAY
    idle_ms: int = 5 * MINUTE

    def __post_init__(self) -> None:
        if any(size <= 0 for size in self.sizes_ms) or len(set(self.sizes_ms)) < len(self.sizes_ms):
            raise SettingsError(
                f"window sizes {self.sizes_ms} must be distinct and positive, in milliseconds"
            )
        if self.lateness_ms < 0 or self.idle_ms < 0:
            raise SettingsError("allowed lateness and idle time of windows cannot be negative")
        if self.retention_ms < self.lateness_ms:
            raise SettingsError(
                f"windows are kept for {self.retention_ms} ms but stay open for "
                f"{self.lateness_ms} ms: keep them longer, or allow less lateness"
            )


def window_start(time: int, size: int) -> int:
    """Start of the window of that size that holds the time; windows start at the epoch."""
    return time - time % size


def size_name(size: int) -> str:
    """The size in the largest whole unit: ``1m``, ``90s``, ``1d``, ``250ms``."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if size % unit == 0:
            return f"{size // unit}{name}"
    return f"{size}ms"
