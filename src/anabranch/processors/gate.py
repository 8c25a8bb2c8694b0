"""Gate: telemetry into observations, checked, masked and sampled; anomalies into alerts."""

from __future__ import annotations

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
from anabranch.events.models import Anomaly, Observation, TelemetryData
from anabranch.processors.protocol import Batch, Cache, Outputs, State
from anabranch.specs import Catalog, Status
from anabranch.specs.explain import nearest
from anabranch.telemetry import EventPlan, TelemetryPlans

__all__ = ["GateProcessor"]

_TOO_DEEP: Final = "properties: are nested too deeply: send them flatter"
_MEASURED: Final = frozenset({Status.RUNNING, Status.PAUSED, Status.COMPLETED})


class GateProcessor:
    """Source ``telemetry``; outputs ``observations`` and ``alerts``.

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
        for record in records:
            try:
                event = decode_telemetry(record, now=batch.now, limits=self._limits)
                plan = self._plan(event)
                clean, left_out = plan.apply(event.data.properties)
                units = self._units_of(event.data)
                kept = plan.keeps(event.id, event.source)
                made = [(unit, self._observation(event, unit, clean)) for unit in units if kept]
            except InvalidEventError as error:
                out.dead_letter(record, error)
                continue
            except RecursionError:
                out.dead_letter(record, MalformedEventError(_TOO_DEEP))
                continue
            undeclared += left_out
            sampled_out += not kept
            observations += len(made)
            self._alert(event, plan, clean, out)
            for unit, value in made:
                out.send("observations", unit.encode(), value, (), event.time)
        for name, n in (
            ("telemetry", len(records)),
            ("observations", observations),
            ("sampled_out", sampled_out),
            ("undeclared_properties", undeclared),
        ):
            if n:
                out.count(name, n)

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
        self, event: Telemetry, plan: EventPlan, clean: dict[str, object], out: Outputs
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
            out.send("alerts", event.data.name.encode(), self._encode(alert), (), event.time)
