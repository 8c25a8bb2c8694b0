"""Policies: who may do what to which resource, under which conditions."""

from __future__ import annotations

from typing import ClassVar, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from anabranch.specs.base import SpecModel
from anabranch.specs.explain import nearest, wrong
from anabranch.specs.fields import Expression, Json, Name
from anabranch.specs.meta import Meta, duplicates
from anabranch.specs.spec import Spec

__all__ = [
    "AttributeMatcher",
    "ConsentDefinition",
    "Effect",
    "FieldPolicy",
    "OpaConfig",
    "PiiPolicy",
    "PolicyCondition",
    "PolicyMeta",
    "PolicyRule",
    "PolicySpec",
    "RateLimit",
    "RelationshipDefinition",
    "RelationshipMatcher",
    "ResourceMatcher",
    "SubjectMatcher",
]

Effect = Literal["allow", "deny"]


class PolicyMeta(Meta):
    """Meta of a policy; ``scope`` is a hint for finding it."""

    scope: Literal["global", "feature", "operation"] | None = None


class AttributeMatcher(SpecModel):
    """What an attribute must be; all that is given must hold.

    ``equals: null`` asks for null and is not the same as leaving it out: see ``has_equals``.
    """

    null_counts: ClassVar[frozenset[str]] = frozenset({"equals"})

    equals: Json = None
    one_of: tuple[Json, ...] | None = None
    exists: bool | None = None

    @property
    def has_equals(self) -> bool:
        return "equals" in self.model_fields_set

    @model_validator(mode="after")
    def _says_something(self) -> Self:
        if not self.model_fields_set:
            raise wrong((), "matches everything: give equals, oneOf or exists")
        return self


class SubjectMatcher(SpecModel):
    """Who the rule is about: any of the roles, all of the attributes."""

    roles: tuple[str, ...] = ()
    attributes: dict[str, AttributeMatcher] = Field(default_factory=dict)


class ResourceMatcher(SpecModel):
    """What the rule is about."""

    type: str
    fields_: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("fields"), serialization_alias="fields"
    )
    attributes: dict[str, AttributeMatcher] = Field(default_factory=dict)


class RelationshipMatcher(SpecModel):
    """A relation the subject must have; ``object_id`` "$resource" is the resource asked about."""

    relation: str
    object_type: str | None = None
    object_id: str | None = None


class RelationshipDefinition(SpecModel):
    """A relation that rules may ask for."""

    subject_type: str
    relation: str
    object_type: str
    description: str = ""
    transitive: bool = False


class PolicyCondition(SpecModel):
    """An expression over ``subject``, ``resource`` and ``context`` that must be true."""

    expression: Expression


class RateLimit(SpecModel):
    """How often: ``rpm`` requests a minute, per ``key``."""

    id: Name
    rpm: float = Field(gt=0)
    key: str | None = None
    window_seconds: float | None = Field(default=None, gt=0)
    burst: int | None = Field(default=None, ge=0)


class PolicyRule(SpecModel):
    """Allows or denies ``actions`` where everything it asks for holds."""

    effect: Effect
    actions: tuple[str, ...] = Field(min_length=1)
    subject: SubjectMatcher | None = None
    resource: ResourceMatcher | None = None
    relationships: tuple[RelationshipMatcher, ...] = ()
    requires_consent: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    rate_limit: str | RateLimit | None = None
    """A limit, or the id of one of the policy's ``rate_limits``."""
    escalate: Literal["human_review"] | None = None
    conditions: tuple[PolicyCondition, ...] = ()
    reason: str | None = None


class FieldPolicy(SpecModel):
    """Allows or denies reading or writing one field."""

    field: str
    actions: tuple[Literal["read", "write"], ...] = Field(min_length=1)
    effect: Effect
    subject: SubjectMatcher | None = None
    resource: ResourceMatcher | None = None
    conditions: tuple[PolicyCondition, ...] = ()
    reason: str | None = None


class PiiPolicy(SpecModel):
    """Which fields are personal, and what that asks for."""

    fields_: tuple[str, ...] = Field(
        validation_alias=AliasChoices("fields"), serialization_alias="fields"
    )
    consent_required: bool = False
    retention_days: int | None = Field(default=None, ge=0)


class ConsentDefinition(SpecModel):
    """A consent that rules may require, by its id."""

    id: Name
    scope: str = ""
    purpose: str = ""
    description: str = ""
    lawful_basis: (
        Literal["consent", "contract", "legal_obligation", "legitimate_interest"] | None
    ) = None
    expires_in_days: int | None = Field(default=None, ge=0)
    required: bool = False


class OpaConfig(SpecModel):
    """Where an Open Policy Agent decides: its package and the rule within it."""

    package: str
    decision: str = "allow"


class PolicySpec(Spec):
    """A policy. Inside it the first matching deny wins, else the first matching allow.

    Raises:
        SpecValidationError: with the spec's key, the path of each wrong field and the remedy.
    """

    kind: ClassVar[str] = "Policy"

    meta: PolicyMeta
    rules: tuple[PolicyRule, ...]
    field_policies: tuple[FieldPolicy, ...] = ()
    pii: PiiPolicy | None = None
    relationships: tuple[RelationshipDefinition, ...] = ()
    consents: tuple[ConsentDefinition, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    opa: OpaConfig | None = None

    @model_validator(mode="after")
    def _names_fit(self) -> Self:
        limits = [limit.id for limit in self.rate_limits]
        for twice in duplicates(limits):
            raise wrong(("rateLimits",), f"two have the id {twice!r}: ids are unique")
        consents = [consent.id for consent in self.consents]
        for twice in duplicates(consents):
            raise wrong(("consents",), f"two have the id {twice!r}: ids are unique")
        for i, rule in enumerate(self.rules):
            if isinstance(rule.rate_limit, str) and rule.rate_limit not in limits:
                raise wrong(
                    ("rules", i, "rateLimit"),
                    f"no rate limit has the id {rule.rate_limit!r}: "
                    + nearest(rule.rate_limit, limits),
                )
        return self
