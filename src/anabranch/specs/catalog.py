"""All specs together: which experiments take traffic, and whether references hold."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Self

from anabranch.errors import SpecReferenceError
from anabranch.specs.applications import Applications
from anabranch.specs.experiment import ExperimentSpec, Status
from anabranch.specs.policy import PolicySpec
from anabranch.specs.references import metric_property, references
from anabranch.specs.registry import (
    ExperimentRegistry,
    PolicyRegistry,
    Registry,
    TelemetryRegistry,
)
from anabranch.specs.spec import Spec
from anabranch.specs.targets import AppConfigSpec
from anabranch.specs.telemetry import TelemetrySpec

__all__ = ["Catalog", "metric_property"]


@dataclass(frozen=True)
class Catalog:
    """The specs that a process works with."""

    experiments: ExperimentRegistry = field(default_factory=ExperimentRegistry)
    telemetry: TelemetryRegistry = field(default_factory=TelemetryRegistry)
    policies: PolicyRegistry = field(default_factory=PolicyRegistry)
    others: dict[str, Registry[Spec]] = field(default_factory=dict)
    """Context schemas and the applications' own specs, by kind."""

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
        """
        if isinstance(spec, ExperimentSpec):
            self.experiments.register(spec)
        elif isinstance(spec, TelemetrySpec):
            self.telemetry.register(spec)
        elif isinstance(spec, PolicySpec):
            self.policies.register(spec)
        else:
            if spec.kind not in self.others:
                self.others[spec.kind] = Registry(kind=spec.kind)
            self.others[spec.kind].register(spec)

    def find(self, kind: str, key: str, version: int | str | None = None) -> Spec | None:
        """The spec of that kind, key and version; the latest where none is given."""
        registry = self.of_kind(kind)
        return None if registry is None else registry.get(key, version)

    def of_kind(self, kind: str) -> Registry[Any] | None:
        """The registry of a kind; None where there is no spec of it."""
        known: dict[str, Registry[Any]] = {
            "Experiment": self.experiments,
            "Telemetry": self.telemetry,
            "Policy": self.policies,
            **self.others,
        }
        found = known.get(kind)
        return found or None

    def __iter__(self) -> Iterator[Spec]:
        yield from self.experiments
        yield from self.telemetry
        yield from self.policies
        for registry in self.others.values():
            yield from registry

    def __len__(self) -> int:
        fixed = len(self.experiments) + len(self.telemetry) + len(self.policies)
        return fixed + sum(map(len, self.others.values()))

    def applications(self) -> Applications:
        """What the latest configuration of each application says of experiments."""
        registry = self.others.get(AppConfigSpec.kind)
        latest = () if registry is None else registry.latest()
        return Applications(spec for spec in latest if isinstance(spec, AppConfigSpec))

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
        """References that do not hold, of applications' specs and experiments that are not retired.

        Of running experiments also: parts of a layer held twice, holdouts that differ, and
        prerequisites that lead in a circle.
        """
        return [reference.error for reference in references(self)]

    def check(self) -> Self:
        """This catalog, if all references hold.

        Raises:
            SpecReferenceError: with every problem of :meth:`problems`.
        """
        found = self.problems()
        if found:
            raise SpecReferenceError("\n".join(str(problem) for problem in found))
        return self
