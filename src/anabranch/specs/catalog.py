"""All specs together: which experiments take traffic, and whether references hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from anabranch.errors import SpecError, SpecReferenceError
from anabranch.specs.experiment import (
    ExperimentSpec,
    Status,
    SuccessMetric,
    TargetedAllocation,
)
from anabranch.specs.explain import nearest
from anabranch.specs.policy import PolicySpec
from anabranch.specs.registry import ExperimentRegistry, PolicyRegistry, TelemetryRegistry
from anabranch.specs.spec import Spec
from anabranch.specs.telemetry import TelemetrySpec

__all__ = ["Catalog", "metric_property"]


@dataclass(frozen=True)
class Catalog:
    """The specs that a process works with."""

    experiments: ExperimentRegistry = field(default_factory=ExperimentRegistry)
    telemetry: TelemetryRegistry = field(default_factory=TelemetryRegistry)
    policies: PolicyRegistry = field(default_factory=PolicyRegistry)

    @classmethod
    def of(cls, specs: Iterable[Spec]) -> Self:
        """A catalog of specs of any kind.

        Raises:
            DuplicateSpecError: two of one kind have the same key and version.
        """
        catalog = cls()
        for spec in specs:
            catalog.add(spec)
        return catalog

    def add(self, spec: Spec) -> None:
        """Register a spec with its own kind.

        Raises:
            DuplicateSpecError: there is one with the same key and version.
            SpecError: a catalog holds no such kind.
        """
        if isinstance(spec, ExperimentSpec):
            self.experiments.register(spec)
        elif isinstance(spec, TelemetrySpec):
            self.telemetry.register(spec)
        elif isinstance(spec, PolicySpec):
            self.policies.register(spec)
        else:
            raise SpecError(f"a catalog holds no {type(spec).__name__}")

    def __iter__(self) -> Iterator[Spec]:
        yield from self.experiments
        yield from self.telemetry
        yield from self.policies

    def __len__(self) -> int:
        return len(self.experiments) + len(self.telemetry) + len(self.policies)

    def current(self, key: str) -> ExperimentSpec | None:
        """The version of an experiment that holds: the latest that is no draft.

        A version supersedes those before it from the moment it is no draft any more, and for good:
        pausing or completing it does not bring an older one back.
        """
        for spec in reversed(self.experiments.versions(key)):
            if spec.status is not Status.DRAFT:
                return spec
        return None

    def running(self) -> list[ExperimentSpec]:
        """Experiments that take traffic: each key's current version, where it is running.

        Their schedules are not looked at here, for there is no clock: evaluation does.
        """
        return [spec for spec in self.evaluated() if spec.status is Status.RUNNING]

    def evaluated(self) -> list[ExperimentSpec]:
        """The running ones and the paused ones; paused gives control and no exposure."""
        current = (self.current(key) for key in self.experiments.keys())  # noqa: SIM118
        return [
            spec
            for spec in current
            if spec is not None and spec.status in {Status.RUNNING, Status.PAUSED}
        ]

    def problems(self) -> list[SpecReferenceError]:
        """References that do not hold, of every experiment that is not retired."""
        found: list[SpecReferenceError] = []
        for spec in self.experiments:
            if spec.status is Status.RETIRED:
                continue
            label = f"Experiment {spec.meta.label}"
            for i, metric in enumerate(spec.success_metrics):
                try:
                    metric_property(metric, self.telemetry)
                except SpecReferenceError as error:
                    found.append(SpecReferenceError(f"{label}: successMetrics[{i}], {error}"))
            if not isinstance(spec.allocation, TargetedAllocation):
                continue
            for i, rule in enumerate(spec.allocation.rules):
                ref = rule.policy
                if ref is not None and self.policies.get(ref.key, ref.version) is None:
                    versions = [policy.version for policy in self.policies.versions(ref.key)]
                    remedy = (
                        f"its versions are {', '.join(versions)}"
                        if versions
                        else nearest(ref.key, self.policies.keys())
                    )
                    found.append(
                        SpecReferenceError(
                            f"{label}: allocation.rules[{i}].policy names Policy {ref.label}, "
                            f"which is not there: {remedy}"
                        )
                    )
        return found

    def check(self) -> Self:
        """This catalog, if all references hold.

        Raises:
            SpecReferenceError: with every problem of :meth:`problems`.
        """
        found = self.problems()
        if found:
            raise SpecReferenceError("\n".join(str(problem) for problem in found))
        return self


def metric_property(metric: SuccessMetric, telemetry: TelemetryRegistry) -> str | None:
    """The property whose values the metric aggregates; None for count and unique.

    It is the one the metric names, else the only numeric property of its event.

    Raises:
        SpecReferenceError: no TelemetrySpec declares the event; the property is not declared, not
            numeric or masked; or none is named and the event has not exactly one numeric property.
    """
    ref = metric.telemetry_event
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
    if not metric.needs_property:
        return None
    name = metric.property
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
