"""Units and their sample ratio over time, from windows: a restart finds them on the topics."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anabranch.metrics.sample_ratio import sequential_sample_ratio

__all__ = ["course"]


def course(
    windows: Mapping[str, Sequence[Mapping[str, Any]]],
    units: Mapping[str, int],
    expected: Mapping[str, float],
) -> list[dict[str, Any]]:
    """Units of every arm at the end of each window, and the p-value they give at any time.

    Counted back from the latest results, so that windows that are no longer held leave no gap but
    a later beginning. Crossovers are not in results but in windows: where there are many, the
    earliest moments are a little low, and never below zero.

    Args:
        windows: Variant to its windows of first exposures, of one size: ``end`` (milliseconds) and
            ``events``.
        units: Variant to its units by the results.
        expected: Variant to its share.

    Returns:
        By rising time ``{"at": ms, "units": {variant: n}, "pValue": p | None}``.
    """
    by_end: dict[int, dict[str, int]] = {}
    for variant, points in windows.items():
        if variant in units:
            for point in points:
                by_end.setdefault(point["end"], {})[variant] = point["events"]
    left = dict(units)
    found = []
    for end in sorted(by_end, reverse=True):
        found.append({"at": end, "units": left, "pValue": sequential_sample_ratio(left, expected)})
        left = {arm: max(0, n - by_end[end].get(arm, 0)) for arm, n in left.items()}
    return found[::-1]
