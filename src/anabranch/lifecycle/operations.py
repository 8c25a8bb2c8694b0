"""What people do to published specs, whichever surface they do it on: command line or dashboard."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from anabranch.assignment import Moment
from anabranch.errors import PublishConflictError, UnknownSpecError
from anabranch.lifecycle.changes import impact
from anabranch.lifecycle.publication import Proposed, Publication, Published, held
from anabranch.lifecycle.states import Action, transition
from anabranch.specs import ExperimentSpec, Spec
from anabranch.specs.documents import KINDS
from anabranch.specs.explain import nearest
from anabranch.specs.version import normalize_version

__all__ = ["acted", "find", "told", "versions"]


def find(now: Published, key: str, *, kind: str | None = None, version: str | None = None) -> Spec:
    """A version of a key, by default the one that holds.

    Raises:
        UnknownSpecError: There is none.
        SpecValidationError: The version is none.
    """
    catalog = now.specs.catalog()
    kinds = tuple(KINDS) if kind is None else (kind,)
    found = next(filter(None, (held(catalog, one, key) for one in kinds)), None)
    if found is None:
        keys = [spec.key for spec in catalog if spec.kind in kinds]
        raise UnknownSpecError(
            f"there is no published {kind or 'spec'} {key!r}: {nearest(key, keys)}. What workers "
            "have in files only is found with --specs"
        )
    if version is None:
        return found
    of_version = {spec.version: spec for spec in versions(now, found.kind, key)}
    wanted = of_version.get(normalize_version(version))
    if wanted is None:
        raise UnknownSpecError(
            f"{found.kind} {key} has no version {version}: there are {', '.join(of_version)}"
        )
    return wanted


def versions(now: Published, kind: str, key: str) -> list[Spec]:
    """Every version of a key that holds, as the catalog orders them."""
    return [spec for spec in now.specs.catalog() if (spec.kind, spec.key) == (kind, key)]


def acted(
    now: Published,
    key: str,
    action: Action,
    *,
    version: str | None = None,
    change: Mapping[str, object] | None = None,
    seen: str | None = None,
) -> ExperimentSpec:
    """An experiment as an action makes it.

    Args:
        now: What the topics say.
        key: The experiment's.
        action: Decides the state afterwards.
        version: Its version; the one that holds when not given.
        change: Other fields that change.
        seen: Digest of the spec that whoever decided was looking at; not checked when not given.

    Raises:
        UnknownSpecError: There is no such experiment.
        IllegalTransitionError: Its state does not allow it.
        PublishConflictError: It is not any more what was looked at.
    """
    spec = find(now, key, kind=ExperimentSpec.kind, version=version)
    if not isinstance(spec, ExperimentSpec):  # for the type checker: its kind was asked for
        raise UnknownSpecError(f"there is no Experiment {key!r}")
    if seen is not None and spec.digest != seen:
        raise PublishConflictError(_moved(now, spec))
    return spec.model_copy(update={"status": transition(spec, action), **(change or {})})


def _moved(now: Published, spec: ExperimentSpec) -> str:
    last = next((e for e in reversed(now.audit) if e.to_digest == spec.digest), None)
    who = "somebody has changed it"
    if last is not None:
        why = f" ({last.why})" if last.why else ""
        who = f"{last.action} by {last.who} at {last.at}{why}"
    return (
        f"Experiment {spec.meta.label} is not any more what you were looking at: {who}. Nothing of "
        "yours was written; look again, and decide again"
    )


def told(publication: Publication, now: Moment) -> list[dict[str, Any]]:
    """What would be published, as JSON tells it: differences, and what it means for units.

    Args:
        publication: Not written yet.
        now: When, for schedules and ramps.
    """
    return [
        {
            "kind": one.spec.kind,
            "key": one.spec.key,
            "version": one.spec.version,
            "digest": one.spec.digest,
            "from": None if one.before is None else one.before.digest,
            "heldVersion": None if one.held is None else one.held.version,
            "differences": [asdict(d) for d in one.differences],
            "impact": _impact(publication, one, now),
        }
        for one in publication.proposed
    ]


def _impact(publication: Publication, proposed: Proposed, now: Moment) -> dict[str, Any] | None:
    if not isinstance(proposed.spec, ExperimentSpec):
        return None
    found = impact(publication.before, publication.after, proposed.spec.key, now)
    camel = {"version_before": "versionBefore", "version_after": "versionAfter"}
    return {camel.get(name, name): value for name, value in asdict(found).items()}
