"""Units that come to an experiment, and the records that follow, as broken as in life.

Units come at exponential gaps. Each is assigned by the experiment's own compiled plan, as an
application in this process would, and does what the behaviour says of its variant. The pipeline
assigns it the same, by the same specs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush
from math import log
from random import Random
from typing import Any, Final

import msgspec

from anabranch.assignment import Evaluation, ExperimentContext, ExperimentEvaluator
from anabranch.assignment.plan import Verdict
from anabranch.assignment.policy import PolicyEngine
from anabranch.events.cloudevents import STRUCTURED, format_time
from anabranch.events.decoding import CONTEXT, EXPOSURE, TELEMETRY
from anabranch.processors.protocol import Headers
from anabranch.runtime import Message
from anabranch.simulation.behaviour import Behaviour
from anabranch.specs import Catalog, ExperimentSpec, Status
from anabranch.specs.references import metric_property

__all__ = ["Faults", "Traffic", "simulated"]

SOURCE: Final = "anabranch/simulate"
_DAY_MS: Final = 24 * 60 * 60 * 1000
_HOUR_MS: Final = 60 * 60 * 1000
_HEADERS: Final[Headers] = (("content-type", STRUCTURED),)
_FIELDS: Final = {
    "userId": "user_id",
    "sessionId": "session_id",
    "organizationId": "organization_id",
}
_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Faults:
    """Shares of what is not as it should be; none of it may move the results.

    Attributes:
        late: Of telemetry: it arrives up to a day late.
        duplicates: Of contexts and telemetry: sent twice under one id.
        early: Of units: all they do arrives before the context that exposes them.
        before: Of units, for each event: they did it before their exposure, which must not count;
            that it was done arrives with them.
        crossing: Of units: they are exposed to another variant as well, and must be left out.
    """

    late: float = 0.03
    duplicates: float = 0.01
    early: float = 0.02
    before: float = 0.02
    crossing: float = 0.005


def simulated(catalog: Catalog, spec: ExperimentSpec) -> tuple[Catalog, ExperimentSpec]:
    """The specs with the experiment running at all times, whatever its own say of when.

    Properties that metrics leave to be inferred are named.
    """
    document = {
        name: value
        for name, value in spec.document.items()
        if name not in {"kind", "schedule"} and not (name == "coverage" and isinstance(value, list))
    }
    metrics = [
        told | ({} if prop is None else {"property": prop})
        for told, metric in zip(
            document.get("successMetrics", ()), spec.success_metrics, strict=True
        )
        for prop in (metric_property(metric, catalog.telemetry),)
    ]
    running = ExperimentSpec.model_validate(
        document | {"status": Status.RUNNING.value, "successMetrics": metrics}
    )
    others = [s for s in catalog if s is not spec]
    return Catalog.of([running, *others]), running


class Traffic:
    """The records of an experiment, in the order in which they arrive.

    Args:
        random: Decides everything that is left to chance.
        catalog: The specs.
        spec: The experiment, of the catalog.
        behaviour: What units do.
        faults: What goes wrong.
        attributes: Attribute to its values and their weights, for targeting rules.
        units: How many come.
        start_ms: When the first may come, milliseconds since the epoch.
        duration_ms: Within about how long they come.

    Attributes:
        sent: How many records of each kind there were so far, faults included.
        came: How many units came so far.
        units: How many come.
    """

    def __init__(
        self,
        random: Random,
        catalog: Catalog,
        spec: ExperimentSpec,
        behaviour: Behaviour,
        *,
        units: int,
        start_ms: int,
        duration_ms: int,
        faults: Faults | None = None,
        attributes: Mapping[str, tuple[Sequence[str], Sequence[float]]] | None = None,
    ) -> None:
        self._random = random
        self._spec = spec
        self._behaviour = behaviour
        self._faults = faults or Faults()
        self._attributes = attributes or {}
        self.units = units
        self._start = start_ms
        self._gap = units / duration_ms
        self._choose = _chooser(catalog, spec)
        self._properties = {
            f"{event.key} {event.version}": event.properties
            for _, event in catalog.telemetry.declarations()
        }
        self._due: list[tuple[int, int, Message]] = []
        self._made = 0
        self.sent: Counter[str] = Counter()
        self.came = 0

    def messages(self) -> Iterator[Message]:
        """All records, by rising time of arrival, which is their timestamp."""
        now = float(self._start)
        for number in range(1, self.units + 1):
            self.came = number
            now += self._random.expovariate(self._gap)
            self._arrive(int(now), number)
            while self._due and self._due[0][0] <= now:
                yield heappop(self._due)[2]
        while self._due:
            yield heappop(self._due)[2]

    # -- units --------------------------------------------------------------------------------

    def _arrive(self, now: int, number: int) -> None:
        chance = self._random.random
        identity = self._spec.unit[0]
        unit = f"{number}"
        attributes = {
            name: self._random.choices(values, weights)[0]
            for name, (values, weights) in self._attributes.items()
        }
        told = {"experiment": self._spec.key, "version": self._spec.version, identity: unit}
        found = self._choose(
            ExperimentContext(
                experiment=self._spec.key,
                version=self._spec.version,
                attributes=attributes,
                **{_FIELDS[identity]: unit},  # type: ignore[arg-type]  # one of three strings
            ),
            now,
        )
        last = self._act(now, identity, unit, found.variant.id)
        early = last > now and chance() < self._faults.early
        if early:
            self.sent["early"] += 1
        arrives = last + self._random.randrange(1, _HOUR_MS) if early else now
        self._send(arrives, "contexts", unit, CONTEXT, now, told | {"attributes": attributes})
        others = [v for v in self._spec.variants_by_id if v != found.variant.id]
        if found.enrolled and others and chance() < self._faults.crossing:
            self._cross(now, f"{found.unit}", self._random.choice(others))

    def _cross(self, now: int, unit: str, variant: str) -> None:
        self.sent["crossing"] += 1
        data = {"experiment": self._spec.key, "version": self._spec.version}
        at = now + self._random.randrange(1, _HOUR_MS)
        self._send(at, "exposures", unit, EXPOSURE, at, data | {"variant": variant, "unit": unit})

    def _act(self, now: int, identity: str, unit: str, variant: str) -> int:
        """What the unit does; returns when the last record of it arrives."""
        behaviour, draw = self._behaviour, self._random
        first: dict[str, int] = {}
        arrived = now
        for event in behaviour.events:
            if draw.random() < self._faults.before:
                self.sent["before exposure"] += 1
                past = now - draw.randrange(1, _DAY_MS)
                self._observe(past, event, identity, unit, variant, not_before=now)
            parent = behaviour.after.get(event)
            if parent is not None and parent not in first:
                continue
            if draw.random() >= behaviour.shares[variant, event]:
                continue
            low, high = (now + int(second * 1000) for second in behaviour.spans[event])
            begin = max(low, first.get(parent, low)) if parent is not None else low
            first[event] = at = int(draw.uniform(begin, high - 1))
            times = [at, *(int(draw.uniform(at, high - 1)) for _ in range(self._more()))]
            for time in times:
                arrived = max(arrived, self._observe(time, event, identity, unit, variant))
        return arrived

    def _more(self) -> int:
        """How many times more: Poisson, as arrivals within a unit of time."""
        mean, count = self._behaviour.repeats, 0
        at = self._random.expovariate(1) if mean else 0.0
        while mean and at < mean:
            count += 1
            at += self._random.expovariate(1)
        return count

    def _observe(
        self,
        time: int,
        event: str,
        identity: str,
        unit: str,
        variant: str,
        *,
        not_before: int = 0,
    ) -> int:
        """An event of a unit; returns when its record arrives."""
        name, _, version = event.rpartition(" ")
        data = {
            "name": name,
            "version": version,
            identity: unit,
            "properties": {
                prop: self._value(variant, (event, prop), declared.type, time)
                for prop, declared in self._properties.get(event, {}).items()
            },
        }
        late = self._random.random() < self._faults.late
        if late:
            self.sent["late"] += 1
        arrives = max(time, not_before) + (self._random.randrange(60_000, _DAY_MS) if late else 0)
        self._send(arrives, "telemetry", unit, TELEMETRY, time, data)
        return arrives

    def _value(self, variant: str, prop: tuple[str, str], kind: str, time: int) -> Any:
        if kind == "number":
            median = self._behaviour.values.get((variant, prop), 1.0)
            return round(self._random.lognormvariate(log(median), self._behaviour.noise), 4)
        if kind == "boolean":
            return self._random.random() < 0.5
        if kind == "timestamp":
            return format_time(time)
        return {} if kind == "json" else "simulated"

    # -- records ------------------------------------------------------------------------------

    def _send(
        self, arrives: int, topic: str, unit: str, kind: str, time: int, data: Mapping[str, Any]
    ) -> None:
        self._made += 1
        value = _encode(
            {
                "specversion": "1.0",
                "id": f"{self._made}",
                "source": SOURCE,
                "type": kind,
                "time": format_time(time),
                "data": data,
            }
        )
        # Exposures are keyed by their unit, so that they meet what it did; the rest as it comes.
        self._queue(topic, arrives, unit, value)
        if topic != "exposures" and self._random.random() < self._faults.duplicates:
            self.sent["duplicates"] += 1
            self._queue(topic, arrives + self._random.randrange(1, _HOUR_MS), unit, value)

    def _queue(self, topic: str, arrives: int, unit: str, value: bytes) -> None:
        self.sent[topic] += 1
        number = self.sent.total()
        heappush(
            self._due, (arrives, number, Message(topic, unit.encode(), value, _HEADERS, arrives))
        )


def _chooser(
    catalog: Catalog, spec: ExperimentSpec
) -> Callable[[ExperimentContext, int], Evaluation]:
    """The experiment's plan, with the catalog's own policies to ask."""
    applications = catalog.applications()
    plan = ExperimentEvaluator(catalog.experiments, applications=applications).plan(spec)
    allows = PolicyEngine(catalog.policies).allows_targeting

    def choose(context: ExperimentContext, now: int) -> Evaluation:
        if not plan.needs_policy:
            return plan.evaluate(context, now)
        deliberation = plan.deliberate(context, now)
        try:
            question = next(deliberation)
            while True:
                verdict: Verdict = allows(*question)
                question = deliberation.send(verdict)
        except StopIteration as done:
            found: Evaluation = done.value
            return found

    return choose
