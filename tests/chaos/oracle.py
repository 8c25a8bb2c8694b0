"""What must come out, recomputed in one pass from everything that went in.

No processor and nothing of the engine is used here, only the evaluator for variants; the rest is
plain Python over dicts and decimals, as slow and as simple as it can be.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from fractions import Fraction
from typing import Any

from anabranch.assignment import ExperimentContext, ExperimentEvaluator
from anabranch.events.ids import context_name, output_ids
from anabranch.processors.protocol import Record
from anabranch.specs import Catalog, ExperimentSpec, SuccessMetric
from tests.chaos.load import Bad
from tests.chaos.specs import LARGEST_AMOUNT, PURCHASE

Place = tuple[str, int, int]
"""Topic, partition, offset."""


def place(record: Record) -> Place:
    return record.topic, record.partition, record.offset


@dataclass(frozen=True)
class Input:
    """One input record as it lies on its topic.

    Attributes:
        bad: What its dead letter must say; None where it is as it should be.
        data: Its JSON, empty where it is bad.
    """

    record: Record
    id: str
    time: int
    bad: Bad | None
    data: dict[str, Any]

    @property
    def partition(self) -> int:
        return self.record.partition

    @property
    def user(self) -> str:
        return f"user:{self.data['userId']}"

    @property
    def units(self) -> list[str]:
        """Whom an event of it is told of: experiments are run on users and on organizations."""
        organization = self.data.get("organizationId")
        return [self.user] + ([f"organization:{organization}"] if organization else [])


def read_inputs(records: Iterable[Record], bad: Mapping[str, Bad]) -> list[Input]:
    """Input records, opened."""
    found = []
    for record in records:
        headers = dict(record.headers)
        event_id = headers["ce_id"].decode()
        time = datetime.fromisoformat(headers["ce_time"].decode())
        wrong = bad.get(event_id)
        data = {} if wrong is not None else json.loads(record.value)
        found.append(Input(record, event_id, round(time.timestamp() * 1000), wrong, data))
    return found


# -- assignments ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Choice:
    """What a context must be given of one version of one experiment.

    Attributes:
        kept: Whether units keep what they were given first, in whichever version.
    """

    experiment: str
    version: str
    unit: str
    variant: str
    reason: str
    digest: str
    exposes: bool
    assignment_id: str
    exposure_id: str
    kept: bool

    def given(self, held: str) -> Choice:
        """What it becomes for a unit that has been given a variant before, and keeps it."""
        return self if held == self.variant else replace(self, variant=held, reason="sticky")

    @property
    def assignment_key(self) -> str:
        return f"{self.unit}|{self.experiment}"

    @property
    def run(self) -> str:
        return f"{self.experiment}@{self.version}"


def choices(context: Input, catalogs: Sequence[Catalog]) -> dict[str, dict[str, Choice]]:
    """Experiment to version to what must be chosen.

    Args:
        context: One that is as it should be.
        catalogs: The specs before a bump and those after it; a context that was on its way may
            have met either, and each experiment must have met exactly one of them.
    """
    found: dict[str, dict[str, Choice]] = {}
    for catalog in catalogs:
        for choice in _chosen(context, catalog):
            found.setdefault(choice.experiment, {})[choice.version] = choice
    return found


def _chosen(context: Input, catalog: Catalog) -> Iterable[Choice]:
    data = context.data
    asked = ExperimentContext(
        user_id=data["userId"],
        organization_id=data.get("organizationId"),
        attributes=data["attributes"],
    )
    evaluator = ExperimentEvaluator(catalog.experiments)
    for spec in _asked_for(data, catalog):
        evaluation = _plan(evaluator, spec).evaluate(asked, context.time)
        if evaluation.unit is None:
            continue
        name = context_name(dict(context.record.headers)["ce_source"].decode(), context.id)
        assignment_id, exposure_id = output_ids(name, f"{spec.key}@{spec.version}".encode())
        yield Choice(
            spec.key,
            spec.version,
            evaluation.unit,
            evaluation.variant.id,
            evaluation.reason,
            spec.digest,
            evaluation.enrolled and data.get("exposure", True),
            assignment_id.decode(),
            exposure_id.decode(),
            spec.keep is not None,
        )


_plans: dict[str, Any] = {}


def _plan(evaluator: ExperimentEvaluator, spec: ExperimentSpec) -> Any:
    if spec.digest not in _plans:
        _plans[spec.digest] = evaluator.plan(spec)
    return _plans[spec.digest]


def _asked_for(data: dict[str, Any], catalog: Catalog) -> list[ExperimentSpec]:
    if "experiment" not in data:
        return catalog.running()
    version = data.get("version")
    spec = (
        catalog.current(data["experiment"])
        if version is None
        else catalog.experiments.get(data["experiment"], version)
    )
    assert spec is not None
    return [spec]


# -- results and windows ----------------------------------------------------------------------


@dataclass
class Cell:
    """Events of one metric, of one variant of a run, perhaps of one window."""

    units: set[str] = field(default_factory=set)
    values: list[Decimal] = field(default_factory=list)

    @property
    def total(self) -> Decimal:
        return sum(self.values, Decimal(0))

    def value(self, aggregation: str) -> Fraction | None:
        """What the aggregation comes to; a quantile is the exact one."""
        if not self.values:
            return None
        if aggregation in {"count", "sum"}:
            return Fraction(self.total)
        if aggregation == "unique":
            return Fraction(len(self.units))
        if aggregation == "avg":
            return Fraction(self.total) / len(self.values)
        rank = int(int(aggregation[1:]) / 100 * (len(self.values) - 1))
        return Fraction(sorted(self.values)[rank])


@dataclass
class Run:
    """One version of one experiment, added up.

    Attributes:
        units: Variant to the units that saw it alone.
        crossovers: Variant to the units that saw it and another one.
        metrics: (variant, metric) to its events.
        windows: (variant, metric, size, start) to its events; ``$exposures`` is a metric too.
    """

    spec: ExperimentSpec
    units: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    crossovers: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    metrics: dict[tuple[str, str], Cell] = field(default_factory=lambda: defaultdict(Cell))
    windows: dict[tuple[str, str, int, int], Cell] = field(
        default_factory=lambda: defaultdict(Cell)
    )


@dataclass(frozen=True)
class Exposed:
    """An exposure as it was read back: what results rest on."""

    run: str
    variant: str
    unit: str
    time: int


def add_up(
    catalog: Catalog, exposures: Iterable[Exposed], telemetry: Iterable[Input], sizes: Iterable[int]
) -> dict[str, Run]:
    """Every run that somebody was exposed to, by ``experiment@version``.

    An event counts from its unit's first exposure on, within the metric's window, if the unit saw
    one variant only, until the unit is shown a newer version; an event that came several times is
    one.

    Args:
        catalog: With every version.
        exposures: In any order, repeats included.
        telemetry: Good and bad, in any order, repeats included.
        sizes: Of windows, in milliseconds.
    """
    specs = {f"{spec.key}@{spec.version}": spec for spec in catalog.experiments}
    runs: dict[str, Run] = {}
    seen: dict[tuple[str, str], set[str]] = defaultdict(set)
    first: dict[tuple[str, str], int] = {}
    for exposed in exposures:
        name = exposed.run, exposed.unit
        runs.setdefault(exposed.run, Run(specs[exposed.run]))
        seen[name].add(exposed.variant)
        first[name] = min(exposed.time, first.get(name, exposed.time))

    events: dict[str, list[Input]] = defaultdict(list)
    for event in {event.id: event for event in telemetry if event.bad is None}.values():
        for unit in event.units:
            events[unit].append(event)

    for (run_name, unit), variants in seen.items():
        run = runs[run_name]
        if len(variants) > 1:
            for variant in variants:
                run.crossovers[variant].add(unit)
            continue
        (variant,) = variants
        since = first[run_name, unit]
        versions = [one.version for one in catalog.experiments.versions(run.spec.key)]
        newer = versions[versions.index(run.spec.version) + 1 :]
        later = [first.get((f"{run.spec.key}@{version}", unit)) for version in newer]
        until = min((time for time in later if time is not None), default=None)
        run.units[variant].add(unit)
        for size in sizes:
            window = run.windows[variant, "$exposures", size, since - since % size]
            window.units.add(unit)
            window.values.append(Decimal(1))
        for metric in run.spec.success_metrics:
            for event in events[unit]:
                value = _counted(metric, event, since, until)
                if value is None:
                    continue
                cells = [run.metrics[variant, metric.name]]
                cells += [
                    run.windows[variant, metric.name, size, event.time - event.time % size]
                    for size in sizes
                ]
                for cell in cells:
                    cell.units.add(unit)
                    cell.values.append(value)
    return runs


def _counted(metric: SuccessMetric, event: Input, since: int, until: int | None) -> Decimal | None:
    """What the event adds to the metric; None where it does not count."""
    if until is not None and event.time >= until:
        return None
    if event.data["name"] != metric.telemetry_event.key or event.time < since:
        return None
    if metric.window is not None and event.time >= since + metric.window * 1000:
        return None
    if metric.aggregation in {"count", "unique"}:
        return Decimal(1)
    value = event.data["properties"].get(metric.property)
    # The decimal that was written, not the binary fraction nearest to it.
    return None if value is None else Decimal(str(value))


def anomalous(event: Input) -> bool:
    """Whether the event must raise an alert."""
    data = event.data
    return (
        event.bad is None
        and data["name"] == PURCHASE
        and data["properties"]["amount"] > LARGEST_AMOUNT
    )
