"""Gate: telemetry into observations, checked, masked and sampled; anomalies into alerts.

It keeps no state. What needs memory over all partitions, how many events came and how many were
refused, it tells on ``telemetry-counts``, one record a batch; the aggregate stage adds them up and
judges, see :mod:`anabranch.processors.telemetry_health`.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice
from typing import Final

import msgspec

from anabranch.assignment import unit_of
from anabranch.errors import (
    InvalidEventError,
    MalformedEventError,
    MissingUnitError,
    UndeclaredTelemetryError,
)
from anabranch.events.cloudevents import Limits, format_time
from anabranch.events.decoding import Telemetry, decode_telemetry
from anabranch.events.models import (
    Anomaly,
    EventCounts,
    Observation,
    TelemetryCounts,
    TelemetryData,
)
from anabranch.metrics.windows import HOUR
from anabranch.processors.protocol import Batch, Cache, Outputs, State
from anabranch.specs import Catalog, Status
from anabranch.specs.explain import nearest
from anabranch.specs.telemetry import TelemetryEventSpec
from anabranch.telemetry import EventPlan, TelemetryPlans

__all__ = ["GateProcessor"]

_TOO_DEEP: Final = "properties: are nested too deeply: send them flatter"
_ANOMALIES: Final = 500
"""In one record, to bound its size."""

TELEMETRY_COUNTS: Final = b"telemetry"
"""Key of all records of ``telemetry-counts``: one task adds them up."""

_MEASURED: Final = frozenset({Status.RUNNING, Status.PAUSED, Status.COMPLETED})


class GateProcessor:
    """Source ``telemetry``; outputs ``observations``, ``alerts`` and ``telemetry-counts``.

    An event becomes one observation for each distinct unit that the experiments' lists of
    identities give: a user, and an organization too if some experiment is run on organizations.

    Args:
        catalog: The specs: which events are declared, and what experiments are run on.
        limits: What is taken in at all.

    Counters: ``telemetry``, ``observations``, ``sampled_out``, ``undeclared_properties``,
    ``anomalies``.
    """

    def __init__(self, catalog: Catalog, *, limits: Limits | None = None) -> None:
        self._catalog = catalog
        self._plans = TelemetryPlans(catalog.telemetry)
        self._units = sorted(
            {tuple(spec.unit) for spec in catalog.experiments if spec.status in _MEASURED}
        )
        self._limits = limits or Limits()
        self._encode = msgspec.json.Encoder().encode

    def process(self, batch: Batch, state: State, cache: Cache, out: Outputs) -> None:
        del state, cache
        records = batch.sources["telemetry"]
        observations = sampled_out = undeclared = 0
        counts = _Counts()
        for record in records:
            counts.saw(record.timestamp)
            try:
                event = decode_telemetry(record, now=batch.now, limits=self._limits)
                plan = self._plan(event)
                counts.saw_event(plan.event)
                clean, left_out = plan.apply(event.data.properties)
                units = self._units_of(event.data)
                kept = plan.keeps(event.id, event.source)
                made = [(unit, self._observation(event, unit, clean)) for unit in units if kept]
            except InvalidEventError as error:
                counts.refused(error)
                out.dead_letter(record, error)
                continue
            except RecursionError:
                too_deep = MalformedEventError(_TOO_DEEP)
                counts.refused(too_deep)
                out.dead_letter(record, too_deep)
                continue
            undeclared += left_out
            sampled_out += not kept
            observations += len(made)
            self._alert(event, plan, clean, counts, out)
            for unit, value in made:
                out.send("observations", unit.encode(), value, event.trace, event.time)
        for name, n in (
            ("telemetry", len(records)),
            ("observations", observations),
            ("sampled_out", sampled_out),
            ("undeclared_properties", undeclared),
        ):
            if n:
                out.count(name, n)
        for told in counts.told():
            out.send("telemetry-counts", TELEMETRY_COUNTS, self._encode(told))

    def _observation(self, event: Telemetry, unit: str, clean: dict[str, object]) -> bytes:
        return self._encode(
            Observation(
                id=event.id,
                source=event.source,
                name=event.data.name,
                version=event.version,
                unit=unit,
                time=event.time,
                properties=clean,
            )
        )

    def _plan(self, event: Telemetry) -> EventPlan:
        name, version = event.data.name, event.version
        plan = self._plans.get(name, version)
        if plan is not None:
            return plan
        telemetry = self._catalog.telemetry
        versions = [declared.version for declared in telemetry.events_named(name)]
        remedy = (
            f"its versions are {', '.join(versions)}"
            if versions
            else nearest(name, (declared.key for _, declared in telemetry.declarations()))
        )
        raise UndeclaredTelemetryError(
            f"name: no TelemetrySpec declares the event {name!r} {version}: {remedy}"
        )

    def _units_of(self, data: TelemetryData) -> list[str]:
        """Distinct units, in the order of the lists that give them."""
        found = [unit_of(identities, data) for identities in self._units]
        units = list(dict.fromkeys(unit for unit in found if unit is not None))
        if found and not units:
            wanted = sorted({identity for identities in self._units for identity in identities})
            raise MissingUnitError(
                f"the event has no identity that an experiment is run on: "
                f"give {' or '.join(wanted)}"
            )
        return units

    def _alert(
        self,
        event: Telemetry,
        plan: EventPlan,
        clean: dict[str, object],
        counts: _Counts,
        out: Outputs,
    ) -> None:
        for anomaly in plan.anomalies(clean):
            out.count("anomalies")
            if "alert" not in plan.actions:
                continue
            alert = Anomaly(
                event=event.data.name,
                version=event.version,
                metric=anomaly.metric,
                value=anomaly.value,
                min=anomaly.min,
                max=anomaly.max,
                time=format_time(event.time),
                event_id=event.id,
                event_source=event.source,
            )
            if plan.minimum_sample > 1:
                counts.anomalies.append(alert)
            else:
                key, value = event.data.name.encode(), self._encode(alert)
                out.send("alerts", key, value, event.trace, event.time)


class _Counts:
    """What a batch has seen and refused, by event and by hour of the records' timestamps.

    Attributes:
        anomalies: Those whose event has to be seen more often before they are told.
    """

    __slots__ = ("_by_event", "_hour", "_latest", "_of_all", "_of_event", "anomalies")

    def __init__(self) -> None:
        self._by_event: dict[tuple[str, str, int], EventCounts] = {}
        self._hour = -1
        self._latest = 0
        self._of_all: EventCounts
        self._of_event: EventCounts | None = None
        self.anomalies: list[Anomaly] = []

    def saw(self, timestamp: int) -> None:
        """A record came."""
        hour = timestamp - timestamp % HOUR
        if hour != self._hour:
            self._hour = hour
            self._of_all = self._of("", "")
        self._latest = max(self._latest, timestamp)
        self._of_all.seen += 1
        self._of_event = None

    def saw_event(self, declared: TelemetryEventSpec) -> None:
        """It is of a declared event."""
        self._of_event = counts = self._of(declared.key, declared.version)
        counts.seen += 1

    def refused(self, error: InvalidEventError) -> None:
        """It was put into the dead letters: charged to its event, if it could be told."""
        counts = self._of_all if self._of_event is None else self._of_event
        reason = type(error).__name__
        counts.refused[reason] = counts.refused.get(reason, 0) + 1

    def told(self) -> Iterable[TelemetryCounts]:
        """One record, or more where anomalies are many."""
        events = list(self._by_event.values())
        anomalies = iter(self.anomalies)
        while (some := list(islice(anomalies, _ANOMALIES))) or events:
            yield TelemetryCounts(until=self._latest, events=events, anomalies=some)
            events = []

    def _of(self, event: str, version: str) -> EventCounts:
        key = event, version, self._hour
        counts = self._by_event.get(key)
        if counts is None:
            counts = EventCounts(event=event, version=version, start=self._hour)
            self._by_event[key] = counts
        return counts
