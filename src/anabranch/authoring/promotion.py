"""The winning variant's overrides put into the specs that they override."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from anabranch.authoring.edits import edited
from anabranch.errors import LifecycleError, OverrideError, SpecError
from anabranch.specs import ExperimentSpec, LoadedSpec, Spec
from anabranch.specs.explain import nearest
from anabranch.specs.overrides import KIND_OF_TARGET, overridden
from anabranch.specs.version import version_key

__all__ = ["Promotion", "promote"]


@dataclass(frozen=True)
class Promotion:
    """What becomes canonical.

    Attributes:
        targets: The target specs as they are to be.
        texts: Each changed file's text, by its path.
        notes: What is not done by changing files, or is done already.
    """

    targets: tuple[Spec, ...]
    texts: Mapping[Path, str]
    notes: tuple[str, ...]


def promote(
    spec: ExperimentSpec,
    variant: str,
    files: Iterable[LoadedSpec],
    texts: Mapping[Path, str],
) -> Promotion:
    """Put a variant's overrides into the files of their targets; nothing is written.

    Args:
        spec: The experiment.
        variant: Id of the winner.
        files: The specs of the files.
        texts: What the files hold.

    Raises:
        LifecycleError: There is no such variant, or it is the control.
        OverrideError: A target is in none of the files, or its file cannot be changed so.
    """
    winner = spec.variants_by_id.get(variant)
    if winner is None:
        raise LifecycleError(
            f"Experiment {spec.meta.label} has no variant {variant!r}: "
            + nearest(variant, spec.variants_by_id)
        )
    if variant == spec.control_variant:
        raise LifecycleError(
            f"{variant!r} is the control of Experiment {spec.meta.label}, which is canonical "
            f"already: end it with `anabranch stop {spec.key}`"
        )
    known = _latest(files)
    now: dict[tuple[str, str, str], Spec] = {}
    made: dict[Path, str] = {}
    notes: list[str] = []
    for i, override in enumerate(winner.overrides):
        kind = KIND_OF_TARGET[override.type]
        if override.config is None:
            notes.append(
                f"{kind} {override.label} takes the original's place: let the applications show "
                "it, there is no file to change"
            )
            continue
        loaded = known.get((kind, override.target, override.version))
        if loaded is None:
            raise OverrideError(
                f"Experiment {spec.meta.label}, variant {variant!r}, override {i + 1}: {kind} "
                f"{override.label} is in none of the files: name the folder that holds it by "
                "--specs"
            )
        target = now.get(_name(loaded.spec), loaded.spec)
        try:
            wanted = overridden(target, override)
        except SpecError as error:
            raise OverrideError(
                f"Experiment {spec.meta.label}, variant {variant!r}: override {i + 1} {error}"
            ) from error
        now[_name(wanted)] = wanted
        if wanted.digest == target.digest:
            notes.append(f"{kind} {target.meta.label} is so already: {loaded.path}")
            continue
        text = made.get(loaded.path, texts[loaded.path])
        made[loaded.path] = edited(text, loaded.path, override.config, wanted)
    if not winner.overrides:
        notes.append(f"{variant!r} overrides nothing: applications that know it make it theirs")
    return Promotion(tuple(now.values()), made, tuple(notes))


def _latest(files: Iterable[LoadedSpec]) -> dict[tuple[str, str, str | None], LoadedSpec]:
    """By kind, key and version; under no version the latest."""
    found: dict[tuple[str, str, str | None], LoadedSpec] = {}
    for one in sorted(files, key=lambda loaded: version_key(loaded.spec.version)):
        kind, key, version = _name(one.spec)
        found[kind, key, version] = found[kind, key, None] = one
    return found


def _name(spec: Spec) -> tuple[str, str, str]:
    return spec.kind, spec.key, spec.version
