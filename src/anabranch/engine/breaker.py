"""A circuit breaker against draining a topic into its dead letters.

One bad record is the record's fault. When most of them fail, the fault is more likely ours: a
broken deploy, a spec that went missing. Then the partition waits instead, and nothing is lost.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When a partition stops dead-lettering.

    Attributes:
        share: Largest share of recent records that may be dead letters; 1 switches it off.
        window: How many recent records are looked at.
        minimum: Fewer records than this never stop anything.
        pause: Seconds before the same records are tried again.
    """

    share: float = 0.5
    window: int = 1000
    minimum: int = 100
    pause: float = 15.0


class Breaker:
    """Judges whether the next batch may be committed, from what was committed lately."""

    __slots__ = ("_batches", "_dead", "_records", "_settings")

    def __init__(self, settings: BreakerSettings) -> None:
        self._settings = settings
        self._batches: deque[tuple[int, int]] = deque()
        self._records = 0
        self._dead = 0

    def refuses(self, records: int, dead: int) -> bool:
        """Whether this many dead letters in a batch would be too many, with those before it."""
        total = self._records + records
        return (
            dead > 0
            and total >= self._settings.minimum
            and self._dead + dead > self._settings.share * total
        )

    def committed(self, records: int, dead: int) -> None:
        """The batch was committed: it counts as recent until enough others have come."""
        self._batches.append((records, dead))
        self._records += records
        self._dead += dead
        while self._records - self._batches[0][0] >= self._settings.window:
            gone, gone_dead = self._batches.popleft()
            self._records -= gone
            self._dead -= gone_dead

    def describe(self, records: int, dead: int) -> str:
        """The figures behind a refusal."""
        return (
            f"{self._dead + dead:,} of the last {self._records + records:,} records are dead "
            f"letters, and more than {self._settings.share:.0%} is taken for a fault of ours"
        )
