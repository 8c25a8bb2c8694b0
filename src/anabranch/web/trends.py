"""How the intervals of a run's comparisons came to be what they are: a bounded memory over time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from anabranch.events.models import Comparison, Results

__all__ = ["POINTS_KEPT", "TRENDS_KEPT", "Trends"]

POINTS_KEPT: Final = 240
"""Moments kept of a comparison; beyond them every second one goes, and all of its time stays."""

TRENDS_KEPT: Final = 60
"""Comparisons (metric and variant) of one run."""


class _Trend:
    __slots__ = ("points", "spacing")

    def __init__(self) -> None:
        self.points: list[tuple[int, dict[str, Any]]] = []
        self.spacing = 0

    def put(self, at: int, point: dict[str, Any], version: int) -> bool:
        """Set the latest moment; whether earlier ones were taken away."""
        points = self.points
        rebuilt = bool(points) and at < points[-1][1]["at"]
        if rebuilt:  # results begin anew, as after a rebuild of the state
            points.clear()
            self.spacing = 0
        if len(points) > 1 and at - points[-2][1]["at"] < max(1, self.spacing):
            points[-1] = (version, point)
            return rebuilt
        points.append((version, point))
        if len(points) <= POINTS_KEPT:
            return rebuilt
        self.points = points[::2]
        self.spacing = (at - points[0][1]["at"]) // (POINTS_KEPT // 2)
        return True


class Trends:
    """The differences of one run and their intervals, by metric and variant, over event time."""

    def __init__(self) -> None:
        self._trends: dict[tuple[str, str], _Trend] = {}

    def put(self, results: Results, at: int, version: int) -> bool:
        """Add what results say; whether earlier moments were taken away.

        Args:
            results: Of the run.
            at: As of when they are, milliseconds since the epoch.
            version: Of the board.
        """
        taken = False
        for metric in results.metrics:
            for comparison in metric.comparisons:
                if comparison.difference is None:
                    continue
                key = metric.name, comparison.variant
                trend = self._trends.get(key)
                if trend is None:
                    if len(self._trends) >= TRENDS_KEPT:
                        continue
                    trend = self._trends[key] = _Trend()
                taken |= trend.put(at, _point(at, comparison), version)
        return taken

    def clear(self) -> None:
        """Forget everything."""
        self._trends.clear()

    def since(self, version: int) -> Iterator[dict[str, Any]]:
        """What changed after a version of the board.

        Of each comparison ``{"metric", "variant", "points": [{"n", "at", "difference",
        "sequential": [low, high] | null, "fixed": …}]}``; n counts from 0.
        """
        for (metric, variant), trend in sorted(self._trends.items()):
            news = [
                {"n": n} | point
                for n, (changed, point) in enumerate(trend.points)
                if changed > version
            ]
            if news:
                yield {"metric": metric, "variant": variant, "points": news}


def _point(at: int, comparison: Comparison) -> dict[str, Any]:
    sequential, fixed = comparison.sequential, comparison.fixed
    return {
        "at": at,
        "difference": comparison.difference,
        "sequential": None if sequential is None else [sequential.low, sequential.high],
        "fixed": None if fixed is None else [fixed.low, fixed.high],
    }
