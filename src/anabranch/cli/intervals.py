"""Intervals of differences as text, all of a metric on one scale with no difference in it.

::

│   ━━━━●━━━━
┿━━●━━━
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Self

from rich.text import Text

from anabranch.events.models import Comparison, Interval

__all__ = ["WIDTH", "Scale", "draw"]

WIDTH: Final = 29
"""Characters of a drawing; odd, so that a difference of none can be in the middle."""


@dataclass(frozen=True, slots=True)
class Scale:
    """What the first and the last character stand for."""

    low: float
    high: float

    @classmethod
    def of(cls, intervals: Iterable[Interval | None]) -> Self | None:
        """The scale that holds every interval, and no difference; None without intervals."""
        there = [interval for interval in intervals if interval is not None]
        if not there:
            return None
        low = min(0.0, *(interval.low for interval in there))
        high = max(0.0, *(interval.high for interval in there))
        return cls(low, high) if low < high else None

    def place(self, value: float) -> int:
        """The character that a value falls on, from 0."""
        share = (value - self.low) / (self.high - self.low)
        return min(WIDTH - 1, max(0, round(share * (WIDTH - 1))))


def draw(comparison: Comparison, scale: Scale) -> Text:
    """The sequential interval with the estimate in it; bright once it excludes no difference.

    Not green or red: whether more is better, the metric's direction, is no part of the
    results.
    """
    found = comparison.sequential
    line = [" "] * WIDTH
    zero = scale.place(0)
    line[zero] = "│"
    if found is None:
        return Text("".join(line), style="dim")
    for at in range(scale.place(found.low), scale.place(found.high) + 1):
        line[at] = "┿" if at == zero else "━"
    if comparison.difference is not None:
        line[scale.place(comparison.difference)] = "●"
    excluded = found.low > 0 or found.high < 0
    return Text("".join(line), style="bold cyan" if excluded else "dim")
