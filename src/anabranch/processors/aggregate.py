"""Aggregate: deltas of all attribute partitions into windows and cumulative results.

State of a task, whose partition holds whole experiments:

==============================  ================================================================
``m|task``                      watermarks by source, the watermark, when windows were last swept,
                                hours that have open windows
``r|exp@ver``                   cumulative: as-of, units, crossovers and moments by variant
``w|exp@ver|size|start``        a window: revision, final, exposures and cells by variant
``o|hour``                      windows that end in that hour (since the epoch) and are still open
``h|exp@ver``                   health, see :mod:`anabranch.processors.alerts`
``t|event version``             see :mod:`anabranch.processors.telemetry_health`
==============================  ================================================================

A window closes when the watermark reaches its end plus the allowed lateness; all its cells are
then published once more, as final. A change after that raises the window's revision and is
published as final too. A window that is older than the retention has left the state: what comes
for it is counted as ``late_window_updates``, and its delta goes to the dead letters, while the
cumulative results take it all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from anabranch.errors import (
    InvalidEventError,
    LateEventError,
    UnknownExperimentError,
)
from anabranch.events.cloudevents import format_time
from anabranch.events.models import Delta, Results, SegmentName, VariantDelta
from anabranch.metrics.exact import EXACT, Exact, from_text, text
from anabranch.metrics.moments import Moments
from anabranch.metrics.plan import run_key
from anabranch.metrics.sketch import add_bins
from anabranch.metrics.watermark import watermark
from anabranch.metrics.windows import DAY, HOUR, WindowSettings
from anabranch.processors.alerts import Health, breaches
from anabranch.processors.deltas import moments_of, read_delta
from anabranch.processors.protocol import Batch, Cache, Outputs, Record, State
from anabranch.processors.reports import EXPOSURES, Arm, metric_window, results
from anabranch.processors.telemetry_health import TelemetryHealth
from anabranch.specs import Catalog, ExperimentSpec

__all__ = ["AggregateProcessor"]


_TASK: Final = b"m|task"

Names = tuple[str, str]
"""Experiment and version."""

WindowId = tuple[str, str, int, int]
"""Experiment, version, size, start."""

Cells = set[tuple[str, str]]
"""Variant and metric (or ``$exposures``) of cells that changed."""


class AggregateProcessor:
    """Adds up what the attribute stage has attributed, and watches over it.

    Sources ``deltas`` and ``telemetry-counts``; outputs ``metric-windows``, ``results`` and
    ``alerts``.

    Args:
        catalog: The specs: what is compared with what, and how metrics add up.
        windows: Lateness, retention and idle time. (Sizes are what the deltas bring.)

    Counters: ``deltas``, ``window_revisions``, ``windows_closed``, ``windows_expired``,
    ``late_window_updates``, ``alerts``.
    """

    def __init__(self, catalog: Catalog, *, windows: WindowSettings | None = None) -> None:
        self._catalog = catalog
        self._windows = windows or WindowSettings()
        self._telemetry = TelemetryHealth(catalog)
        self._encode = msgspec.json.Encoder().encode

    def process(self, batch: Batch, state: State, cache: Cache, out: Outputs) -> None:
        del cache
        deltas = batch.sources.get("deltas")
        if deltas:
            self._deltas(deltas, state, out)
        for record in batch.sources.get("telemetry-counts", ()):
            try:
                counts = self._telemetry.read(record)
            except InvalidEventError as error:
                out.dead_letter(record, error)
                continue
            self._telemetry.take(counts, state, out)

    def _deltas(self, records: Sequence[Record], state: State, out: Outputs) -> None:
        task = state.get(_TASK)
        if task is None:
            task = {"clocks": {}, "watermark": None, "swept": None, "open": []}
            state.put(_TASK, task)
        work = _Work(self._windows, task, state, out)
        health = Health(state, out)
        touched: dict[Names, ExperimentSpec] = {}
        segments: set[tuple[Names, str, str]] = set()
        for record in records:
            try:
                delta = read_delta(record)
                spec = self._spec(delta)
            except InvalidEventError as error:
                out.dead_letter(record, error)
                continue
            work.clock(delta)
            if work.accumulate(delta):
                names = delta.experiment, delta.version
                touched[names] = spec
                segments |= {
                    (names, attribute, value)
                    for attribute, values in delta.segments.items()
                    for value in values
                }
            health.observe(delta)
            late = work.apply_windows(delta)
            if late:
                out.count("late_window_updates", late)
                out.dead_letter(record, self._late(delta, late, work.before))
        out.count("deltas", len(records))
        for names, spec in touched.items():
            run = state.get(_run_state(names))
            if run is not None:
                found = self._publish_results(spec, run, out)
                health.judge(spec, found, run["asOf"])
        for names, attribute, value in sorted(segments):
            self._publish_segment(touched[names], SegmentName(attribute, value), state, out)
        work.revise()
        work.close()
        self._publish_windows(work, state, out)
        work.sweep()

    # -- reading ------------------------------------------------------------------------------

    def _spec(self, delta: Delta) -> ExperimentSpec:
        spec = self._catalog.experiments.get(delta.experiment, delta.version)
        if spec is None:
            raise UnknownExperimentError(
                f"the delta is of {delta.experiment!r} {delta.version}, which no spec declares: "
                "publish the spec again, or leave retired specs in place while their data arrives"
            )
        return spec

    def _late(self, delta: Delta, late: int, before: int | None) -> LateEventError:
        reached = "" if before is None else f" (the watermark is {format_time(before)})"
        return LateEventError(
            f"{late} of {len(delta.windows)} window updates of {delta.experiment!r} "
            f"{delta.version} are for windows older than the retention of "
            f"{self._windows.retention_ms} ms{reached}: the cumulative results have taken this "
            "delta, those windows have not; do not replay it"
        )

    # -- publishing ---------------------------------------------------------------------------

    def _publish_segment(
        self, spec: ExperimentSpec, segment: SegmentName, state: State, out: Outputs
    ) -> None:
        run = state.get(_run_state((spec.key, spec.version)))
        if run is None:
            return
        arms = run["segments"][segment.attribute][segment.value]
        found = results(spec, _arms(arms), run["asOf"], segment)
        key = f"{spec.key}|{spec.version}|{segment.attribute}|{segment.value}"
        out.send("segments", key.encode(), self._encode(found))

    def _publish_results(self, spec: ExperimentSpec, run: dict[str, Any], out: Outputs) -> Results:
        key = f"{spec.key}|{spec.version}".encode()
        found = results(spec, _arms(run["variants"]), run["asOf"])
        found.breaches = breaches(spec, found) or msgspec.UNSET
        out.send("results", key, self._encode(found))
        return found

    def _publish_windows(self, work: _Work, state: State, out: Outputs) -> None:
        for (experiment, version, size, start), cells in sorted(work.changed.items()):
            spec = self._catalog.experiments.get(experiment, version)
            window = state.get(_window_state((experiment, version, size, start)))
            if spec is None or window is None:
                continue
            total: Exact
            beside: Exact
            for variant, metric in sorted(cells):
                if metric == EXPOSURES:
                    count = window["exposures"].get(variant, 0)
                    units, events, total, bins, beside = count, count, count, {}, 0
                else:
                    units, events, digits, bins, *more = window["cells"][variant][metric]
                    total = from_text(digits)
                    beside = from_text(more[0]) if more else 0
                made = metric_window(
                    spec,
                    variant,
                    metric,
                    start=start,
                    end=window.get("end", start + size),
                    size=size,
                    units=units,
                    events=events,
                    total=total,
                    bins=bins,
                    beside=beside,
                    revision=window["revision"],
                    final=window["final"],
                )
                if made is not None:
                    key, value = made
                    out.send("metric-windows", key, self._encode(value))


class _Work:
    """One batch's changes to the state.

    Attributes:
        before: The watermark that the batch began with; what is late is late against it.
        changed: Windows to publish, with their cells.
    """

    def __init__(
        self, settings: WindowSettings, task: dict[str, Any], state: State, out: Outputs
    ) -> None:
        self._settings = settings
        self._task = task
        self._state = state
        self._out = out
        self._live: set[str] = set()
        self.before: int | None = task["watermark"]
        self.changed: dict[WindowId, Cells] = {}

    def clock(self, delta: Delta) -> None:
        """Take note of how far the delta's source has come."""
        clocks = self._task["clocks"]
        source = str(delta.source)
        self._live.add(source)
        clocks[source] = max(clocks.get(source, delta.watermark), delta.watermark)

    def accumulate(self, delta: Delta) -> bool:
        """Add to the cumulative moments; False if the delta only told the time."""
        key = _run_state((delta.experiment, delta.version))
        run = self._state.get(key)
        if run is None:
            run = {"asOf": delta.as_of, "variants": {}}
            self._state.put(key, run)
        elif not (delta.variants or delta.segments) and delta.as_of <= run["asOf"]:
            return False
        run["asOf"] = max(run["asOf"], delta.as_of)
        _add_to(run["variants"], delta.variants)
        for attribute, values in delta.segments.items():
            kept = run.setdefault("segments", {}).setdefault(attribute, {})
            for value, variants in values.items():
                _add_to(kept.setdefault(value, {}), variants)
        return True

    def apply_windows(self, delta: Delta) -> int:
        """Add to the windows; how many updates came for windows that are no longer kept."""
        late = 0
        for change in delta.windows:
            name = (delta.experiment, delta.version, change.size, change.start)
            end = change.start + change.size if change.end is None else change.end
            if self.before is not None and end + self._settings.retention_ms <= self.before:
                late += 1
                continue
            window = self._window(name, end)
            cells = self.changed.setdefault(name, set())
            if change.exposures:
                exposures = window["exposures"]
                exposures[change.variant] = exposures.get(change.variant, 0) + change.exposures
                cells.add((change.variant, EXPOSURES))
            if change.metrics:
                kept = window["cells"].setdefault(change.variant, {})
                for metric, moved in change.metrics.items():
                    cell = kept.setdefault(metric, [0, 0, "0", {}])
                    cell[0] += moved.units
                    cell[1] += moved.events
                    cell[2] = text(EXACT.add(from_text(cell[2]), from_text(moved.sum)))
                    add_bins(cell[3], moved.bins)
                    if moved.beside != "0":
                        beside = cell.pop() if len(cell) > 4 else "0"
                        cell.append(text(EXACT.add(from_text(beside), from_text(moved.beside))))
                    cells.add((change.variant, metric))
        return late

    def _window(self, name: WindowId, end: int) -> dict[str, Any]:
        key = _window_state(name)
        window: dict[str, Any] | None = self._state.get(key)
        if window is None:
            # One that should have closed before it was first heard of counts as closed empty.
            closed = self.before is not None and end + self._settings.lateness_ms <= self.before
            window = {"revision": 0, "final": closed, "exposures": {}, "cells": {}}
            if end != name[3] + name[2]:
                window["end"] = end
            self._state.put(key, window)
            if not closed:
                self._open(name, end)
        return window

    def _open(self, name: WindowId, end: int) -> None:
        hour = end // HOUR
        key = _hour_state(hour)
        windows = self._state.get(key)
        if windows is None:
            windows = []
            self._state.put(key, windows)
            self._task["open"].append(hour)
        windows.append([end, *name])

    def revise(self) -> None:
        """Windows that were closed and have changed: a revision each."""
        revised = 0
        for name, cells in self.changed.items():
            window = self._state.get(_window_state(name))
            if cells and window is not None and window["final"]:
                window["revision"] += 1
                revised += 1
        if revised:
            self._out.count("window_revisions", revised)

    def close(self) -> None:
        """Move the watermark on and close the windows that it has passed."""
        task = self._task
        reached = watermark(
            task["clocks"], self._settings.idle_ms, live=self._live, before=self.before
        )
        task["watermark"] = reached
        if reached is not None:
            self._out.level("watermark", reached)
        if reached is None or reached == self.before:
            return
        limit = reached - self._settings.lateness_ms
        closed = 0
        for hour in [hour for hour in task["open"] if hour * HOUR <= limit]:
            key = _hour_state(hour)
            still: list[list[Any]] = []
            for entry in self._state.get(key) or ():
                if entry[0] > limit:
                    still.append(entry)
                    continue
                self._close_one(tuple(entry[1:]))
                closed += 1
            if still:
                self._state.put(key, still)
            else:
                self._state.delete(key)
                task["open"].remove(hour)
        if closed:
            self._out.count("windows_closed", closed)

    def _close_one(self, name: WindowId) -> None:
        window = self._state.get(_window_state(name))
        if window is None:
            return
        window["final"] = True
        self.changed[name] = {(variant, EXPOSURES) for variant in window["exposures"]} | {
            (variant, metric) for variant, cells in window["cells"].items() for metric in cells
        }

    def sweep(self) -> None:
        """Once an hour of watermark, delete the windows that are older than the retention."""
        task = self._task
        reached, swept = task["watermark"], task["swept"]
        if reached is None or (swept is not None and reached < swept + HOUR):
            return
        task["swept"] = reached
        limit = reached - self._settings.retention_ms
        expired = [
            key
            for key in self._state.keys(b"w|")
            if _end_of(key) <= limit + DAY and self._ended(key) <= limit
        ]
        for key in expired:
            self._state.delete(key)
        if expired:
            self._out.count("windows_expired", len(expired))

    def _ended(self, key: bytes) -> int:
        """When the window really ends: a day of a time zone may be longer or shorter."""
        window = self._state.get(key)
        end: int = _end_of(key) if window is None else window.get("end", _end_of(key))
        return end


def _run_state(names: Names) -> bytes:
    return f"r|{run_key(*names)}".encode()


def _window_state(name: WindowId) -> bytes:
    experiment, version, size, start = name
    return f"w|{run_key(experiment, version)}|{size}|{start}".encode()


def _end_of(key: bytes) -> int:
    _, size, start = key.rsplit(b"|", 2)
    return int(start) + int(size)


def _hour_state(hour: int) -> bytes:
    return f"o|{hour}".encode()


def _arms(kept: Mapping[str, Any]) -> dict[str, Arm]:
    """Arms as the state has them."""
    return {
        variant: Arm(
            arm["units"],
            arm["crossovers"],
            {name: Moments.from_state(moments) for name, moments in arm["metrics"].items()},
        )
        for variant, arm in kept.items()
    }


def _add_to(kept: dict[str, Any], variants: Mapping[str, VariantDelta]) -> None:
    """Add changes of arms to what the state has of them."""
    for name, change in variants.items():
        arm = kept.setdefault(name, {"units": 0, "crossovers": 0, "metrics": {}})
        arm["units"] += change.units
        arm["crossovers"] += change.crossovers
        metrics = arm["metrics"]
        for metric, moved in change.metrics.items():
            known = metrics.get(metric)
            moments = Moments() if known is None else Moments.from_state(known)
            moments.add(moments_of(moved))
            metrics[metric] = moments.to_state()
