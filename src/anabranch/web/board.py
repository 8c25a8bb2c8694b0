"""The live model of what the dashboard shows, fed with records of output topics only.

It reads no clock: times come in as arguments, in milliseconds since the epoch. Its memory is
bounded whatever arrives. A snapshot has this shape (JSON, camelCase)::

    {"now": 1800000000000, "version": 4711, "since": 0,
     "listed": "whole" | "changed",
     "experiments": [{"id": "key@1.0.0", "experiment", "version", "title", "status", "owners",
                      "assignments", "units", "asOf", "lastArrival", "started", "health",
                      "alerts"}],
     "run": null | {"id", "experiment", "version", "whole": true,
        "spec": null | {...}, "results": null | {...as the results topic has it...},
        "rates": {"start": second, "assignments": [n per second],
                  "exposures": {variant: [n per second]}},
        "totals": {"assignments": {variant: n}, "exposures": {variant: n}},
        "trends": [{"metric", "variant", "points": [
            {"n", "at", "difference", "sequential": [low, high], "fixed": [low, high]}]}],
        "course": [{"at", "units": {variant: n}, "pValue"}],
        "outlook": null | {"perDay", "endsIn", "comparisons": [...]},
        "segments": [{"attribute", "value", "asOf", "control", "variants", "metrics"}],
        "windows": [{"metric", "size", "aggregation", "variants": {variant: [
            {"start", "end", "value", "units", "events", "sum", "revision", "final"}]}}]},
     "alerts": [{"at", "experiment", "kind", "message", "data"}],
     "deadLetters": {"total", "topics": [{"topic", "count", "reasons": {reason: n}}],
                     "latest": [{"at", "topic", "partition", "offset", "reason", "message"}]},
     "unreadable": {topic: n}}

With ``since`` the parts that did not change after that version are left out: ``alerts``,
``deadLetters``, lines of the list (``listed`` is ``changed``), and of the run
``spec``, ``results``, ``course``, ``outlook``, segments, windows and moments of trends.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec

from anabranch.engine.stage import DEAD_LETTER_SUFFIX
from anabranch.errors import InvalidEventError, MalformedEventError, SpecValidationError
from anabranch.events.models import MetricWindow, Results
from anabranch.processors.protocol import Headers
from anabranch.runtime.specs import LiveCatalog
from anabranch.specs import ExperimentSpec, normalize_version, version_key
from anabranch.topology import OUTPUT_TOPICS
from anabranch.web.rings import HISTORY_SECONDS
from anabranch.web.runs import Run

__all__ = ["ALERTS_KEPT", "DEAD_LETTERS_KEPT", "RUNS_KEPT", "WINDOWS_TOTAL", "Board"]

RUNS_KEPT: Final = 2000
WINDOWS_TOTAL: Final = 500_000
"""Metric windows kept of all runs together; beyond them the run with most loses its oldest."""

ALERTS_KEPT: Final = 100
DEAD_LETTERS_KEPT: Final = 100
REASONS_KEPT: Final = 40
"""Different reasons counted per topic of dead letters; others count as ``other``."""

TEXT_KEPT: Final = 600
"""Characters kept of a message."""


class _Allotted(msgspec.Struct, rename="camel"):
    """What an assignment and an exposure share; the rest is not decoded, for speed."""

    experiment: str
    version: str | int
    variant: str


class _Enveloped(msgspec.Struct):
    """A structured CloudEvent around it, as applications may publish exposures."""

    data: _Allotted


_decode_allotted = msgspec.json.Decoder(_Allotted).decode
_decode_enveloped = msgspec.json.Decoder(_Enveloped).decode
_decode_window = msgspec.json.Decoder(MetricWindow).decode
_decode_results = msgspec.json.Decoder(Results).decode
_decode_object = msgspec.json.Decoder(dict[str, Any]).decode

STRUCTURED: Final = b"application/cloudevents+json"


class Board:
    """The latest state of every experiment run that was heard of.

    Attributes:
        version: Rises with every record that changes something.
        closed_until: End of the latest window that was closed, milliseconds since the epoch: the
            watermark has passed it and the allowed lateness. None before there is one.
    """

    def __init__(self) -> None:
        self.version = 0
        self.closed_until: int | None = None
        self._runs: dict[tuple[str, str], Run] = {}
        self._specs: dict[tuple[str, str], ExperimentSpec] = {}
        self._listed_at = 0
        self._windows = 0
        self._alerts: deque[dict[str, Any]] = deque(maxlen=ALERTS_KEPT)
        self._alerted: deque[tuple[object, ...]] = deque(maxlen=ALERTS_KEPT)
        self._alerts_at = 0
        self._dead: deque[dict[str, Any]] = deque(maxlen=DEAD_LETTERS_KEPT)
        self._dead_reasons: dict[str, dict[str, int]] = {}
        self._dead_at = 0
        self._unreadable: dict[str, int] = {}

    # -- in -----------------------------------------------------------------------------------

    def follow(self, live: LiveCatalog) -> None:
        """Describe the catalog's experiments, now and after each change."""
        self.describe(live.catalog.experiments)
        live.on_change(lambda: self.describe(live.catalog.experiments))

    def describe(self, specs: Iterable[ExperimentSpec]) -> None:
        """Tell the specs that hold, all of them; their runs are listed at once.

        Runs of specs that hold no more stay, as far as topics tell of them. Only runs whose spec is
        another than before count as changed.
        """
        self.version += 1
        told = {(spec.key, spec.version): spec for spec in specs}
        gone = dict.fromkeys(self._specs.keys() - told.keys())
        for name, spec in (gone | told).items():
            known = self._specs.get(name)
            if spec is not None and known is not None and known.digest == spec.digest:
                continue
            run = self._run(*name) if spec is not None else self._runs.get(name)
            if run is not None:
                run.spec = spec
                run.reset_at = run.changed_at = self.version
        self._specs = told

    def apply(
        self,
        topic: str,
        key: bytes | None,
        value: bytes | None,
        headers: Headers,
        timestamp: int,
        *,
        arrived: int | None = None,
    ) -> None:
        """Take a record in.

        A record that cannot be read changes nothing but the count of unreadable ones.

        Args:
            topic: Logical name: ``assignments``, ``telemetry.dlq``.
            key: The record's key.
            value: The record's value; None deletes the key's metric window or results.
            headers: The record's headers.
            timestamp: The record's, milliseconds since the epoch.
            arrived: When it was read, milliseconds since the epoch; the record's timestamp
                where not given.
        """
        now = timestamp if arrived is None else arrived
        self.version += 1
        try:
            if topic == "assignments":
                self._assignment(value, headers, _second(timestamp, now), now)
            elif topic == "exposures":
                self._exposure(value, headers, _second(timestamp, now), now)
            elif topic == "metric-windows":
                self._window(key, value, now)
            elif topic == "results":
                self._results(key, value, now)
            elif topic == "segments":
                self._segment(key, value, now)
            elif topic == "alerts":
                self._alert(value, headers, timestamp)
            elif topic.endswith(DEAD_LETTER_SUFFIX):
                self._dead_letter(topic, headers, timestamp)
            else:
                raise ValueError(
                    f"a board does not show the topic {topic!r}: feed it with "
                    f"{', '.join(OUTPUT_TOPICS)}"
                )
        except (msgspec.MsgspecError, InvalidEventError, SpecValidationError):
            self._unreadable[topic] = self._unreadable.get(topic, 0) + 1

    def _assignment(self, value: bytes | None, headers: Headers, second: int, now: int) -> None:
        found = _allotted(value, headers)
        run = self._touched(found.experiment, found.version, now)
        run.assigned_to(found.variant, second)

    def _exposure(self, value: bytes | None, headers: Headers, second: int, now: int) -> None:
        found = _allotted(value, headers)
        run = self._touched(found.experiment, found.version, now)
        run.exposed_to(found.variant, second)

    def _window(self, key: bytes | None, value: bytes | None, now: int) -> None:
        if value is None:
            experiment, version, variant, *name, size, start = _key_parts(key, 6)
            metric = "|".join(name)  # the only part that may hold bars itself
            known = self._runs.get((experiment, version))
            if known is not None:
                known.changed_at = self.version
                before = known.windows
                known.drop_window((metric, size, variant), _millis(start), self.version)
                self._windows += known.windows - before
            return
        found = _decode_window(value)
        start_ms, end_ms = _millis(found.window.start), _millis(found.window.end)
        if found.final:
            self.closed_until = max(end_ms, self.closed_until or end_ms)
        run = self._touched(found.experiment, found.version, now)
        before = run.windows
        run.window(
            (found.metric, found.window.size, found.variant),
            found.aggregation,
            start_ms,
            {
                "start": start_ms,
                "end": end_ms,
                "value": found.value,
                "units": found.units,
                "events": found.events,
                "sum": found.sum,
                "revision": found.revision,
                "final": found.final,
            },
            self.version,
        )
        self._windows += run.windows - before
        if self._windows > WINDOWS_TOTAL:
            most = max(self._runs.values(), key=lambda run: run.windows)
            self._windows -= most.thin()

    def _results(self, key: bytes | None, value: bytes | None, now: int) -> None:
        if value is None:
            experiment, version = _key_parts(key, 2)[:2]
            known = self._runs.get((experiment, version))
            if known is not None:
                known.results = None
                known.trends.clear()
                known.reset_at = self.version
                known.results_at = known.changed_at = self.version
            return
        checked = _decode_results(value)
        at = _millis(checked.as_of)
        run = self._touched(checked.experiment, checked.version, now)
        run.results = _decode_object(value)  # as it is: results may carry more than the model
        run.results_at = self.version
        if run.trends.put(checked, at, self.version):
            run.reset_at = self.version

    def _segment(self, key: bytes | None, value: bytes | None, now: int) -> None:
        experiment, version, attribute, *rest = _key_parts(key, 4)
        name = attribute, "|".join(rest)  # the only part that may hold bars itself
        if value is None:
            known = self._runs.get((experiment, version))
            if known is not None and known.segments.pop(name, None) is not None:
                known.reset_at = known.changed_at = self.version
            return
        checked = _decode_results(value)
        run = self._touched(checked.experiment, checked.version, now)
        run.segment(name, _decode_object(value), self.version)

    def _alert(self, value: bytes | None, headers: Headers, timestamp: int) -> None:
        data = _decode_object(_present(value))
        if _header(headers, "content-type").startswith(STRUCTURED.decode()):
            inner = data.get("data")
            data = inner if isinstance(inner, dict) else {}
        named = ("id",) if data.get("id") is not None else ("eventId", "eventSource", "metric")
        event = tuple(data.get(name) for name in named)
        if event[0] is not None and event in self._alerted:
            return  # the event was sent twice, and so was its alert; or the record came twice
        self._alerted.append(event)
        kind = data.get("kind") or data.get("type") or _header(headers, "ce_type") or "alert"
        self._alerts.appendleft(
            {
                "at": timestamp,
                "experiment": data.get("experiment"),
                "version": data.get("version"),
                "kind": str(kind)[:TEXT_KEPT],
                "message": str(data.get("message") or "")[:TEXT_KEPT],
                "data": {
                    name: item[:TEXT_KEPT] if isinstance(item, str) else item
                    for name, item in list(data.items())[:20]
                    if isinstance(item, str | int | float | bool)
                },
            }
        )
        self._alerts_at = self.version
        experiment, version = data.get("experiment"), data.get("version")
        if isinstance(experiment, str) and isinstance(version, str | int):
            run = self._runs.get((experiment, normalize_version(version)))
            if run is not None:
                run.alerted(str(kind), data)
                run.changed_at = self.version

    def _dead_letter(self, topic: str, headers: Headers, timestamp: int) -> None:
        """The value is not kept: what was refused was not redacted either."""
        source = topic.removesuffix(DEAD_LETTER_SUFFIX)
        reason = _header(headers, "__streams.errors.exception") or "unknown"
        reasons = self._dead_reasons.setdefault(source, {})
        counted = reason if reason in reasons or len(reasons) < REASONS_KEPT else "other"
        reasons[counted] = reasons.get(counted, 0) + 1
        self._dead.appendleft(
            {
                "at": timestamp,
                "topic": source,
                "partition": _number(_header(headers, "__streams.errors.partition")),
                "offset": _number(_header(headers, "__streams.errors.offset")),
                "reason": reason[:TEXT_KEPT],
                "message": _header(headers, "__streams.errors.message")[:TEXT_KEPT],
            }
        )
        self._dead_at = self.version

    # -- runs ---------------------------------------------------------------------------------

    def _touched(self, experiment: str, version: str | int, now: int) -> Run:
        run = self._run(experiment, normalize_version(version))
        run.changed_at = self.version
        run.last_arrival = now
        return run

    def _run(self, experiment: str, version: str) -> Run:
        run = self._runs.get((experiment, version))
        if run is None:
            if len(self._runs) >= RUNS_KEPT:
                silent = min(self._runs, key=lambda name: self._runs[name].changed_at)
                self._windows -= self._runs.pop(silent).windows
            run = self._runs[experiment, version] = Run(experiment, version)
            run.reset_at = self._listed_at = self.version
            run.spec = self._specs.get((experiment, version))
        return run

    def find(self, experiment: str) -> Run | None:
        """The run of ``key@version``, or of ``key`` in its latest version that was heard of."""
        key, at, version = experiment.rpartition("@")
        if at and (run := self._runs.get((key, version))) is not None:
            return run
        versions = [run for run in self._runs.values() if run.experiment == experiment]
        return max(versions, key=lambda run: version_key(run.version), default=None)

    # -- out ----------------------------------------------------------------------------------

    def experiments(self, since: int = 0) -> list[dict[str, Any]]:
        """Runs that changed after the version, by key, the latest version first."""
        changed = [run for run in self._runs.values() if run.changed_at > since or not since]
        runs = sorted(changed, key=lambda run: version_key(run.version), reverse=True)
        return [run.summary() for run in sorted(runs, key=lambda run: run.experiment)]

    def snapshot(
        self, experiment: str | None = None, *, now: int, since: int = 0
    ) -> dict[str, Any]:
        """What is to be shown, JSON-able; the shape is in the module's docstring.

        Args:
            experiment: ``key@version`` or ``key``; None, or one not heard of, gives no run.
            now: Milliseconds since the epoch: where counts per second end.
            since: Leave out what has not changed after this version.
        """
        run = self.find(experiment) if experiment is not None else None
        listed = since if since >= self._listed_at else 0
        shown: dict[str, Any] = {
            "now": now,
            "version": self.version,
            "since": since,
            "listed": "changed" if listed else "whole",
            "experiments": self.experiments(listed),
            "run": run.detail(now, since) if run is not None else None,
            "unreadable": dict(sorted(self._unreadable.items())),
        }
        if since == 0 or self._alerts_at > since:
            shown["alerts"] = list(self._alerts)
        if since == 0 or self._dead_at > since:
            shown["deadLetters"] = self._dead_letters()
        return shown

    def _dead_letters(self) -> dict[str, Any]:
        topics = [
            {"topic": topic, "count": sum(reasons.values()), "reasons": dict(reasons)}
            for topic, reasons in sorted(self._dead_reasons.items())
        ]
        total = sum(sum(reasons.values()) for reasons in self._dead_reasons.values())
        return {"total": total, "topics": topics, "latest": list(self._dead)}


def _second(timestamp: int, arrived: int) -> int:
    """Where a record counts: its own second, or that of its arrival if a chart cannot show it.

    So a pipeline that catches up fills in what it missed, and a replay of old events is seen.
    """
    shown = arrived - (HISTORY_SECONDS - 1) * 1000 <= timestamp <= arrived
    return (timestamp if shown else arrived) // 1000


def _present(value: bytes | None) -> bytes:
    if value is None:
        raise MalformedEventError("the record has no value")
    return value


def _allotted(value: bytes | None, headers: Headers) -> _Allotted:
    present = _present(value)
    for name, content in headers:
        if name == "content-type" and content.startswith(STRUCTURED):
            return _decode_enveloped(present).data
    return _decode_allotted(present)


def _header(headers: Headers, name: str) -> str:
    """The last header of that name as text; empty where there is none."""
    found = ""
    for header, content in headers:
        if header == name:
            found = content.decode("utf-8", "replace")
    return found


def _number(text: str) -> int | None:
    return int(text) if text.isdecimal() else None


def _key_parts(key: bytes | None, least: int) -> list[str]:
    """Parts of a key like ``experiment|version|...``."""
    parts = (key or b"").decode("utf-8", "replace").split("|")
    if len(parts) < least:
        raise MalformedEventError(f"the key {key!r} does not have {least} parts")
    return parts


def _millis(moment: str) -> int:
    """RFC 3339 as milliseconds since the epoch."""
    try:
        parsed = datetime.fromisoformat(moment)
    except ValueError as error:
        raise MalformedEventError(f"{moment!r} is not RFC 3339: {error}") from error
    if parsed.tzinfo is None:
        raise MalformedEventError(f"{moment!r} has no offset from UTC: write it with Z")
    return round(parsed.timestamp() * 1000)
