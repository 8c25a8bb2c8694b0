"""A publication: what is to be written, held against what the topic says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from anabranch.errors import DuplicateSpecError, PublishConflictError, SpecReferenceError
from anabranch.lifecycle.audit import AuditEntry
from anabranch.lifecycle.changes import Difference, check_change, differences
from anabranch.lifecycle.fold import Specs
from anabranch.lifecycle.wire import SpecName
from anabranch.specs import Catalog, ExperimentSpec, Spec, Status
from anabranch.specs.version import version_key

__all__ = ["Proposed", "Publication", "Published", "held", "propose"]

Versions = Mapping[str, str]
"""Version to digest, of what the topic says under one kind and key."""


@dataclass(frozen=True)
class Published:
    """What the topics say at one moment.

    Attributes:
        specs: What holds.
        audit: Who published what; the oldest first.
    """

    specs: Specs
    audit: Sequence[AuditEntry] = ()

    def versions(self, kind: str, key: str) -> Versions:
        """What the topic says of a key, whatever files say."""
        return {
            name.version: spec.digest
            for name, spec in self.specs.said.items()
            if (name.kind, name.key) == (kind, key)
        }

    def history(self, key: str) -> list[AuditEntry]:
        """The audit of a key, the oldest first."""
        return [entry for entry in self.audit if entry.key == key]


@dataclass(frozen=True, slots=True)
class Proposed:
    """One spec to be published.

    Attributes:
        spec: It.
        before: The same version as it holds now; None for a new one.
        held: The version of its key that holds now; None for a new key.
    """

    spec: Spec
    before: Spec | None
    held: Spec | None

    @property
    def differences(self) -> list[Difference]:
        """Against the same version, else against the version that holds."""
        return differences(self.before or self.held, self.spec)


@dataclass(frozen=True)
class Publication:
    """Specs to be published together, and what they were held against.

    Attributes:
        proposed: What differs from what the topic says.
        unchanged: What the topic says already.
        before: All specs that hold now.
        after: All that will hold.
        basis: What the topic said of each kind and key.
        kept: Fields that stay as commands have set them, since the new spec does not give them.
    """

    proposed: Sequence[Proposed]
    unchanged: Sequence[Spec]
    before: Catalog
    after: Catalog
    basis: Mapping[tuple[str, str], Versions] = field(default_factory=dict)
    kept: Mapping[SpecName, Sequence[str]] = field(default_factory=dict)

    def check(self, now: Published) -> None:
        """Whether it may still be written, given what the topic says now.

        Raises:
            PublishConflictError: The topic says something else of one of its keys.
            SpecReferenceError: Other specs have changed so that references do not hold any more.
        """
        for (kind, key), versions in self.basis.items():
            found = now.versions(kind, key)
            if found != versions:
                raise PublishConflictError(_conflict(kind, key, versions, found, now.audit))
        _with(now.specs, [proposed.spec for proposed in self.proposed])

    def entries(
        self,
        *,
        at: str,
        who: str,
        action: str,
        why: str,
        cause: str | None = None,
        via: str | None = None,
    ) -> Iterator[AuditEntry]:
        """The audit of it, an entry a spec.

        Args:
            at: RFC 3339 in UTC.
            who: The publisher.
            action: What was done.
            why: In the publisher's words.
            cause: Id of the alert that led to it.
            via: Where it was done; None for the command line.
        """
        for proposed in self.proposed:
            spec, held = proposed.spec, proposed.held
            replaced = proposed.before or held
            yield AuditEntry(
                at=at,
                who=who,
                action=action,
                kind=spec.kind,
                key=spec.key,
                version=spec.version,
                to_digest=spec.digest,
                from_version=None if held is None else held.version,
                from_digest=None if replaced is None else replaced.digest,
                why=why,
                changes=tuple(
                    f"{one.path}: {_short(one.before)} -> {_short(one.after)}"
                    for one in proposed.differences
                )
                if replaced is not None
                else (),
                cause=cause,
                via=via,
            )


def propose(now: Published, wanted: Iterable[Spec], *, in_place: bool = False) -> Publication:
    """What publishing the specs would change.

    Status and coverage of an experiment that the new spec does not give stay as they are, so that
    publishing the same files again neither resumes what was paused nor takes a ramp back.

    Args:
        now: What the topic says.
        wanted: Of any kind, each name once.
        in_place: Allow what :func:`check_change` refuses.

    Raises:
        DuplicateSpecError: Two have the same name, or a telemetry event is declared twice.
        IllegalTransitionError: An experiment's state may not change like this.
        LifecycleError: Who gets what, or what is measured, would change within a version.
        SpecReferenceError: A reference would not hold.
    """
    before = now.specs.catalog()
    proposed: list[Proposed] = []
    unchanged: list[Spec] = []
    basis: dict[tuple[str, str], Versions] = {}
    kept: dict[SpecName, Sequence[str]] = {}
    seen: set[SpecName] = set()
    for given in wanted:
        name = SpecName.of(given)
        if name in seen:
            raise DuplicateSpecError(f"{name} is given twice: give it once")
        seen.add(name)
        basis[name.kind, name.key] = now.versions(name.kind, name.key)
        said = now.specs.said.get(name)
        same = said or now.specs.files.get(name)
        spec = _keeping(given, same)
        if spec is not given:
            kept[name] = [one.path for one in differences(given, spec)]
        if said is not None and said.digest == spec.digest:
            unchanged.append(spec)
            continue
        if same is not None and not in_place:
            check_change(same, spec)
        proposed.append(Proposed(spec, same, held(before, spec.kind, spec.key)))
    after = _with(now.specs, [one.spec for one in proposed])
    return Publication(proposed, unchanged, before, after, basis, kept)


def _keeping(spec: Spec, same: Spec | None) -> Spec:
    if not isinstance(spec, ExperimentSpec) or not isinstance(same, ExperimentSpec):
        return spec
    told: dict[str, object] = {"coverage": same.coverage}
    if same.status is not Status.DRAFT:  # set by files only: leaving it out starts the experiment
        told["status"] = same.status
    left_out = {
        name: value
        for name, value in told.items()
        if name not in spec.model_fields_set and getattr(spec, name) != value
    }
    return spec.model_copy(update=left_out) if left_out else spec


def held(catalog: Catalog, kind: str, key: str) -> Spec | None:
    """The version that holds: of an experiment the current one, of others the latest."""
    if kind == ExperimentSpec.kind:
        return catalog.current(key) or catalog.experiments.get(key)
    versions = [spec for spec in catalog if (spec.kind, spec.key) == (kind, key)]
    return max(versions, key=lambda spec: version_key(spec.version), default=None)


def _with(specs: Specs, more: Sequence[Spec]) -> Catalog:
    said = {**specs.said, **{SpecName.of(spec): spec for spec in more}}
    try:
        return replace(specs, said=said).catalog().check()
    except SpecReferenceError as error:
        raise SpecReferenceError(
            f"{error}\nWorkers would refuse it: publish together what belongs together; if the "
            "workers have it in files, name those by --specs"
        ) from error


def _conflict(
    kind: str, key: str, versions: Versions, found: Versions, audit: Sequence[AuditEntry]
) -> str:
    changed = {v: d for v, d in found.items() if versions.get(v) != d}
    entry = next(
        (
            one
            for one in reversed(audit)
            if (one.kind, one.key) == (kind, key) and changed.get(one.version) == one.to_digest
        ),
        None,
    )
    if entry is not None:
        why = f" ({entry.why})" if entry.why else ""
        done = "published" if entry.action == "publish" else f"did {entry.action} of"
        said = f"{entry.who} {done} {entry.version} at {entry.at}{why}"
    else:
        said = "somebody published it without an entry in the audit"
    return (
        f"{kind} {key} has changed since it was looked at: {said}. Nothing of yours was written; "
        f"look with `anabranch show {key}` and run the command again"
    )


def _short(value: object) -> str:
    text = "nothing" if value is None else str(value)
    return text if len(text) <= 60 else text[:57] + "..."
