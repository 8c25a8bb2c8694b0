"""A catalog compiled into what attribution looks up for each event: built once per catalog."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from anabranch.errors import SpecReferenceError
from anabranch.metrics.windows import SECOND
from anabranch.specs import Catalog, ExperimentSpec, SuccessMetric, metric_property

__all__ = ["EventPlan", "Measure", "Plan", "RunPlan", "is_quantile", "run_key"]


def run_key(experiment: str, version: str) -> str:
    """How a run is named in state; a run is one version of one experiment."""
    return f"{experiment}@{version}"


def is_quantile(aggregation: str) -> bool:
    """Whether the aggregation is one of p50 to p99."""
    return aggregation.startswith("p")


@dataclass(frozen=True, slots=True)
class Measure:
    """One metric of one run as attribution sees it.

    Attributes:
        event: Name and canonical version of the event, ``name@version``.
        property: The property whose values add up; None takes every event as one.
        reach_ms: The attribution window: how long after first exposure an event counts.
        sketched: Whether the values go into a sketch too.
    """

    name: str
    event: str
    property: str | None
    reach_ms: int | None
    sketched: bool


@dataclass(frozen=True, slots=True)
class RunPlan:
    """One run: what its exposures may name and what its units are measured by."""

    key: str
    experiment: str
    version: str
    variants: frozenset[str]
    measures: tuple[Measure, ...]


@dataclass(slots=True)
class EventPlan:
    """One event: who counts it.

    Attributes:
        name: ``name@version``.
        properties: Properties that some metric adds up.
        runs: Run key to the run's measures of this event.
    """

    name: str
    properties: tuple[str, ...] = ()
    runs: dict[str, tuple[Measure, ...]] = field(default_factory=dict)


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
        for spec in catalog.experiments:
            self._add(spec, catalog)

    def event(self, name: str, version: str) -> EventPlan | None:
        """Who counts the event; None if no metric does."""
        return self._events.get((name, version))

    @property
    def run_keys(self) -> Mapping[str, RunPlan]:
        """The runs by their key in state."""
        return {run.key: run for run in self.runs.values()}

    def _add(self, spec: ExperimentSpec, catalog: Catalog) -> None:
        key = run_key(spec.key, spec.version)
        measures: list[Measure] = []
        for metric in spec.success_metrics:
            try:
                measure = _measure(metric, catalog)
            except SpecReferenceError as error:
                self.problems.append(
                    SpecReferenceError(f"Experiment {spec.key} {spec.version}: {error}")
                )
                continue
            measures.append(measure)
            ref = metric.telemetry_event
            event = self._events.setdefault((ref.key, ref.version), EventPlan(measure.event))
            event.runs[key] = (*event.runs.get(key, ()), measure)
            if measure.property is not None and measure.property not in event.properties:
                event.properties = (*event.properties, measure.property)
        self.runs[spec.key, spec.version] = RunPlan(
            key=key,
            experiment=spec.key,
            version=spec.version,
            variants=frozenset(spec.variants_by_id),
            measures=tuple(measures),
        )


def _measure(metric: SuccessMetric, catalog: Catalog) -> Measure:
    ref = metric.telemetry_event
    needed = metric.needs_property
    return Measure(
        name=metric.name,
        event=f"{ref.key}@{ref.version}",
        property=metric_property(metric, catalog.telemetry) if needed else None,
        reach_ms=None if metric.window is None else metric.window * SECOND,
        sketched=is_quantile(metric.aggregation),
    )
