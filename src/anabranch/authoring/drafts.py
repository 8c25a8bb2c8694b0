"""From answers to a spec: a document that may lack something, what it lacks, and what it makes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Final

from anabranch.assignment import compile_spec
from anabranch.errors import DuplicateSpecError
from anabranch.specs import Catalog, ExperimentSpec, PolicySpec, Spec, TelemetrySpec
from anabranch.specs.documents import parse_document
from anabranch.specs.references import references
from anabranch.specs.version import version_key

__all__ = [
    "Question",
    "events_in",
    "file_name",
    "merged",
    "missing",
    "problems",
    "spec_of",
    "with_overrides",
]


@dataclass(frozen=True, slots=True)
class Question:
    """Something that must be known before there is a spec.

    Attributes:
        path: Where the document holds the answer.
        flag: What answers it on the command line.
        what: What it is, in words.
    """

    path: tuple[str, ...]
    flag: str
    what: str


_IDENTITY: Final = (
    Question(("meta", "key"), "--key", "the spec's key"),
    Question(("meta", "owners"), "--owner", "who is responsible"),
)
_REQUIRED: Final[Mapping[str, Sequence[Question]]] = {
    ExperimentSpec.kind: (
        *_IDENTITY,
        Question(("variants",), "--variant", "the variants, control among them"),
    ),
    TelemetrySpec.kind: (*_IDENTITY, Question(("events",), "--event", "the events")),
    PolicySpec.kind: (*_IDENTITY, Question(("rules",), "--rule", "the rules")),
}


def missing(kind: str, document: Mapping[str, Any]) -> list[Question]:
    """What has to be answered still, in order."""
    needed = list(_REQUIRED[kind])
    allocation = document.get("allocation") or {}
    if allocation.get("type") == "targeted":
        needed.append(Question(("allocation", "rules"), "--rule", "the targeting rules"))
    if allocation.get("type") == "sticky":
        needed.append(
            Question(("allocation", "attribute"), "--attribute", "the identity that is hashed")
        )
    return [one for one in needed if not _at(document, one.path)]


def _at(document: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    found: Any = document
    for name in path:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found


def merged(base: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """A document with what was given in the place of what it says; ``meta`` field by field.

    An allocation of the same type keeps the fields that are not given.
    """
    made: dict[str, Any] = deepcopy(dict(base))
    for name, value in given.items():
        before = made.get(name)
        same = name == "meta" or (
            name == "allocation"
            and isinstance(before, Mapping)
            and value.get("type", before.get("type")) == before.get("type")
        )
        made[name] = {**before, **value} if same and isinstance(before, Mapping) else value
    return made


def with_overrides(
    document: Mapping[str, Any], overrides: Iterable[tuple[str, Mapping[str, Any]]]
) -> dict[str, Any]:
    """The experiment with overrides added to its variants.

    Raises:
        ValueError: An override names a variant that is not there.
    """
    variants = [dict(one) for one in document.get("variants", ())]
    by_id = {one.get("id"): one for one in variants}
    for id_, override in overrides:
        if id_ not in by_id:
            known = ", ".join(map(str, by_id)) or "none"
            raise ValueError(f"there is no variant {id_!r} to override with: there are {known}")
        by_id[id_]["overrides"] = [*by_id[id_].get("overrides", ()), dict(override)]
    return {**document, "variants": variants}


def spec_of(kind: str, document: Mapping[str, Any], catalog: Catalog) -> Spec:
    """The spec of a document that lacks nothing.

    Left out and filled in: the version (1.0.0), the control (the variant of that id, else the
    first), the allocation (random), versions of events (the latest of those found).

    Raises:
        SpecValidationError: A field is wrong, or an expression; the message says where.
    """
    made = deepcopy(dict(document)) | {"kind": kind}
    made["meta"] = {"version": "1.0.0", **made.get("meta", {})}
    if kind == ExperimentSpec.kind:
        ids = [one.get("id") for one in made.get("variants", ())]
        if ids and not any(name in made for name in ("controlVariant", "control_variant")):
            made["controlVariant"] = "control" if "control" in ids else ids[0]
        made["allocation"] = {"type": "random", **made.get("allocation", {})}
        _give_versions(made.get("successMetrics", ()), events_in(catalog))
    spec = parse_document(made)
    compile_spec(spec)
    return spec


def events_in(catalog: Catalog) -> dict[str, str]:
    """Every declared event's key, and the latest version of it."""
    return {
        event.key: event.version
        for telemetry in catalog.telemetry
        for event in sorted(telemetry.events, key=lambda one: version_key(one.version))
    }


def _give_versions(value: Any, known: Mapping[str, str]) -> None:
    """Fill in the version of each reference to an event inside metrics."""
    if isinstance(value, list):
        for one in value:
            _give_versions(one, known)
    elif isinstance(value, dict):
        refs = [value.get("telemetryEvent"), *value.get("steps", ())]
        for ref in refs:
            if isinstance(ref, dict):
                ref.setdefault("version", known.get(str(ref.get("key", ref.get("name"))), "1.0.0"))
        _give_versions(value.get("denominator"), known)


def problems(spec: Spec, catalog: Catalog) -> tuple[Catalog, list[str]]:
    """The catalog with the spec, and what does not hold of the spec there.

    Raises:
        DuplicateSpecError: That version is there already, or an event of it.
    """
    if catalog.find(spec.kind, spec.key, spec.version) is not None:
        raise DuplicateSpecError(
            f"{spec.kind} {spec.meta.label} is there already: give another key, or a higher version"
        )
    extended = Catalog.of([*catalog, spec])
    found = [
        str(one.error)
        for one in references(extended)
        if (one.spec.kind, one.spec.key, one.spec.version) == (spec.kind, spec.key, spec.version)
    ]
    return extended, found


def file_name(spec: Spec, suffix: str) -> str:
    """``split_form_experiment.py`` for the experiment ``sigil.onboarding.split_form``."""
    kind = spec.kind.lower()
    parts = spec.key.lower().split(".")
    last = parts[-2:] if parts[-1] == kind else parts[-1:]
    stem = re.sub(r"\W+", "_", "_".join(last), flags=re.ASCII).strip("_") or "spec"
    return f"{stem if stem.endswith(kind) else f'{stem}_{kind}'}{suffix}"
