"""What the board keeps of one experiment run (an experiment in one version)."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from typing import Any

from anabranch.metrics.duration import rate_of_late
from anabranch.processors.reports import EXPOSURES
from anabranch.specs import ExperimentSpec, SuccessMetric
from anabranch.web.course import course
from anabranch.web.outlook import outlook
from anabranch.web.rings import HISTORY_SECONDS, SecondCounts, WindowSeries
from anabranch.web.trends import Trends

__all__ = ["Run"]

SERIES_KEPT = 400
"""Series (metric, window size and variant) of one run."""

VARIANTS_KEPT = 64
"""Variants of one run whose exposures and assignments are counted."""

MISMATCH = 0.001
"""A sample ratio's p-value at any time below which results are not to be trusted."""

SEGMENTS_KEPT = 100
"""Segments (attribute and value) of one run."""

ALERTS_OPEN = 64
"""Alerts of one run that are remembered as not resolved."""

SeriesKey = tuple[str, str, str]
"""Metric, window size, variant."""


class Run:
    """One experiment run, with bounded memory.

    ``changed_at``, ``results_at`` and ``reset_at`` are board versions: when anything, the results,
    or something that was taken away changed last. ``windows`` counts the metric windows kept.
    """

    def __init__(self, experiment: str, version: str) -> None:
        self.experiment = experiment
        self.version = version
        self.spec: ExperimentSpec | None = None
        self.assignments = SecondCounts()
        self.assigned: dict[str, int] = {}
        self.exposures: dict[str, SecondCounts] = {}
        self.results: dict[str, Any] | None = None
        self.trends = Trends()
        self.series: dict[SeriesKey, WindowSeries] = {}
        self.aggregations: dict[str, str] = {}
        self.windows = 0
        self.segments: dict[tuple[str, str], tuple[int, dict[str, Any]]] = {}
        self.first_window: int | None = None
        self.open_alerts: dict[tuple[str, str, str, str], str] = {}
        self.changed_at = 0
        self.results_at = 0
        self.course_at = 0
        self.reset_at = 0
        self.last_arrival: int | None = None
        self._foreseen: tuple[tuple[int, ...], dict[str, Any] | None] | None = None

    @property
    def id(self) -> str:
        """``key@version``."""
        return f"{self.experiment}@{self.version}"

    # -- what arrives -------------------------------------------------------------------------

    def assigned_to(self, variant: str, second: int) -> None:
        """Count an assignment."""
        self.assignments.add(second)
        if variant in self.assigned or len(self.assigned) < VARIANTS_KEPT:
            self.assigned[variant] = self.assigned.get(variant, 0) + 1

    def exposed_to(self, variant: str, second: int) -> None:
        """Count an exposure."""
        counts = self.exposures.get(variant)
        if counts is None:
            if len(self.exposures) >= VARIANTS_KEPT:
                return
            counts = self.exposures[variant] = SecondCounts()
        counts.add(second)

    def window(
        self, key: SeriesKey, aggregation: str, start: int, point: dict[str, Any], version: int
    ) -> None:
        """Set a metric window."""
        series = self.series.get(key)
        if series is None:
            if len(self.series) >= SERIES_KEPT:
                return
            series = self.series[key] = WindowSeries()
        self.aggregations[key[0]] = aggregation
        before = len(series)
        series.put(start, point, version)
        self.windows += len(series) - before
        if key[0] == EXPOSURES:
            self.course_at = version
        if self.first_window is None or start < self.first_window:
            self.first_window = start

    def drop_window(self, key: SeriesKey, start: int, version: int) -> None:
        """Forget a metric window whose record was deleted."""
        series = self.series.get(key)
        if series is not None and series.remove(start):
            self.reset_at = version
            self.windows -= 1
            if not len(series):
                del self.series[key]

    def segment(self, name: tuple[str, str], results: dict[str, Any], version: int) -> None:
        """Set the results of a segment: attribute and value."""
        if name in self.segments or len(self.segments) < SEGMENTS_KEPT:
            kept = ("asOf", "control", "variants", "metrics")
            shown = {"attribute": name[0], "value": name[1]}
            self.segments[name] = version, shown | {field: results[field] for field in kept}

    def thin(self) -> int:
        """Forget the older half of every series of windows; how many went."""
        gone = sum(series.thin() for series in self.series.values())
        self.windows -= gone
        return gone

    def alerted(self, kind: str, data: dict[str, Any]) -> None:
        """Remember an alert until it is resolved."""
        metric, variant, event = (
            str(data.get(name, "")) for name in ("metric", "variant", "event")
        )
        name = kind, metric, variant, event
        state = data.get("state")
        if state == "resolved":
            self.open_alerts.pop(name, None)
        elif state in {"raised", "changed"} and len(self.open_alerts) < ALERTS_OPEN:
            self.open_alerts[name] = kind

    # -- what is shown ------------------------------------------------------------------------

    def summary(self) -> dict[str, Any]:
        """A line of the list of experiments."""
        units = None
        if self.results is not None:
            units = sum(variant["units"] for variant in self.results["variants"])
        return {
            "id": self.id,
            "experiment": self.experiment,
            "version": self.version,
            "title": self.spec.meta.title if self.spec else "",
            "status": self.spec.status.value if self.spec else None,
            "assignments": self.assignments.total,
            "units": units,
            "asOf": self.results["asOf"] if self.results else None,
            "lastArrival": self.last_arrival,
            "owners": list(self.spec.meta.owners) if self.spec else [],
            "started": self._started(),
            "health": self._health(),
            "alerts": len(self.open_alerts),
        }

    def _started(self) -> int | None:
        """When the run began, milliseconds: by its schedule, else its oldest window held."""
        schedule = self.spec.schedule if self.spec else None
        if schedule is not None and schedule.start is not None:
            return round(schedule.start.timestamp() * 1000)
        return self.first_window

    def _health(self) -> str:
        """``mismatch``, ``harm``, ``alert`` or ``good``; ``unknown`` without results."""
        kinds = set(self.open_alerts.values())
        ratio = (self.results or {}).get("srm", {}).get("sequentialPValue")
        if "sample_ratio" in kinds or (ratio is not None and ratio < MISMATCH):
            return "mismatch"
        if "guardrail" in kinds:
            return "harm"
        if kinds:
            return "alert"
        return "good" if self.results else "unknown"

    def detail(self, now: int, since: int) -> dict[str, Any]:
        """Everything of the run, or what changed after the board's version ``since``.

        Args:
            now: Milliseconds since the epoch.
            since: 0, or lower than ``reset_at``, gives everything.
        """
        whole = since == 0 or since < self.reset_at
        shown: dict[str, Any] = {
            "id": self.id,
            "experiment": self.experiment,
            "version": self.version,
            "whole": whole,
            "rates": self._rates(now),
            "totals": {
                "assignments": dict(sorted(self.assigned.items())),
                "exposures": {v: c.total for v, c in sorted(self.exposures.items())},
            },
            "trends": list(self.trends.since(0 if whole else since)),
            "windows": self._windows(0 if whole else since),
            "segments": [
                segment
                for _, (changed, segment) in sorted(self.segments.items())
                if whole or changed > since
            ],
        }
        if whole:
            shown["spec"] = self._spec()
        if whole or self.results_at > since:
            shown["results"] = self.results
        if whole or max(self.results_at, self.course_at) > since:
            exposures = self._exposures()
            shown["course"] = self._course(exposures)
            shown["outlook"] = self._foresee(exposures, now)
        return shown

    def _exposures(self) -> dict[str, list[dict[str, Any]]]:
        """Windows of first exposures by variant: of the size that reaches back furthest."""
        sizes: dict[str, dict[str, list[dict[str, Any]]]] = {}
        for (metric, size, variant), series in self.series.items():
            if metric == EXPOSURES:
                sizes.setdefault(size, {})[variant] = series.since(0)
        return min(sizes.values(), key=_begins) if sizes else {}

    def _foresee(
        self, exposures: dict[str, list[dict[str, Any]]], now: int
    ) -> dict[str, Any] | None:
        """The outlook: by far the dearest of all, so computed once for all who look."""
        known_by = (self.results_at, self.course_at, self.reset_at, now // 60_000)
        if self._foreseen is None or self._foreseen[0] != known_by:
            self._foreseen = known_by, self._outlook(exposures, now)
        return self._foreseen[1]

    def _outlook(
        self, exposures: dict[str, list[dict[str, Any]]], now: int
    ) -> dict[str, Any] | None:
        if self.results is None or not exposures:
            return None
        arrivals: Counter[int] = Counter()
        for points in exposures.values():
            for point in points:
                arrivals[point["start"]] += point["events"]
        some = next(iter(exposures.values()))[0]
        until = round(datetime.fromisoformat(self.results["asOf"]).timestamp() * 1000)
        per_day = rate_of_late(arrivals, some["end"] - some["start"], until)
        return outlook(self.results, self.spec, per_day, now)

    def _course(self, exposures: dict[str, list[dict[str, Any]]]) -> list[dict[str, Any]]:
        if self.results is None or not exposures:
            return []
        units = {arm["id"]: arm["units"] for arm in self.results["variants"]}
        return course(exposures, units, self.results["srm"]["expected"])

    def _rates(self, now: int) -> dict[str, Any]:
        """Counts per second, of whole seconds only: the one that runs would look like a drop."""
        end = now // 1000
        firsts = [
            counts.first
            for counts in (self.assignments, *self.exposures.values())
            if counts.first is not None
        ]
        start = max(min(firsts, default=end), end - HISTORY_SECONDS + 1)
        return {
            "start": start,
            "assignments": self.assignments.between(start, end),
            "exposures": {v: c.between(start, end) for v, c in sorted(self.exposures.items())},
        }

    def _windows(self, since: int) -> list[dict[str, Any]]:
        groups: dict[tuple[str, str], dict[str, list[dict[str, Any]]]] = {}
        for (metric, size, variant), series in sorted(self.series.items()):
            points = series.since(since)
            if points:
                groups.setdefault((metric, size), {})[variant] = points
        return [
            {
                "metric": metric,
                "size": size,
                "aggregation": self.aggregations[metric],
                "variants": variants,
            }
            for (metric, size), variants in groups.items()
        ]

    def _spec(self) -> dict[str, Any] | None:
        """What people wrote about the run; None where its spec is not known here."""
        spec = self.spec
        if spec is None:
            return None
        return {
            "digest": spec.digest,
            "title": spec.meta.title,
            "description": spec.meta.description,
            "owners": list(spec.meta.owners),
            "status": spec.status.value,
            "allocation": spec.allocation.type,
            "control": spec.control_variant,
            "variants": [
                {"id": variant.id, "name": variant.name, "description": variant.description}
                for variant in spec.variants
            ],
            "metrics": [
                {
                    "name": metric.name,
                    "aggregation": metric.aggregation,
                    "event": metric.telemetry_event.label,
                    "property": metric.property,
                    "denominator": _denominator(metric),
                    "steps": [ref.label for ref in (metric.telemetry_event, *metric.steps)]
                    if metric.steps
                    else [],
                    "winsorize": _bounds(metric),
                    "covariate": metric.covariate and {"window": metric.covariate.window},
                    "direction": metric.direction,
                    "target": metric.target,
                }
                for metric in spec.success_metrics
            ],
        }


def _begins(variants: dict[str, list[dict[str, Any]]]) -> tuple[int, int]:
    """Where the windows of a size begin, and how long one is."""
    first = min((points[0] for points in variants.values()), key=lambda point: point["start"])
    return first["start"], first["end"] - first["start"]


def _denominator(metric: SuccessMetric) -> dict[str, Any] | None:
    over = metric.denominator
    if over is None:
        return None
    return {"event": over.telemetry_event.label, "property": over.property}


def _bounds(metric: SuccessMetric) -> dict[str, Any] | None:
    limits = metric.winsorize
    return None if limits is None else {"lower": limits.lower, "upper": limits.upper}
