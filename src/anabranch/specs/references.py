"""What specs say of each other, and where it does not hold."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any, Literal

from anabranch.errors import SpecError, SpecReferenceError
from anabranch.specs.experiment import (
    ExperimentRef,
    ExperimentSpec,
    Status,
    SuccessMetric,
    TargetedAllocation,
    TelemetryEventRef,
)
from anabranch.specs.explain import Path, nearest, spell
from anabranch.specs.overrides import KIND_OF_TARGET, conflicts, overridden
from anabranch.specs.registry import Registry, TelemetryRegistry
from anabranch.specs.spec import Spec
from anabranch.specs.targets import AppConfigSpec, TargetSpec
from anabranch.specs.traffic import Prerequisite

if TYPE_CHECKING:
    from anabranch.specs.catalog import Catalog

__all__ = ["Reference", "denominator_property", "metric_property", "overlap", "references"]

Kind = Literal["metric", "policy", "layer", "holdout", "prerequisite", "override", "experiment"]


@dataclass(frozen=True, slots=True)
class Reference:
    """One that does not hold: of which spec, at which field, and what to do."""

    kind: Kind
    spec: Spec
    path: Path
    message: str

    @property
    def error(self) -> SpecReferenceError:
        return SpecReferenceError(
            f"{self.spec.kind} {self.spec.meta.label}: {spell(self.path)}{self.message}"
        )


def references(catalog: Catalog) -> Iterator[Reference]:
    """Every reference that does not hold, of applications' specs and experiments not retired.

    Layers, holdouts and overrides are held against each other for running experiments only.
    """
    for spec in catalog.experiments:
        if spec.status is Status.RETIRED:
            continue
        yield from _metrics(spec, catalog)
        yield from _policies(spec, catalog)
        yield from _prerequisites(spec, catalog)
        yield from _targets(spec, catalog)
    for registry in catalog.others.values():
        for other in registry:
            yield from _experiments(other, catalog)
    yield from _applications(catalog)
    running = catalog.running()
    for one, other in _sharing(running):
        yield from _layers(one, other)
        yield from _holdouts(one, other)
    yield from _circles(catalog, running)
    yield from _overrides(running)


def _sharing(
    running: list[ExperimentSpec],
) -> Iterator[tuple[ExperimentSpec, ExperimentSpec]]:
    """Pairs to hold against each other, each once, in order: a thousand share one holdout.

    What has to be the same is held against the first that names the layer or the holdout, and
    parts of a layer against those that begin inside them.
    """
    named: dict[tuple[str, str], list[int]] = {}
    for i, spec in enumerate(running):
        if spec.layer is not None:
            named.setdefault(("layer", spec.layer.key), []).append(i)
        for holdout in spec.holdout:
            named.setdefault(("holdout", holdout.key), []).append(i)
    pairs: set[tuple[int, int]] = set()
    for (kind, _), (first, *others) in named.items():
        pairs.update((first, other) for other in others)
        if kind == "layer":
            pairs.update(_overlapping(running, [first, *others]))
    for i, k in sorted(pairs):
        yield running[i], running[k]


def _overlapping(running: list[ExperimentSpec], places: list[int]) -> Iterator[tuple[int, int]]:
    """Pairs of one layer whose parts overlap."""
    parts = sorted((layer.start, layer.end, i) for i in places if (layer := running[i].layer))
    for n, (_, end, one) in enumerate(parts):
        for start, _, other in islice(parts, n + 1, None):
            if start >= end:
                break
            yield min(one, other), max(one, other)


def overlap(one: ExperimentSpec, other: ExperimentSpec) -> bool:
    """Whether some moment lies inside both schedules."""
    if one.schedule is None or other.schedule is None:
        return True
    return one.schedule.overlaps(other.schedule)


def _metrics(spec: ExperimentSpec, catalog: Catalog) -> Iterator[Reference]:
    for i, metric in enumerate(spec.success_metrics):
        for find in (metric_property, denominator_property, _steps):
            try:
                find(metric, catalog.telemetry)
            except SpecReferenceError as error:
                yield Reference("metric", spec, ("successMetrics", i), f", {error}")


def _policies(spec: ExperimentSpec, catalog: Catalog) -> Iterator[Reference]:
    if not isinstance(spec.allocation, TargetedAllocation):
        return
    for i, rule in enumerate(spec.allocation.rules):
        ref = rule.policy
        if ref is not None and catalog.policies.get(ref.key, ref.version) is None:
            yield Reference(
                "policy",
                spec,
                ("allocation", "rules", i, "policy"),
                f" names Policy {ref.label}, which is not there: "
                + _remedy(catalog.policies, ref.key),
            )


def _prerequisites(spec: ExperimentSpec, catalog: Catalog) -> Iterator[Reference]:
    for i, needed in enumerate(spec.prerequisites):
        path: Path = ("prerequisites", i)
        if needed.experiment not in catalog.experiments or (
            needed.version is not None
            and catalog.experiments.get(needed.experiment, needed.version) is None
        ):
            yield Reference(
                "prerequisite",
                spec,
                path,
                f" names Experiment {needed.label}, which is not there: "
                + _remedy(catalog.experiments, needed.experiment),
            )
            continue
        found = _required(needed, catalog)
        over = found is None or found.status in {Status.COMPLETED, Status.RETIRED, Status.DRAFT}
        if over and spec.status is Status.RUNNING:
            status = "a draft" if found is None else f"{found.status}"
            yield Reference(
                "prerequisite",
                spec,
                path,
                f" requires Experiment {needed.label}, which is {status}, so nobody is enrolled: "
                "set it running, or take the prerequisite away",
            )
        if found is None:
            continue
        variant = needed.variant
        if variant is not None and variant not in found.variants_by_id:
            yield Reference(
                "prerequisite",
                spec,
                (*path, "variant"),
                f" requires {variant!r}, which Experiment {found.meta.label} does not have: "
                + nearest(variant, found.variants_by_id),
            )
        if variant is not None and found.keep is not None:
            yield Reference(
                "prerequisite",
                spec,
                (*path, "variant"),
                f" requires {variant!r} of Experiment {found.meta.label}, whose units keep what "
                "they were given first, which is not known where this one is decided: require it "
                "without a variant, or take its keep away",
            )
        mine, theirs = spec.layer, found.layer
        if mine and theirs and mine.key == theirs.key and not mine.overlaps(theirs):
            yield Reference(
                "prerequisite",
                spec,
                path,
                f" requires Experiment {found.meta.label}, which holds another part of the layer "
                f"{mine.key}, so nobody is enrolled: give them different layers",
            )


def _required(needed: Prerequisite, catalog: Catalog) -> ExperimentSpec | None:
    if needed.version is None:
        return catalog.current(needed.experiment)
    return catalog.experiments.get(needed.experiment, needed.version)


def _circles(catalog: Catalog, running: list[ExperimentSpec]) -> Iterator[Reference]:
    """Each circle of prerequisites once, told of its first experiment."""
    told: set[str] = set()
    done: set[str] = set()

    def walk(spec: ExperimentSpec, path: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
        if spec.key in path:
            yield path[path.index(spec.key) :]
            return
        if not spec.prerequisites or spec.digest in done:
            return
        for needed in spec.prerequisites:
            found = _required(needed, catalog)
            if found is not None:
                yield from walk(found, (*path, spec.key))
        done.add(spec.digest)

    for spec in running:
        for circle in walk(spec, ()):
            if told.isdisjoint(circle):
                shown = " > ".join((*circle, circle[0]))
                first = catalog.current(circle[0]) or spec
                yield Reference(
                    "prerequisite",
                    first,
                    ("prerequisites",),
                    f" lead in a circle, {shown}: take one away",
                )
            told.update(circle)


def _layers(one: ExperimentSpec, other: ExperimentSpec) -> Iterator[Reference]:
    first, second = one.layer, other.layer
    if first is None or second is None or first.key != second.key:
        return
    if one.unit != other.unit:
        yield Reference(
            "layer",
            other,
            ("unit",),
            f" is {', '.join(other.unit)}, and that of Experiment {one.meta.label} in the same "
            f"layer {first.key} is {', '.join(one.unit)}: one person could be in both; give them "
            "the same",
        )
    if first.overlaps(second) and overlap(one, other):
        low, high = max(first.start, second.start), min(first.end, second.end)
        yield Reference(
            "layer",
            other,
            ("layer",),
            f" holds {low} to {high} of {first.key}, which Experiment {one.meta.label} holds too: "
            "give each a part of its own, or schedules that do not overlap",
        )


def _targets(spec: ExperimentSpec, catalog: Catalog) -> Iterator[Reference]:
    """Where the catalog has specs of the target's kind, the target is there and stays valid."""
    for v, variant in enumerate(spec.variants):
        for i, override in enumerate(variant.overrides):
            kind = KIND_OF_TARGET[override.type]
            targets = catalog.of_kind(kind)
            if targets is None:
                continue
            path: Path = ("variants", v, "overrides", i)
            target = targets.get(override.target, override.version)
            if target is None:
                yield Reference(
                    "override",
                    spec,
                    (*path, "target"),
                    f" names {kind} {override.label}, which is not there: "
                    + _remedy(targets, override.target),
                )
                continue
            try:
                overridden(target, override)
            except SpecError as error:
                yield Reference("override", spec, path, f" {error}")


def _experiments(spec: Spec, catalog: Catalog) -> Iterator[Reference]:
    for path, ref in _named(spec):
        if catalog.experiments.get(ref.key, ref.version) is None:
            yield Reference(
                "experiment",
                spec,
                path,
                f" names Experiment {ref.label}, which is not there: "
                + _remedy(catalog.experiments, ref.key),
            )


def _applications(catalog: Catalog) -> Iterator[Reference]:
    """What one application's latest configuration has active and another's paused."""
    registry = catalog.of_kind(AppConfigSpec.kind)
    latest = [] if registry is None else registry.latest()
    active: dict[str, list[tuple[ExperimentRef, AppConfigSpec]]] = {}
    for config in latest:
        for ref in config.experiments.active:
            active.setdefault(ref.key, []).append((ref, config))
    for config in latest:
        for i, ref in enumerate(config.experiments.paused):
            for same, other in active.get(ref.key, ()):
                if other is config or (
                    None not in (ref.version, same.version) and ref.version != same.version
                ):
                    continue
                yield Reference(
                    "experiment",
                    config,
                    ("experiments", "paused", i),
                    f" names Experiment {ref.label}, which AppConfig {other.meta.label} has "
                    "active, and a context does not say which application it is of: pause it in "
                    "both, or in none",
                )


def _named(spec: Spec) -> Iterator[tuple[Path, ExperimentRef]]:
    """The experiments that an application's spec names, and where."""
    if isinstance(spec, AppConfigSpec):
        for field, refs in (
            ("active", spec.experiments.active),
            ("paused", spec.experiments.paused),
        ):
            for i, ref in enumerate(refs):
                yield ("experiments", field, i), ref
    elif isinstance(spec, TargetSpec):
        for i, ref in enumerate(spec.experiments):
            yield ("experiments", i), ref


def _overrides(running: list[ExperimentSpec]) -> Iterator[Reference]:
    for conflict in conflicts(running):
        yield Reference("override", conflict.other.experiment, conflict.place, conflict.message)


def _holdouts(one: ExperimentSpec, other: ExperimentSpec) -> Iterator[Reference]:
    known = {holdout.key: holdout for holdout in one.holdout}
    for i, holdout in enumerate(other.holdout):
        same = known.get(holdout.key)
        if same is None:
            continue
        if same.share != holdout.share:
            yield Reference(
                "holdout",
                other,
                ("holdout", i, "share"),
                f" is {holdout.share}, and {same.share} for the same holdout {holdout.key} in "
                f"Experiment {one.meta.label}: give it one share",
            )
        if one.unit != other.unit:
            yield Reference(
                "holdout",
                other,
                ("unit",),
                f" is {', '.join(other.unit)}, and {', '.join(one.unit)} in Experiment "
                f"{one.meta.label}, which names the same holdout {holdout.key}: one person could "
                "be held out of one only; give them the same",
            )


def _remedy(registry: Registry[Any], key: str) -> str:
    versions = [spec.version for spec in registry.versions(key)]
    if versions:
        return f"its versions are {', '.join(versions)}"
    return nearest(key, registry.keys())


def metric_property(metric: SuccessMetric, telemetry: TelemetryRegistry) -> str | None:
    """The property whose values the metric aggregates; None for count and unique.

    It is the one the metric names, else the only numeric property of its event.

    Raises:
        SpecReferenceError: no TelemetrySpec declares the event; the property is not declared, not
            numeric or masked; or none is named and the event has not exactly one numeric property.
    """
    name = metric.property
    return _property(metric, metric.telemetry_event, name, metric.needs_property, telemetry)


def denominator_property(metric: SuccessMetric, telemetry: TelemetryRegistry) -> str | None:
    """The property that a ratio's denominator adds up; None if it counts, or there is none.

    Raises:
        SpecReferenceError: as :func:`metric_property`.
    """
    over = metric.denominator
    if over is None:
        return None
    return _property(
        metric, over.telemetry_event, over.property, over.property is not None, telemetry
    )


def _steps(metric: SuccessMetric, telemetry: TelemetryRegistry) -> None:
    for ref in metric.steps:
        _property(metric, ref, None, False, telemetry)


def _property(
    metric: SuccessMetric,
    ref: TelemetryEventRef,
    name: str | None,
    needed: bool,
    telemetry: TelemetryRegistry,
) -> str | None:
    head = f"metric {metric.name!r}"
    event = telemetry.event(ref.key, ref.version)
    if event is None:
        versions = [event.version for event in telemetry.events_named(ref.key)]
        remedy = (
            f"its versions are {', '.join(versions)}"
            if versions
            else nearest(ref.key, (event.key for _, event in telemetry.declarations()))
        )
        raise SpecReferenceError(
            f"{head}: no TelemetrySpec declares the event {ref.label}: {remedy}"
        )
    if not needed:
        return None
    if name is None:
        if len(event.numeric) != 1:
            have = ", ".join(map(repr, event.numeric)) or "none"
            raise SpecReferenceError(
                f"{head}: {metric.aggregation} needs a numeric property, and event {event.label} "
                f"has {have}: "
                + ("name one as 'property'" if event.numeric else "declare one, or count instead")
            )
        name = event.numeric[0]
    elif name not in event.properties:
        raise SpecReferenceError(
            f"{head}: event {event.label} declares no property {name!r}: "
            + nearest(name, event.properties)
        )
    elif name not in event.numeric:
        raise SpecReferenceError(
            f"{head}: property {name!r} of event {event.label} is a "
            f"{event.properties[name].type}, and {metric.aggregation} needs a number: numeric are "
            + (", ".join(map(repr, event.numeric)) or "none")
        )
    if event.masks(name):
        why = (
            "the event is sensitive"
            if event.privacy == "sensitive"
            else "it is declared pii or redact"
        )
        raise SpecReferenceError(
            f"{head}: every value of property {name!r} of event {event.label} is masked to 0, for "
            f"{why}: measure another property, or count instead"
        )
    return name
