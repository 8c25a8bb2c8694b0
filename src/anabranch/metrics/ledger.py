"""What one unit did lately: the observations that still may have to be looked at again.

It serves three ends at once: an observation that comes twice is recognised by its id, one that
comes before its exposure waits here, and one whose exposure moves is counted anew.

In state it is six lists: event names, then five columns in order of event time (identity, time,
arrival, index of the event's name, values), so that membership and bisection run at C speed over
plain JSON.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import Any, Final

from anabranch.errors import SettingsError
from anabranch.metrics.windows import DAY

__all__ = ["Ledger", "LedgerSettings", "Values"]

Values = dict[str, int | float]
"""Property to its value, of the properties that metrics add up."""

CALM: Final = 32
"""A ledger of no more entries is not pruned, and a longer one once every so many entries, so that
pruning costs next to nothing per observation."""


@dataclass(frozen=True, slots=True)
class LedgerSettings:
    """How long and how much a unit's ledger remembers.

    What has left the ledger is not recognised as a repeat, no longer waits for an exposure, and
    stays counted as it was when an exposure moves. If its unit crosses over it still leaves the
    cumulative results, whose totals are kept apart, but not the windows.

    Attributes:
        horizon_ms: How long after its arrival an observation is kept, in stream time.
        most: Most entries of one unit; above that an eighth of them leaves, the oldest first.

    Raises:
        SettingsError: a setting is negative, or no entry is allowed.
    """

    horizon_ms: int = 7 * DAY
    most: int = 10_000

    def __post_init__(self) -> None:
        if self.horizon_ms < 0 or self.most <= 0:
            raise SettingsError(
                f"a ledger's horizon ({self.horizon_ms} ms) cannot be negative, and its most "
                f"entries ({self.most}) must be positive"
            )


class Ledger:
    """A view of the six lists in a unit's record; changes go into them in place."""

    __slots__ = ("_arrivals", "_events", "_ids", "_names", "_times", "_values")

    def __init__(self, columns: list[list[Any]]) -> None:
        self._names: list[str]
        self._ids: list[int]
        self._times: list[int]
        self._arrivals: list[int]
        self._events: list[int]
        self._values: list[Values | int]
        (
            self._names,
            self._ids,
            self._times,
            self._arrivals,
            self._events,
            self._values,
        ) = columns

    @staticmethod
    def empty() -> list[list[Any]]:
        """The columns of a new ledger."""
        return [[], [], [], [], [], []]

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, identity: object) -> bool:
        return identity in self._ids

    def insert(self, identity: int, time: int, arrival: int, event: str, values: Values) -> None:
        """Remember an observation."""
        names = self._names
        if event in names:
            index = names.index(event)
        else:
            index = len(names)
            names.append(event)
        times = self._times
        at = bisect_right(times, time)
        times.insert(at, time)
        self._ids.insert(at, identity)
        self._arrivals.insert(at, arrival)
        self._events.insert(at, index)
        self._values.insert(at, values or 0)

    def has(self, event: str, prop: str | None, start: int, end: int) -> bool:
        """Whether the unit did that (with a value of that property) within [start, end)."""
        times = self._times
        if not times or event not in self._names:
            return False
        wanted = self._names.index(event)
        at = bisect_left(times, start)
        events = self._events
        values = self._values
        while at < len(times) and times[at] < end:
            if events[at] == wanted and _carries(values[at], prop):
                return True
            at += 1
        return False

    def of(self, event: str, prop: str | None) -> list[tuple[int, int | float]]:
        """Time and value of each observation of the event that has the property, by time.

        Without a property the value is 1.
        """
        if event not in self._names:
            return []
        wanted = self._names.index(event)
        found: list[tuple[int, int | float]] = []
        for time, index, values in zip(self._times, self._events, self._values, strict=True):
            if index == wanted and _carries(values, prop):
                found.append((time, 1 if prop is None else values[prop]))  # type: ignore[index]  # carries it, so a dict
        return found

    def times(self, event: str) -> list[int]:
        """Time of each observation of the event, in order."""
        if event not in self._names:
            return []
        wanted = self._names.index(event)
        return [
            time for time, index in zip(self._times, self._events, strict=True) if index == wanted
        ]

    def latest(self, event: str) -> int | None:
        """Greatest time of an observation of the event."""
        if event not in self._names:
            return None
        wanted = self._names.index(event)
        events = self._events
        for at in range(len(events) - 1, -1, -1):
            if events[at] == wanted:
                return self._times[at]
        return None

    def prune(self, arrived_before: int) -> None:
        """Let go of what arrived before that stream time, from time to time if there is much."""
        if len(self._ids) > CALM and len(self._ids) % CALM == 0:
            self.forget(arrived_before)

    def forget(self, arrived_before: int) -> None:
        """Let go of what arrived before that stream time."""
        keep = [at for at, arrival in enumerate(self._arrivals) if arrival >= arrived_before]
        if len(keep) == len(self._ids):
            return
        for column in self._columns():
            column[:] = [column[at] for at in keep]

    def evict(self, most: int) -> int:
        """Let go of the oldest by event time if there are more than ``most``; how many went."""
        if len(self._ids) <= most:
            return 0
        gone = len(self._ids) - most + most // 8
        for column in self._columns():
            del column[:gone]
        return gone

    def _columns(self) -> tuple[list[Any], ...]:
        return (self._ids, self._times, self._arrivals, self._events, self._values)


def _carries(values: Values | int, prop: str | None) -> bool:
    return prop is None or (isinstance(values, dict) and prop in values)
