"""What one unit did lately: the observations that still may have to be looked at again.

It serves three ends at once: an observation that comes twice is recognised by its id, one that
comes before its exposure waits here, and one whose exposure moves is counted anew.

In state it is one list: a base time, the shapes of observations (event name, then the properties
that it has values of), then five columns in order of event time: identity, time, arrival, index of
the shape, value. Times are offsets from the base, which is some observation's time, and a shape of
one property has the bare value, of more a list, of none 0: so a record is small, and membership
and bisection run at C speed over plain JSON. Records of the layout before (no base, names in place
of shapes, dicts as values) are read and rewritten.
"""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from typing import Any, Final

from anabranch.errors import SettingsError
from anabranch.metrics.windows import DAY

__all__ = ["IDENTITY_BITS", "Ledger", "LedgerSettings", "Values"]

Values = dict[str, int | float]
"""Property to its value, of the properties that metrics add up."""

IDENTITY_BITS: Final = (1 << 53) - 1
"""An identity is that much of a hash. Of a ledger of 10,000 entries one observation in 10^12 is
taken for one of the others."""

CALM: Final = 32
"""A ledger of no more entries is not pruned, and a longer one once every so many entries, so that
pruning costs next to nothing per observation."""


_FIRST_COLUMN: Final = 2
_COLUMNS_BEFORE: Final = 6


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
    """A view of the list in a unit's record; changes go into it in place."""

    __slots__ = (
        "_arrivals",
        "_base",
        "_columns",
        "_ids",
        "_kinds",
        "_known",
        "_shapes",
        "_times",
        "_values",
    )

    def __init__(self, columns: list[Any]) -> None:
        if len(columns) == _COLUMNS_BEFORE:
            columns[:] = _rewritten(columns)
        self._columns = columns
        self._known: set[int] | None = None
        self._base: int | None
        self._shapes: list[list[str]]
        self._ids: list[int]
        self._times: list[int]
        self._arrivals: list[int]
        self._kinds: list[int]
        self._values: list[Any]
        (
            self._base,
            self._shapes,
            self._ids,
            self._times,
            self._arrivals,
            self._kinds,
            self._values,
        ) = columns

    @staticmethod
    def empty() -> list[Any]:
        """The list of a new ledger."""
        return [None, [], [], [], [], [], []]

    def __len__(self) -> int:
        return len(self._ids)

    def __contains__(self, identity: object) -> bool:
        if len(self._ids) <= CALM:
            return identity in self._ids
        if self._known is None:  # worth it for the units that a batch has many observations of
            self._known = set(self._ids)
        return identity in self._known

    @property
    def last(self) -> int | None:
        """Greatest time of all observations."""
        return self._times[-1] + self._base if self._times and self._base is not None else None

    def insert(self, identity: int, time: int, arrival: int, event: str, values: Values) -> None:
        """Remember an observation."""
        if self._known is not None:
            self._known.add(identity)
        base = self._base
        if base is None:
            base = self._base = self._columns[0] = time
        shape = [event, *values]
        shapes = self._shapes
        if shape in shapes:
            kind = shapes.index(shape)
        else:
            kind = len(shapes)
            shapes.append(shape)
        packed: Any = [*values.values()]
        if len(packed) < 2:
            packed = packed[0] if packed else 0
        time -= base
        times = self._times
        if not times or time >= times[-1]:
            times.append(time)
            self._ids.append(identity)
            self._arrivals.append(arrival - base)
            self._kinds.append(kind)
            self._values.append(packed)
            return
        at = bisect_right(times, time)
        times.insert(at, time)
        self._ids.insert(at, identity)
        self._arrivals.insert(at, arrival - base)
        self._kinds.insert(at, kind)
        self._values.insert(at, packed)

    def has(self, event: str, prop: str | None, start: int, end: int) -> bool:
        """Whether the unit did that (with a value of that property) within [start, end)."""
        base = self._base
        if base is None:
            return False
        start -= base
        end -= base
        times = self._times
        at = len(times) - 1
        while at >= 0 and (time := times[at]) >= start:
            if time < end:
                shape = self._shapes[self._kinds[at]]
                if shape[0] == event and (prop is None or prop in shape[1:]):
                    return True
            at -= 1
        return False

    def of(self, event: str, prop: str | None) -> list[tuple[int, int | float]]:
        """Time and value of each observation of the event that has the property, by time.

        Without a property the value is 1.
        """
        base = self._base
        wanted = self._wanted(event, prop)
        if base is None or not wanted:
            return []
        found: list[tuple[int, int | float]] = []
        for time, kind, packed in zip(self._times, self._kinds, self._values, strict=True):
            if kind in wanted:
                at = wanted[kind]
                value = 1 if at is None else packed[at] if type(packed) is list else packed
                found.append((base + time, value))
        return found

    def times(self, event: str) -> list[int]:
        """Time of each observation of the event, in order."""
        return [time for time, _ in self.of(event, None)]

    def latest(self, event: str) -> int | None:
        """Greatest time of an observation of the event."""
        base = self._base
        wanted = self._wanted(event, None)
        if base is None or not wanted:
            return None
        kinds = self._kinds
        for at in range(len(kinds) - 1, -1, -1):
            if kinds[at] in wanted:
                return base + self._times[at]
        return None

    def tidy(self, settings: LedgerSettings, stream_time: int) -> int:
        """Let go of what is over its horizon, now and then, and of too much; how much that was.

        Only what was too much counts: what is over its horizon was meant to go.
        """
        size = len(self._ids)
        if size <= CALM:
            return 0 if size <= settings.most else self.evict(settings.most)
        if size % CALM == 0:
            self.forget(stream_time - settings.horizon_ms)
        return self.evict(settings.most)

    def forget(self, arrived_before: int) -> None:
        """Let go of what arrived before that stream time."""
        base = self._base
        if base is None:
            return
        arrived_before -= base
        keep = [at for at, arrival in enumerate(self._arrivals) if arrival >= arrived_before]
        if len(keep) == len(self._ids):
            return
        self._known = None
        for column in self._columns[_FIRST_COLUMN:]:
            column[:] = [column[at] for at in keep]

    def evict(self, most: int) -> int:
        """Let go of the oldest by event time if there are more than ``most``; how many went."""
        if len(self._ids) <= most:
            return 0
        gone = len(self._ids) - most + most // 8
        self._known = None
        for column in self._columns[_FIRST_COLUMN:]:
            del column[:gone]
        return gone

    def _wanted(self, event: str, prop: str | None) -> dict[int, int | None]:
        """The shapes of the event that have the property, and where in the values it is."""
        return {
            kind: None if prop is None else shape.index(prop, 1) - 1
            for kind, shape in enumerate(self._shapes)
            if shape[0] == event and (prop is None or prop in shape[1:])
        }


def _rewritten(columns: list[Any]) -> list[Any]:
    """The layout before: names, identities of 64 bits, times, arrivals, names' indices, dicts."""
    names, ids, times, arrivals, events, values = columns
    made = Ledger.empty()
    ledger = Ledger(made)
    for at, time in enumerate(times):
        ledger.insert(
            ids[at] & IDENTITY_BITS, time, arrivals[at], names[events[at]], values[at] or {}
        )
    return made
