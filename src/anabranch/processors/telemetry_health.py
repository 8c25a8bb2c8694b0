"""The health of telemetry as the aggregate stage watches it: error budgets and minimum samples.

State of the one task that ``telemetry-counts`` leads to: ``t|name version`` for each event, and
``t|`` for all records together, an object with

===========  ===================================================================================
``seen``     how many were taken in so far
``hours``    the latest hours, by where they begin: records, and those refused by error
``alarms``   see :mod:`anabranch.metrics.alarms`
===========  ===================================================================================

It is committed with the alerts, so each is told exactly once, restarts or not.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from anabranch.errors import EmptyEventError, EventSchemaError, MalformedEventError
from anabranch.events.cloudevents import format_time
from anabranch.events.ids import alert_id
from anabranch.events.models import Alert, Anomaly, EventCounts, TelemetryCounts
from anabranch.events.problems import explain
from anabranch.metrics.alarms import Told, follow
from anabranch.metrics.budget import ALL, Hour, overspent
from anabranch.metrics.health import Verdict
from anabranch.processors.protocol import Outputs, Record, State
from anabranch.specs import Catalog
from anabranch.specs.telemetry import TelemetryConfig
from anabranch.telemetry.anomalies import detection

__all__ = ["TelemetryHealth"]

_HOURS_KEPT: Final = 3
_DEFAULT: Final = TelemetryConfig()


class TelemetryHealth:
    """Adds up what the gate's tasks have seen, and tells what follows.

    Args:
        catalog: The specs: budgets and minimum samples.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._telemetry = catalog.telemetry
        self._decode = msgspec.json.Decoder(TelemetryCounts).decode
        self._encode = msgspec.json.Encoder().encode

    def read(self, record: Record) -> TelemetryCounts:
        """The counts of a record.

        Raises:
            InvalidEventError: It has none.
        """
        if record.value is None:
            raise EmptyEventError("counts without a value: the topic is not compacted")
        try:
            found = self._decode(record.value)
        except msgspec.ValidationError as error:
            raise EventSchemaError(explain(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedEventError(f"not JSON: {error}") from None
        for counts in found.events:
            if min((counts.seen, *counts.refused.values())) < 0:
                raise EventSchemaError(f"counts of {counts.event!r} are negative")
        return found

    def take(self, counts: TelemetryCounts, state: State, out: Outputs) -> None:
        """Add counts up, and tell what there is to tell."""
        touched: dict[str, tuple[EventCounts, dict[str, Any]]] = {}
        for one in counts.events:
            name = _name(one.event, one.version)
            kept = _kept(state, name)
            _add(kept, one)
            touched[name] = one, kept
        for name, (one, kept) in touched.items():
            self._judge(name, one, kept, counts.until, out)
        for anomaly in counts.anomalies:
            kept = _kept(state, _name(anomaly.event, anomaly.version))
            if kept["seen"] >= self._minimum(anomaly):
                out.send("alerts", anomaly.event.encode(), self._encode(anomaly))
                out.count("alerts")

    def _minimum(self, anomaly: Anomaly) -> int:
        declared = self._telemetry.declaration(anomaly.event, anomaly.version)
        found = None if declared is None else detection(declared[1], declared[0].config)
        return 0 if found is None else found.minimum_sample

    def _judge(
        self, name: str, one: EventCounts, kept: dict[str, Any], until: int, out: Outputs
    ) -> None:
        hours = {
            int(start): Hour(seen, refused) for start, (seen, refused) in kept["hours"].items()
        }
        verdict = overspent(hours, self._budget(one), name)
        if verdict is None:
            return
        told = follow(kept["alarms"], verdict, until)
        if told is not None:
            alert = _alert(verdict, told, until, one)
            out.send("alerts", (one.event or ALL).encode(), self._encode(alert))
            out.count("alerts")

    def _budget(self, one: EventCounts) -> float:
        declared = self._telemetry.declaration(one.event, one.version) if one.event else None
        if declared is None:
            return _DEFAULT.default_error_budget
        spec, event = declared
        own = event.error_budget
        return spec.config.default_error_budget if own is None else own


def _name(event: str, version: str) -> str:
    return f"{event} {version}" if event else ""


def _kept(state: State, name: str) -> dict[str, Any]:
    key = f"t|{name}".encode()
    kept: dict[str, Any] | None = state.get(key)
    if kept is None:
        kept = {"seen": 0, "hours": {}, "alarms": {}}
        state.put(key, kept)
    return kept


def _add(kept: dict[str, Any], counts: EventCounts) -> None:
    kept["seen"] += max(0, counts.seen - sum(counts.refused.values()))
    hours = kept["hours"]
    start = str(counts.start)
    if start not in hours and len(hours) >= _HOURS_KEPT and counts.start < min(map(int, hours)):
        return
    hour = hours.setdefault(start, [0, {}])
    hour[0] += counts.seen
    for reason, n in counts.refused.items():
        hour[1][reason] = hour[1].get(reason, 0) + n
    for name in sorted(hours, key=int)[:-_HOURS_KEPT]:
        del hours[name]


def _alert(verdict: Verdict, told: Told, until: int, one: EventCounts) -> Alert:
    name = _name(one.event, one.version) or ALL
    ended = told.change == "resolved"
    start = verdict.evidence["start"]
    return Alert(
        id=alert_id(str(verdict.kind), name, told.episode, told.number),
        kind=str(verdict.kind),
        state=told.change,
        at=format_time(until),
        since=format_time(told.since),
        message=f"records of {name} were within their error budget for a whole hour again"
        if ended
        else verdict.message,
        evidence={**verdict.evidence, "start": format_time(start)},
        event=one.event or msgspec.UNSET,
        version=one.version or msgspec.UNSET,
    )
