"""The health of runs as the aggregate stage watches it: from deltas and results to alerts.

State of a task, beside the aggregate's own: ``h|exp@ver``, an object with

===========  ===================================================================================
``alarms``   by subject, see :mod:`anabranch.metrics.alarms`
``size``     the smallest window size that deltas have brought; only those windows are looked at
``hours``    the latest hours, by where they begin: first exposures by variant
``exposed``  start of the latest window with an exposure
``seen``     by metric: end of the latest window with an event, and units exposed since
===========  ===================================================================================

It is committed with the alerts, so each is told exactly once, restarts or not.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final

import msgspec

from anabranch.events.cloudevents import format_time
from anabranch.events.ids import alert_id
from anabranch.events.models import Alert, Breach, Delta, MetricResult, Results, WindowDelta
from anabranch.metrics.alarms import Told, follow
from anabranch.metrics.health import (
    Kind,
    Quiet,
    Verdict,
    harm,
    hour_of,
    imbalance,
    sample_ratio_mismatch,
    silence,
)
from anabranch.metrics.plan import run_key
from anabranch.processors.protocol import Outputs, State
from anabranch.specs import ExperimentSpec, SuccessMetric

__all__ = ["Health", "alert_of", "breaches"]

_HOURS_KEPT: Final = 3
_TIMES: Final = frozenset({"start", "lastEvent", "lastExposure"})
"""Evidence in milliseconds, told in RFC 3339."""

_encode = msgspec.json.Encoder().encode


class Health:
    """The runs' health during one batch.

    Args:
        state: The task's.
        out: Where alerts go.
    """

    def __init__(self, state: State, out: Outputs) -> None:
        self._state = state
        self._out = out

    def observe(self, delta: Delta) -> None:
        """Take note of what a delta says of exposures and events in time."""
        sizes = {window.size for window in delta.windows}
        if not sizes:
            return
        kept = self._kept(delta.experiment, delta.version)
        size = kept["size"] = min(kept["size"] or min(sizes), *sizes)
        windows = [window for window in delta.windows if window.size == size]
        seen: dict[str, list[int]] = kept["seen"]
        for window in windows:
            for metric, moved in window.metrics.items():
                end = _end(window)
                last = seen.get(metric)
                if moved.events > 0 and (last is None or end > last[0]):
                    seen[metric] = [end, 0]
        for window in windows:
            if window.exposures:
                self._exposed(kept, window)

    @staticmethod
    def _exposed(kept: dict[str, Any], window: WindowDelta) -> None:
        hours = kept["hours"]
        name = str(hour_of(window.start, window.size))
        if len(hours) >= _HOURS_KEPT and name not in hours and int(name) < min(map(int, hours)):
            return
        units = hours.setdefault(name, {})
        units[window.variant] = units.get(window.variant, 0) + window.exposures
        if window.exposures > 0:
            kept["exposed"] = max(kept["exposed"] or window.start, window.start)
            for last in kept["seen"].values():
                if window.start >= last[0]:
                    last[1] += window.exposures

    def judge(self, spec: ExperimentSpec, found: Results, at: int) -> None:
        """Tell what has changed about a run's health.

        Args:
            spec: The run's.
            found: Its results now.
            at: As of when, milliseconds.
        """
        kept = self._kept(spec.key, spec.version)
        for verdict in _verdicts(spec, found, kept):
            told = follow(kept["alarms"], verdict, at)
            if told is not None:
                alert = alert_of(verdict, told, at, spec.key, spec.version)
                self._out.send("alerts", spec.key.encode(), _encode(alert))
                self._out.count("alerts")
        hours = kept["hours"]
        for name in sorted(hours, key=int)[:-_HOURS_KEPT]:
            del hours[name]

    def _kept(self, experiment: str, version: str) -> dict[str, Any]:
        key = f"h|{run_key(experiment, version)}".encode()
        kept: dict[str, Any] | None = self._state.get(key)
        if kept is None:
            kept = {"alarms": {}, "size": None, "hours": {}, "exposed": None, "seen": {}}
            self._state.put(key, kept)
        return kept


def breaches(spec: ExperimentSpec, found: Results) -> list[Breach]:
    """What a run's figures breach at this moment: a function of the results alone."""
    return [
        Breach(kind=str(one.kind), metric=one.metric, variant=one.variant)
        for one in _of_figures(spec, found)
        if one.word == "breach"
    ]


def _of_figures(spec: ExperimentSpec, found: Results) -> Iterator[Verdict]:
    for result in found.metrics:
        metric = spec.metrics_by_name.get(result.name)
        if metric is not None and metric.guardrail is not None:
            yield from _harms(metric, result, pause=(metric.guardrail.on_breach or spec.on_breach))
    mismatch = sample_ratio_mismatch(
        {arm.id: arm.units for arm in found.variants},
        found.srm.expected,
        found.srm.sequential_p_value,
        pause=spec.on_breach == "pause",
    )
    if mismatch is not None:
        yield mismatch


def _verdicts(spec: ExperimentSpec, found: Results, kept: dict[str, Any]) -> Iterator[Verdict]:
    yield from _of_figures(spec, found)
    hours = {int(start): counts for start, counts in kept["hours"].items()}
    balance = imbalance(hours, found.srm.expected)
    if balance is not None:
        yield balance
    yield from _silences(spec, found, kept, sum(arm.units for arm in found.variants))


def _harms(metric: SuccessMetric, result: MetricResult, *, pause: str) -> Iterator[Verdict]:
    guardrail = metric.guardrail
    for comparison in result.comparisons:
        interval, difference = comparison.sequential, comparison.difference
        if guardrail is None or interval is None or difference is None:
            continue
        yield harm(
            metric.name,
            comparison.variant,
            comparison.control,
            direction=metric.direction,
            tolerance=guardrail.tolerance,
            difference=difference,
            low=interval.low,
            high=interval.high,
            p_value=interval.p_value,
            pause=pause == "pause",
        )


def _silences(
    spec: ExperimentSpec, found: Results, kept: dict[str, Any], units: int
) -> Iterable[Verdict]:
    exposed = kept["exposed"]
    if exposed is None or not units:
        return
    for result in found.metrics:
        last = kept["seen"].get(result.name)
        if last is None:
            continue
        converted = sum(arm.converted for arm in result.variants)
        yield silence(
            result.name,
            Quiet(last[0], exposed, last[1]),
            rate=converted / units,
            longest_ms=spec.health.silence * 1000,
        )


def alert_of(verdict: Verdict, told: Told, at: int, experiment: str, version: str) -> Alert:
    """The record that tells of a verdict."""
    evidence = {
        name: format_time(value) if name in _TIMES else value
        for name, value in verdict.evidence.items()
    }
    pauses = verdict.pause and told.change == "raised"
    return Alert(
        id=alert_id(experiment, version, verdict.subject, told.episode, told.number),
        kind=str(verdict.kind),
        state=told.change,
        at=format_time(at),
        since=format_time(told.since),
        message=_ended(verdict) if told.change == "resolved" else verdict.message,
        evidence=evidence,
        action="pause" if pauses else "alert",
        experiment=experiment or msgspec.UNSET,
        version=version or msgspec.UNSET,
        metric=verdict.metric or msgspec.UNSET,
        variant=verdict.variant or msgspec.UNSET,
    )


def _ended(verdict: Verdict) -> str:
    return {
        Kind.GUARDRAIL: f"{verdict.variant} no longer does worse than tolerated in "
        f"{verdict.metric!r}",
        Kind.SAMPLE_RATIO: "units have the planned shares again",
        Kind.EXPOSURE_IMBALANCE: "a whole hour's first exposures had the planned shares again",
        Kind.SILENCE: f"events of {verdict.metric!r} come again",
    }[verdict.kind]


def _end(window: WindowDelta) -> int:
    return window.start + window.size if window.end is None else window.end
