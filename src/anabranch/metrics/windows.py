"""Tumbling windows of event time: bounds, names and what may be set.

Windows of whole days may be days of a time zone. They begin at its midnights, so where its clocks
change one is an hour longer or shorter; ``size`` stays what was asked for, and start and end tell
how long it really is. All others begin at multiples of their size since 1970.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from anabranch.errors import SettingsError

__all__ = [
    "DAY",
    "HOUR",
    "MINUTE",
    "Days",
    "WindowSettings",
    "size_name",
    "window_bounds",
    "window_start",
]

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR


class Days(int):
    """A window size of whole days of a time zone: an integer number of milliseconds beside.

    Windows of several days begin at every so many days from 1970-01-01 of the zone's calendar.
    """

    _zone: ZoneInfo

    def __new__(cls, size: int, zone: ZoneInfo) -> Self:
        made = super().__new__(cls, size)
        made._zone = zone
        return made

    def bounds(self, time: int) -> tuple[int, int]:
        """Start and end of the window that holds the time; before 1900, days are those of UTC."""
        if time < _LOCAL_SINCE:
            start = time - time % int(self)
            return start, start + int(self)
        count = int(self) // DAY
        day = (_EPOCH + timedelta(milliseconds=time)).astimezone(self._zone).date()
        first = day.toordinal() - (day.toordinal() - _FIRST_DAY) % count
        return _midnight(first, self._zone), _midnight(first + count, self._zone)


_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_LOCAL_SINCE: Final = -2_208_988_800_000
_FIRST_DAY: Final = date(1970, 1, 1).toordinal()


@lru_cache(maxsize=4096)
def _midnight(day: int, zone: ZoneInfo) -> int:
    """When the day begins; where clocks skip midnight, when they show the day first."""
    begins = datetime.combine(date.fromordinal(day), datetime.min.time(), zone)
    return (begins.astimezone(UTC) - _EPOCH) // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class WindowSettings:
    """Which windows are kept and for how long; all in milliseconds of event time.

    Attributes:
        sizes_ms: Sizes of the tumbling windows, several at once if wanted.
        lateness_ms: How long after its end a window stays open for what is late.
        retention_ms: How long after its end a window is kept for revision.
        idle_ms: How far a silent source falls behind before it no longer holds the watermark back.
        time_zone: Whose midnights windows of whole days begin at, an IANA name.

    Raises:
        SettingsError: a size or a time is not positive, windows are kept shorter than they stay
            open, or there is no such time zone.
    """

    sizes_ms: tuple[int, ...] = (MINUTE,)
    lateness_ms: int = MINUTE
    retention_ms: int = 15 * DAY
    idle_ms: int = 5 * MINUTE
    time_zone: str = "UTC"

    @property
    def sizes(self) -> tuple[int, ...]:
        """The sizes, whole days as :class:`Days` of the time zone."""
        if self.time_zone == "UTC":
            return self.sizes_ms
        zone = _zone(self.time_zone)
        return tuple(size if size % DAY else Days(size, zone) for size in self.sizes_ms)

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
        _zone(self.time_zone)


def _zone(name: str) -> ZoneInfo:
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise SettingsError(
            f"there is no time zone {name!r} to begin days by: give a name like Europe/Berlin; on "
            "a system without time zones, install the package tzdata"
        ) from error


def window_start(time: int, size: int) -> int:
    """Start of the window of that size that holds the time."""
    return time - time % size if type(size) is int else window_bounds(time, size)[0]


def window_bounds(time: int, size: int) -> tuple[int, int]:
    """Start and end of the window of that size that holds the time."""
    if isinstance(size, Days):
        return size.bounds(time)
    start = time - time % size
    return start, start + size


def size_name(size: int) -> str:
    """The size in the largest whole unit: ``1m``, ``90s``, ``1d``, ``250ms``."""
    for unit, name in ((DAY, "d"), (HOUR, "h"), (MINUTE, "m"), (SECOND, "s")):
        if size % unit == 0:
            return f"{size // unit}{name}"
    return f"{size}ms"
