"""What a sketch of events has to know of its units: how many pairs of a unit's events are where.

Events of one unit are not independent, and the variance over units of "events in the first bins"
needs the sum over units of the square of that number, at every bin. With Y a unit's events in the
first bins, Y (Y - 1) / 2 is how many pairs of its events have the higher of both there. So a sketch
of the pairs' higher bins has the squares at all bins at once; and one in which each event counts
for its unit's other events has the products of Y and n, the unit's events in all. Both are plain
counts of bins: exact, merged by adding and taken back by subtracting, in any order; and both are
empty while no unit has two events.
"""

from __future__ import annotations

from collections.abc import Mapping

from anabranch.metrics.sketch import add_bins, ordered

__all__ = ["count_pairs", "retract_pairs"]

Bins = dict[str, int]


def count_pairs(bins: Mapping[str, int], name: str, pairs: Bins, others: Bins, sign: int) -> None:
    """An event of a unit comes into a bin (``sign`` 1), or leaves it (-1).

    Args:
        bins: The unit's other events.
        name: The event's bin.
        pairs: Sketch of the higher bins of pairs, changed in place.
        others: Sketch of events, each as often as its unit has others; changed in place.
        sign: Whether it comes or leaves.
    """
    total = 0
    for other, count in bins.items():
        total += count
        higher = other if other != name and ordered((name, other))[1] == other else name
        add_bins(pairs, {higher: count}, sign)
        add_bins(others, {other: count}, sign)
    if total:
        add_bins(others, {name: total}, sign)


def retract_pairs(bins: Mapping[str, int], pairs: Bins, others: Bins) -> None:
    """Take back what a unit of these events added to both sketches."""
    total = sum(bins.values())
    below = 0
    for name in ordered(bins):
        count = bins[name]
        add_bins(pairs, {name: count * below + count * (count - 1) // 2}, -1)
        add_bins(others, {name: count * (total - 1)}, -1)
        below += count
