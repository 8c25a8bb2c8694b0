"""Registries: specs of one kind by key and version."""

from __future__ import annotations

from bisect import insort
from collections.abc import Iterable, Iterator
from typing import Generic, Self, TypeVar

from anabranch.errors import DuplicateSpecError, SpecValidationError, UnknownSpecError
from anabranch.specs.experiment import ExperimentSpec
from anabranch.specs.explain import nearest
from anabranch.specs.policy import PolicySpec
from anabranch.specs.spec import Spec
from anabranch.specs.telemetry import TelemetryEventSpec, TelemetrySpec
from anabranch.specs.version import normalize_version, spellings, version_key

__all__ = ["ExperimentRegistry", "PolicyRegistry", "Registry", "TelemetryRegistry"]

T = TypeVar("T", bound=Spec)


class Registry(Generic[T]):
    """Specs of one kind. Iterates in order of registration.

    Args:
        specs: Registered at once.
        kind: Of the specs, for messages.

    Attributes:
        revision: One more with each spec registered, so that what was looked up may be kept.

    Raises:
        DuplicateSpecError: two have the same key and version.
    """

    kind = "Spec"

    def __init__(self, specs: Iterable[T] = (), *, kind: str | None = None) -> None:
        if kind is not None:
            self.kind = kind
        self.revision = 0
        self._specs: dict[tuple[str, str], T] = {}
        self._latest: dict[str, T] = {}
        self._versions: dict[str, list[T]] = {}
        for spec in specs:
            self.register(spec)

    def register(self, spec: T) -> Self:
        """Add a spec.

        Raises:
            DuplicateSpecError: its key and version are taken.
        """
        name = (spec.key, spec.version)
        if name in self._specs:
            raise DuplicateSpecError(
                f"{self.kind} {spec.key} {spec.version} is there twice: give the changed one a "
                "new version, or take one away"
            )
        self._specs[name] = spec
        self.revision += 1
        versions = self._versions.setdefault(spec.key, [])
        insort(versions, spec, key=lambda one: version_key(one.version))
        latest = self._latest.get(spec.key)
        if latest is None or version_key(latest.version) < version_key(spec.version):
            self._latest[spec.key] = spec
        return self

    def get(self, key: str, version: int | str | None = None) -> T | None:
        """The spec in that version, by default its latest; None if there is none.

        A version that is not a semantic version belongs to no spec.
        """
        if version is None:
            return self._latest.get(key)
        found = self._specs.get((key, version)) if isinstance(version, str) else None
        if found is not None or key not in self._latest:
            return found
        try:
            return self._specs.get((key, normalize_version(version)))
        except SpecValidationError:
            return None

    def require(self, key: str, version: int | str | None = None) -> T:
        """As :meth:`get`.

        Raises:
            UnknownSpecError: there is none; the message has the nearest names.
        """
        found = self.get(key, version)
        if found is not None:
            return found
        if key in self._latest:
            known = ", ".join(spec.version for spec in self.versions(key))
            raise UnknownSpecError(
                f"{self.kind} {key} has no version {version!r}: its versions are {known}"
            )
        raise UnknownSpecError(
            f"there is no {self.kind} with the key {key!r}: {nearest(key, self._latest)}"
        )

    def versions(self, key: str) -> list[T]:
        """All versions of a key, the oldest first."""
        return list(self._versions.get(key, ()))

    def latest(self) -> list[T]:
        """The latest version of each key, in order of the keys' first registration."""
        return list(self._latest.values())

    def keys(self) -> list[str]:
        """All keys, in order of first registration."""
        return list(self._latest)

    def __iter__(self) -> Iterator[T]:
        return iter(self._specs.values())

    def __len__(self) -> int:
        return len(self._specs)

    def __contains__(self, key: object) -> bool:
        return key in self._latest

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(s.meta.label for s in self)})"


class ExperimentRegistry(Registry[ExperimentSpec]):
    """Experiments by key and version."""

    kind = "Experiment"


class PolicyRegistry(Registry[PolicySpec]):
    """Policies by key and version."""

    kind = "Policy"


class TelemetryRegistry(Registry[TelemetrySpec]):
    """Telemetry by key and version, and the events that it declares.

    Where several versions of one TelemetrySpec declare the same event, the latest one holds. Two
    TelemetrySpecs with different keys must not declare the same event.
    """

    kind = "Telemetry"

    def __init__(self, specs: Iterable[TelemetrySpec] = ()) -> None:
        self._events: dict[tuple[str, int | str], tuple[TelemetrySpec, TelemetryEventSpec]] = {}
        super().__init__(specs)

    def register(self, spec: TelemetrySpec) -> Self:
        for event in spec.events:
            other = self._events.get((event.key, event.version))
            if other is not None and other[0].key != spec.key:
                raise DuplicateSpecError(
                    f"event {event.label} is declared by Telemetry {other[0].meta.label} and by "
                    f"Telemetry {spec.meta.label}: declare it in one of them"
                )
        super().register(spec)
        for event in spec.events:
            other = self._events.get((event.key, event.version))
            if other is None or version_key(other[0].version) < version_key(spec.version):
                for spelling in spellings(event.version):
                    self._events[event.key, spelling] = (spec, event)
        return self

    def declaration(
        self, name: str, version: int | str
    ) -> tuple[TelemetrySpec, TelemetryEventSpec] | None:
        """The declared event and the spec that declares it, or None. One look-up, as a rule."""
        found = self._events.get((name, version))
        if found is not None:
            return found
        try:
            return self._events.get((name, normalize_version(version)))
        except SpecValidationError:
            return None

    def event(self, name: str, version: int | str) -> TelemetryEventSpec | None:
        """The declared event, or None."""
        found = self.declaration(name, version)
        return None if found is None else found[1]

    def declarations(self) -> list[tuple[TelemetrySpec, TelemetryEventSpec]]:
        """Every declared event once, with the spec that declares it."""
        return [
            found for (_, version), found in self._events.items() if version == found[1].version
        ]

    def events_named(self, name: str) -> list[TelemetryEventSpec]:
        """All declared versions of an event, the oldest first."""
        found = [event for _, event in self.declarations() if event.key == name]
        return sorted(found, key=lambda event: version_key(event.version))
