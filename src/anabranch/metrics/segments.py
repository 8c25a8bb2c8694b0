"""What units add to the segments of their run: the whole of it, taken away and put back.

A unit belongs to the segments that its first exposure named. How it came to what it adds is no
matter: before a batch all that it adds is put down, after it again, and the difference is what its
segments change by. So everything that counting knows of repeats, late records, crossovers and moved
exposures holds for segments too, and runs without segments pay nothing.

Among a unit's totals of a run its segments lie under ``$segments``, attribute to value.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from anabranch.metrics.changes import RunChanges, VariantChanges
from anabranch.metrics.plan import RunPlan
from anabranch.metrics.prior import leave
from anabranch.metrics.totals import Totals, retract

__all__ = ["SEGMENTS", "Parts", "name_segments", "parts_of", "rename_segments", "settle"]

SEGMENTS: Final = "$segments"

Parts = dict[str, tuple[Mapping[str, str], str, VariantChanges]]
"""Of one unit, by run: its segments, its variant, and what its leaving would change."""


def name_segments(totals: Totals, segments: Mapping[str, str]) -> None:
    """The unit's first exposure named these."""
    totals[SEGMENTS] = dict(segments)  # type: ignore[assignment]


def rename_segments(totals: Totals, segments: Mapping[str, str]) -> bool:
    """Another exposure at the same time named these; whether they take the others' place."""
    known: Mapping[str, str] = totals.get(SEGMENTS, {})  # type: ignore[assignment]
    if sorted(segments.items()) >= sorted(known.items()):
        return False
    name_segments(totals, segments)
    return True


def parts_of(runs: Mapping[str, list[Any]], plans: Mapping[str, RunPlan]) -> Parts:
    """What a unit adds now, of each run that has segments.

    Args:
        runs: The unit's, as they lie in its record.
        plans: Runs with segments, by their key.
    """
    found: Parts = {}
    for key, run in runs.items():
        plan = plans.get(key)
        if plan is None or len(run[1]) != 1:
            continue
        totals: Totals = dict(run[2])
        segments: Mapping[str, str] = totals.pop(SEGMENTS, {})  # type: ignore[assignment]
        taken = VariantChanges()
        taken.units = -1
        leave(totals, taken)
        retract(totals, taken, plan.measures)
        found[key] = segments, run[1][0], taken
    return found


def settle(before: Parts, after: Parts, changes: Mapping[str, RunChanges]) -> None:
    """Tell the runs' segments what has changed between two moments of one unit.

    Args:
        before: What the unit added at first.
        after: What it adds now.
        changes: Of a run, by its key; made when asked for.
    """
    for parts, sign in ((before, 1), (after, -1)):
        for key, (segments, variant, taken) in parts.items():
            of_run = changes[key].segments
            for attribute, value in segments.items():
                of_segment = of_run[attribute, value, variant]
                of_segment.units += sign * taken.units
                for metric, moments in taken.moments.items():
                    of_segment.moments[metric].add(moments, sign)
