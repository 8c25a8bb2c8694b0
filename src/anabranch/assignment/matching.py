"""Who and what a policy is asked about, and which of its matchers they fit."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from anabranch.specs import (
    AttributeMatcher,
    RelationshipMatcher,
    ResourceMatcher,
    SubjectMatcher,
)

__all__ = [
    "PolicyRelationship",
    "PolicyResource",
    "PolicySubject",
    "matches_relationships",
    "matches_resource",
    "matches_subject",
]


@dataclass(frozen=True, slots=True)
class PolicyRelationship:
    """A relation that the subject has to an object, as in ``owner`` of invoice 7."""

    relation: str
    object_type: str
    object_id: str


@dataclass(frozen=True, slots=True)
class PolicySubject:
    """Who asks."""

    roles: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)
    relationships: tuple[PolicyRelationship, ...] = ()

    @property
    def mapping(self) -> dict[str, Any]:
        """What conditions see as ``subject``."""
        return {
            "roles": list(self.roles),
            "attributes": dict(self.attributes),
            "relationships": [
                {"relation": r.relation, "objectType": r.object_type, "objectId": r.object_id}
                for r in self.relationships
            ],
        }


@dataclass(frozen=True, slots=True)
class PolicyResource:
    """What is asked about; without ``fields`` all of it."""

    type: str
    id: str | None = None
    fields: tuple[str, ...] = ()
    attributes: Mapping[str, Any] = field(default_factory=dict)

    @property
    def mapping(self) -> dict[str, Any]:
        """What conditions see as ``resource``; no ``id`` where there is none."""
        found: dict[str, Any] = {
            "type": self.type,
            "fields": list(self.fields),
            "attributes": dict(self.attributes),
        }
        if self.id is not None:
            found["id"] = self.id
        return found


_ABSENT: Final = object()


def matches_subject(matcher: SubjectMatcher | None, subject: PolicySubject) -> bool:
    """Any of the roles, where there are some, and all of the attributes."""
    if matcher is None:
        return True
    if matcher.roles and not set(matcher.roles) & set(subject.roles):
        return False
    return _attributes_match(matcher.attributes, subject.attributes)


def matches_resource(
    matcher: ResourceMatcher | None, resource: PolicyResource, effect: Literal["allow", "deny"]
) -> bool:
    """The type, all of the attributes, and the fields, where the matcher names some.

    An allowing rule must name every field that is asked for, a denying one any of them; a request
    that names no field asks for all.
    """
    if matcher is None:
        return True
    if matcher.type != resource.type:
        return False
    if matcher.fields_:
        named, asked = set(matcher.fields_), set(resource.fields)
        if effect == "allow" and not (asked and asked <= named):
            return False
        if effect == "deny" and asked and not asked & named:
            return False
    return _attributes_match(matcher.attributes, resource.attributes)


def matches_relationships(
    matchers: Iterable[RelationshipMatcher], subject: PolicySubject, resource: PolicyResource
) -> bool:
    """Each of the relations is one that the subject has."""
    return all(
        any(_related(matcher, held, resource) for held in subject.relationships)
        for matcher in matchers
    )


def _related(
    matcher: RelationshipMatcher, held: PolicyRelationship, resource: PolicyResource
) -> bool:
    if matcher.relation != held.relation:
        return False
    if matcher.object_type is not None and matcher.object_type != held.object_type:
        return False
    if matcher.object_id == "$resource":
        return resource.id is not None and held.object_id == resource.id
    return matcher.object_id is None or matcher.object_id == held.object_id


def _attributes_match(
    matchers: Mapping[str, AttributeMatcher], attributes: Mapping[str, Any]
) -> bool:
    return all(
        _attribute_matches(matcher, attributes.get(name, _ABSENT))
        for name, matcher in matchers.items()
    )


def _attribute_matches(matcher: AttributeMatcher, value: Any) -> bool:
    there = value is not _ABSENT
    if matcher.exists is not None and matcher.exists != there:
        return False
    if matcher.has_equals and not (there and _same(value, matcher.equals)):
        return False
    return matcher.one_of is None or (
        there and any(_same(value, wanted) for wanted in matcher.one_of)
    )


def _same(one: Any, other: Any) -> bool:
    """Equal as JSON: 1 and 1.0 are the same, 1 and true are not."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(_same(one[key], other[key]) for key in one)
    return bool(one == other)
