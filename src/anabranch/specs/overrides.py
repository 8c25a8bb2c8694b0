"""Overrides of variants: applied to target specs, taken back exactly, held against each other.

An override with a ``config`` changes the spec that its ``target`` names: the config is a JSON merge
patch (RFC 7396) of that spec's document. One without a config changes no spec: applications show
the target in the original's place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations, product
from typing import Any

from anabranch.errors import OverrideConflictError, OverrideError, SpecError
from anabranch.specs.documents import parse_document
from anabranch.specs.experiment import ExperimentSpec, Override, Variant
from anabranch.specs.explain import Path, spell
from anabranch.specs.patches import ABSENT, Inside, Undo, merge, touched, unmerge
from anabranch.specs.spec import Spec
from anabranch.specs.version import normalize_version, version_key

__all__ = [
    "KIND_OF_TARGET",
    "Applied",
    "Claim",
    "Conflict",
    "Target",
    "apply",
    "apply_all",
    "claims",
    "conflicts",
    "overridden",
    "revert",
    "revert_all",
    "targets_in",
]

KIND_OF_TARGET: Mapping[str, str] = {
    "dataView": "DataView",
    "workflow": "Workflow",
    "theme": "Theme",
    "policy": "Policy",
    "presentation": "Presentation",
}
"""The type that an override gives its target, to that spec's ``kind``."""

Target = tuple[str, str]
"""Type and key of a target: ``("workflow", "sigil.onboarding.form")``."""


# -- one target -------------------------------------------------------------------------------


def apply(target: Any, override: Override) -> tuple[Any, Undo]:
    """The target with the override, and what takes it back.

    The target is not changed, nor may the result be: it shares the parts that stayed as they were.

    Args:
        target: The target spec's document, or any JSON.
        override: Its ``config`` is the patch; without one the target stays as it is.
    """
    return (target, Inside()) if override.config is None else merge(target, override.config)


def revert(patched: Any, undo: Undo) -> Any:
    """The target as it was: ``revert(*apply(target, override)) == target``.

    Of several overrides the last one applied is the first to be reverted.

    Raises:
        OverrideError: what the override set has been changed since.
    """
    return unmerge(patched, undo)


def overridden(target: Spec, override: Override) -> Spec:
    """The target spec with the override, valid like any other.

    Raises:
        OverrideError: with it, the target would be another spec, or none.
    """
    document, _ = apply(target.document, override)
    name = f"of {target.kind} {target.meta.label}"
    try:
        found = parse_document(document)
    except SpecError as error:
        raise OverrideError(f"makes no valid spec {name}: {error}") from error
    if (found.kind, found.key, found.version) != (target.kind, target.key, target.version):
        raise OverrideError(
            f"makes {found.kind} {found.meta.label} {name}: leave kind, key and version as they are"
        )
    return found


# -- a stack of overrides over several targets ------------------------------------------------


@dataclass(frozen=True, slots=True)
class Applied:
    """Targets with the overrides of some variants on them.

    Attributes:
        targets: Every target that was given, by type and key.
        undos: What takes each override back, in the order of application.
    """

    targets: Mapping[Target, Any]
    undos: tuple[tuple[Target, Undo], ...] = ()


def targets_in(specs: Iterable[Spec]) -> dict[Target, dict[str, Any]]:
    """Documents of those of the specs that can be overridden, the latest version of each."""
    types = {kind: type_ for type_, kind in KIND_OF_TARGET.items()}
    latest: dict[Target, Spec] = {}
    for spec in specs:
        if spec.kind in types:
            target = (types[spec.kind], spec.key)
            known = latest.get(target)
            if known is None or version_key(known.version) < version_key(spec.version):
                latest[target] = spec
    return {target: spec.document for target, spec in latest.items()}


def apply_all(
    targets: Mapping[Target, Any], chosen: Iterable[tuple[ExperimentSpec, Variant]]
) -> Applied:
    """The targets with every override of the variants that a unit has.

    Args:
        targets: Documents by type and key.
        chosen: The experiments the unit is in, each with its variant there.

    Raises:
        OverrideConflictError: two of the experiments change the same path of the same target.
        OverrideError: an override's target is not there, or in another version.
    """
    made: list[tuple[ExperimentSpec, list[Claim]]] = []
    now = dict(targets)
    undos: list[tuple[Target, Undo]] = []
    for spec, variant in chosen:
        mine = list(claims(spec, variant))
        for other, theirs in made:
            found = next(_meetings(theirs, mine), None)
            if found is not None and other.key != spec.key:
                raise OverrideConflictError(f"a unit is in both: {found}")
        made.append((spec, mine))
        for override in variant.overrides:
            if override.config is None:
                continue
            target = (override.type, override.target)
            if target not in now:
                raise OverrideError(
                    f"Experiment {spec.meta.label}, variant {variant.id!r}: there is no "
                    f"{KIND_OF_TARGET[override.type]} {override.label} to override: add it to the "
                    "targets"
                )
            there = _version(now[target])
            if override.version is not None and there not in {None, override.version}:
                raise OverrideError(
                    f"Experiment {spec.meta.label}, variant {variant.id!r} overrides "
                    f"{KIND_OF_TARGET[override.type]} {override.label}, and version {there} is "
                    "there: give that version, or override this one"
                )
            now[target], undo = apply(now[target], override)
            undos.append((target, undo))
    return Applied(now, tuple(undos))


def _version(document: Any) -> str | None:
    """Version of a spec's document; None where it says none."""
    meta = document.get("meta") if isinstance(document, Mapping) else None
    version = meta.get("version") if isinstance(meta, Mapping) else None
    return normalize_version(version) if isinstance(version, int | str) else None


def revert_all(applied: Applied) -> dict[Target, Any]:
    """The targets as they were, the last override reverted first.

    Raises:
        OverrideError: what an override set has been changed since.
    """
    now = dict(applied.targets)
    for target, undo in reversed(applied.undos):
        now[target] = revert(now.get(target, ABSENT), undo)
    return now


# -- several experiments ----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Claim:
    """A path of a target that a variant changes.

    Attributes:
        version: The target's version; None is the latest.
        place: The override's path in the experiment.
        path: Within the target.
    """

    experiment: ExperimentSpec
    variant: str
    target: Target
    version: str | None
    place: Path
    path: Path

    def meets(self, other: Claim) -> bool:
        """Whether the paths are the same, or one lies inside the other, of the same target."""
        depth = min(len(self.path), len(other.path))
        return (
            self.target == other.target
            and (self.version is None or other.version in {None, self.version})
            and self.path[:depth] == other.path[:depth]
        )


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two experiments that change the same path of the same target."""

    one: Claim
    other: Claim

    @property
    def place(self) -> Path:
        """The other's override, in its experiment."""
        return self.other.place

    @property
    def message(self) -> str:
        """What follows the place: the path, and who else changes it."""
        one, other = self.one, self.other
        kind, key = one.target
        path = max(one.path, other.path, key=len)
        return (
            f" changes {spell(path) or 'the whole'} of {KIND_OF_TARGET[kind]} {key} in variant "
            f"{other.variant!r}, and so does Experiment {one.experiment.meta.label} in variant "
            f"{one.variant!r}: give both a part of the same layer, or one of them another path"
        )

    def __str__(self) -> str:
        name = self.other.experiment.meta.label
        return f"Experiment {name}: {spell(self.place)}{self.message}"


def claims(spec: ExperimentSpec, *variants: Variant) -> Iterator[Claim]:
    """What the experiment's overrides change: of the variants given, else of all."""
    places = {id(variant): i for i, variant in enumerate(spec.variants)}
    for variant in variants or spec.variants:
        at = places.get(id(variant), spec.variants.index(variant))
        for i, override in enumerate(variant.overrides):
            place = ("variants", at, "overrides", i)
            for path in touched(override.config) if override.config else ():
                target = (override.type, override.target)
                yield Claim(spec, variant.id, target, override.version, place, path)


def conflicts(running: Iterable[ExperimentSpec]) -> Iterator[Conflict]:
    """Pairs of experiments that some unit can be in together and that change the same path.

    Each pair and target once. A pair is passed over where no unit is in both at one time: other
    parts of the same layer, schedules that do not overlap, or a prerequisite of another variant.

    Args:
        running: Experiments that take traffic, each key once.
    """
    by_target: dict[Target, dict[str, list[Claim]]] = {}
    for spec in running:
        for claim in claims(spec):
            by_target.setdefault(claim.target, {}).setdefault(spec.key, []).append(claim)
    for by_experiment in by_target.values():
        for one, other in combinations(by_experiment.values(), 2):
            if not _exclusive(one[0].experiment, other[0].experiment):
                real = (c for c in _meetings(one, other) if not _asks_for_another(c.one, c.other))
                found = next(real, None)
                if found is not None:
                    yield found


def _meetings(one: Iterable[Claim], other: Iterable[Claim]) -> Iterator[Conflict]:
    for mine, claim in product(one, other):
        if mine.meets(claim):
            yield Conflict(mine, claim)


def _exclusive(one: ExperimentSpec, other: ExperimentSpec) -> bool:
    first, second = one.schedule, other.schedule
    if first is not None and second is not None and not first.overlaps(second):
        return True
    mine, theirs = one.layer, other.layer
    # Parts of a line exclude each other only where both draw the same unit for it.
    return (
        mine is not None
        and theirs is not None
        and mine.key == theirs.key
        and not mine.overlaps(theirs)
        and one.unit == other.unit
    )


def _asks_for_another(one: Claim, other: Claim) -> bool:
    """Whether one experiment requires the other in a variant that is not the claim's."""
    return any(
        needed.experiment == there.experiment.key and needed.variant not in {None, there.variant}
        for here, there in ((one, other), (other, one))
        for needed in here.experiment.prerequisites
    )
