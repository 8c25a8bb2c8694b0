"""A catalog compiled into what attribution looks up for each event: built once per catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final

from anabranch.errors import SpecReferenceError
from anabranch.metrics.exact import decimal
from anabranch.metrics.windows import SECOND
from anabranch.specs import (
    Catalog,
    ExperimentSpec,
    SuccessMetric,
    TelemetryEventRef,
    denominator_property,
    metric_property,
)

__all__ = [
    "NEVER",
    "Counting",
    "EventPlan",
    "Measure",
    "Plan",
    "RunPlan",
    "events_of",
    "is_quantile",
    "main_of",
    "run_key",
]

NEVER: Final = 1 << 62
"""Longer than any time, later than any event time."""

_BESIDE: Final = "$beside:"
"""Begins the name of a second total; names that people give never begin with a dollar sign."""


def run_key(experiment: str, version: str) -> str:
    """How a run is named in state; a run is one version of one experiment."""
    return f"{experiment}@{version}"


def is_quantile(aggregation: str) -> bool:
    """Whether the aggregation is one of p50 to p99."""
    return aggregation.startswith("p")


def main_of(name: str) -> str | None:
    """The metric that a second total of this name is beside; None if the name is a metric's own."""
    return name.removeprefix(_BESIDE) if name.startswith(_BESIDE) else None


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric of one run as attribution sees it, or the second total beside one.

    Attributes:
        event: Name and canonical version of the event, ``name@version``.
        property: The property whose values add up; None takes every event as one.
        reach_ms: The attribution window: how long after first exposure an event counts.
        after_ms: How long after first exposure that begins.
        until_ms: How long after first exposure that ends; :data:`NEVER` without a window.
        steps: Of a funnel, its events in order, ``event`` first.
        plain: Whether an observation counts for nothing but its own total: there are no steps, no
            bounds, no second total, no sketch of totals.
        sketched: Whether the values go into a sketch too.
        per_unit: Whether the units' totals go into a sketch.
        units_only: Whether a unit's total is worth 1, however much it did.
        bounds: Least and greatest that a unit's total is worth.
        beside: Name of the measure whose total is kept beside this one's.
        main: Of such a measure, the one that it is beside.
        back_ms: Of a covariate, how long before first exposure an event counts, instead of after.
        exclude_prior: Whether a unit that had the event before its first exposure is left out.
    """

    name: str
    event: str
    property: str | None
    reach_ms: int | None
    sketched: bool = False
    per_unit: bool = False
    units_only: bool = False
    bounds: tuple[Decimal | None, Decimal | None] | None = None
    beside: str | None = None
    main: Measure | None = None
    back_ms: int | None = None
    after_ms: int = 0
    steps: tuple[str, ...] = ()
    exclude_prior: bool = False
    until_ms: int = field(init=False)
    plain: bool = field(init=False)

    def __post_init__(self) -> None:
        until = NEVER if self.reach_ms is None else self.reach_ms
        beyond_its_own = (
            self.steps,
            self.bounds,
            self.beside,
            self.main,
            self.back_ms,
            self.per_unit,
            self.exclude_prior,
        )
        object.__setattr__(self, "until_ms", until)
        object.__setattr__(self, "plain", not any(beyond_its_own))


def events_of(measure: Measure) -> tuple[str, ...]:
    """All events that a measure looks at."""
    return measure.steps or (measure.event,)


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: what its exposures may name and what its units are measured by.

    Attributes:
        older: Runs of the experiment's older versions.
        newer: Keys of the runs of its newer versions.
        segments: Attribute to the values that results are told for besides ``other``.
    """

    key: str
    experiment: str
    version: str
    variants: frozenset[str]
    measures: tuple[Measure, ...]
    older: tuple[RunPlan, ...] = ()
    newer: tuple[str, ...] = ()
    segments: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @property
    def extended(self) -> bool:
        """Whether some metric is winsorized or has a second total."""
        return any(measure.bounds or measure.beside for measure in self.measures)

    @property
    def paired(self) -> bool:
        """Whether some metric is a quantile over events."""
        return any(measure.sketched for measure in self.measures)

    @property
    def excluding(self) -> bool:
        """Whether some metric leaves units out for what they did before."""
        return any(measure.exclude_prior for measure in self.measures)


@dataclass(slots=True)
class Counting:
    """What of one run counts one event: plain measures and others, each in the spec's order."""

    plain: tuple[Measure, ...] = ()
    others: tuple[Measure, ...] = ()

    def add(self, measure: Measure) -> None:
        if measure.plain:
            self.plain = (*self.plain, measure)
        else:
            self.others = (*self.others, measure)


@dataclass(slots=True)
class EventPlan:
    """One event: who counts it.

    Attributes:
        name: ``name@version``.
        properties: Properties that some metric adds up.
        runs: Run key to what of the run counts this event.
        back_ms: How long before first exposure some run's covariate or exclusion looks back.
    """

    name: str
    properties: tuple[str, ...] = ()
    runs: dict[str, Counting] = field(default_factory=dict)
    back_ms: int = 0


class Plan:
    """All experiments of a catalog, whatever their status: late exposures and events count.

    A metric whose property cannot be told or is masked is left out: its results stay empty.
    ``Catalog.check`` says so when specs are validated, and ``problems`` here.

    A run's metrics are meant to be fixed, as specs are immutable. One added to a running version
    nevertheless counts from then on.
    """

    def __init__(self, catalog: Catalog) -> None:
        self.problems: list[SpecReferenceError] = []
        self.runs: dict[tuple[str, str], RunPlan] = {}
        self._events: dict[tuple[str, str], EventPlan] = {}
        for key in catalog.experiments.keys():  # noqa: SIM118  # a registry iterates its specs
            versions = catalog.experiments.versions(key)
            older: tuple[RunPlan, ...] = ()
            for at, spec in enumerate(versions, start=1):
                newer = tuple(run_key(key, later.version) for later in versions[at:])
                older = (*older, self._add(spec, catalog, older, newer))

    def event(self, name: str, version: str) -> EventPlan | None:
        """Who counts the event; None if no metric does."""
        return self._events.get((name, version))

    @property
    def run_keys(self) -> Mapping[str, RunPlan]:
        """The runs by their key in state."""
        return {run.key: run for run in self.runs.values()}

    def _count(self, event: str, run: str, measure: Measure) -> None:
        name, _, version = event.rpartition("@")
        plan = self._events.setdefault((name, version), EventPlan(event))
        plan.runs.setdefault(run, Counting()).add(measure)
        back = NEVER if measure.exclude_prior else measure.back_ms or 0
        plan.back_ms = max(plan.back_ms, back)
        if measure.property is not None and measure.property not in plan.properties:
            plan.properties = (*plan.properties, measure.property)

    def _add(
        self,
        spec: ExperimentSpec,
        catalog: Catalog,
        older: tuple[RunPlan, ...],
        newer: tuple[str, ...],
    ) -> RunPlan:
        key = run_key(spec.key, spec.version)
        measures: list[Measure] = []
        for metric in spec.success_metrics:
            try:
                made = _measures(metric, catalog)
            except SpecReferenceError as error:
                self.problems.append(
                    SpecReferenceError(f"Experiment {spec.key} {spec.version}: {error}")
                )
                continue
            measures += made
            for measure in made:
                for event in events_of(measure):
                    self._count(event, key, measure)
        run = self.runs[spec.key, spec.version] = RunPlan(
            key=key,
            experiment=spec.key,
            version=spec.version,
            variants=frozenset(spec.variants_by_id),
            measures=tuple(measures),
            older=older,
            newer=newer,
            segments={one.attribute: frozenset(one.values) for one in spec.segments},
        )
        return run


def _measures(metric: SuccessMetric, catalog: Catalog) -> list[Measure]:
    """The metric's measure, and that of the total beside it if there is one."""
    prop = metric_property(metric, catalog.telemetry)
    over = metric.denominator
    covariate = metric.covariate
    event = _event(metric.telemetry_event)
    reach = None if metric.window is None else metric.window * SECOND
    after = (metric.after or 0) * SECOND
    beside = f"{_BESIDE}{metric.name}"
    limits = metric.winsorize
    main = Measure(
        name=metric.name,
        event=event,
        property=prop,
        reach_ms=reach,
        sketched=is_quantile(metric.aggregation) and metric.per == "event",
        per_unit=metric.per == "unit",
        units_only=metric.aggregation == "unique",
        bounds=None if limits is None else (_bound(limits.lower), _bound(limits.upper)),
        beside=beside if over or covariate else None,
        after_ms=after,
        steps=(event, *map(_event, metric.steps)) if metric.steps else (),
        exclude_prior=metric.exclude_prior,
    )
    if covariate is not None:
        back = covariate.window * SECOND
        return [main, Measure(beside, event, prop, reach_ms=None, main=main, back_ms=back)]
    if over is not None:
        second = Measure(
            name=beside,
            event=_event(over.telemetry_event),
            property=denominator_property(metric, catalog.telemetry),
            reach_ms=reach,
            main=main,
            after_ms=after,
        )
        return [main, second]
    return [main]


def _event(ref: TelemetryEventRef) -> str:
    return f"{ref.key}@{ref.version}"


def _bound(value: float | None) -> Decimal | None:
    return None if value is None else decimal(value)
