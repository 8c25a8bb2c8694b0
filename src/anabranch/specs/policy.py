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
    """How much it is about: global, feature or operation."""


class AttributeMatcher(SpecModel):
    """What an attribute must be; all that is given must hold.

    ``equals: null`` asks for null and is not the same as leaving it out: see ``has_equals``.
    """

    null_counts: ClassVar[frozenset[str]] = frozenset({"equals"})

    equals: Json = None
    """The value must be this one."""
    one_of: tuple[Json, ...] | None = None
    """The value must be one of these."""
    exists: bool | None = None
    """Whether there must be a value, or must be none."""

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
    """The subject has at least one of them."""
    attributes: dict[str, AttributeMatcher] = Field(default_factory=dict)
    """Attribute to what it must be."""


class ResourceMatcher(SpecModel):
    """What the rule is about."""

    type: str
    """The resource is of this type."""
    fields_: tuple[str, ...] = Field(
        default=(), validation_alias=AliasChoices("fields"), serialization_alias="fields"
    )
    """Fields it names: an allow must name every field asked for, a deny any of them."""
    attributes: dict[str, AttributeMatcher] = Field(default_factory=dict)
    """Attribute to what it must be."""


class RelationshipMatcher(SpecModel):
    """A relation the subject must have; ``object_id`` "$resource" is the resource asked about."""

    relation: str
    """The relation's name."""
    object_type: str | None = None
    """Type of what the subject is related to; any when not given."""
    object_id: str | None = None
    """Its id; ``$resource`` is the resource asked about, any when not given."""


class RelationshipDefinition(SpecModel):
    """A relation that rules may ask for."""

    subject_type: str
    """Type of who has it."""
    relation: str
    """Its name."""
    object_type: str
    """Type of what it is to."""
    description: str = ""
    """What it means."""
    transitive: bool = False
    """Whether it reaches on through others; for whoever gives the subject its relations."""


class PolicyCondition(SpecModel):
    """An expression over ``subject``, ``resource`` and ``context`` that must be true."""

    expression: Expression
    """JavaScript subset over ``subject``, ``resource`` and ``context``; must be true."""


class RateLimit(SpecModel):
    """How often: ``rpm`` requests a minute, per ``key``."""

    id: Name
    """Its name, by which rules refer to it."""
    rpm: float = Field(gt=0)
    """Requests a minute."""
    key: str | None = None
    """What is counted by, like ``userId``; the caller's choice when not given."""
    window_seconds: float | None = Field(default=None, gt=0)
    """Length of the window that is counted over; the caller's choice when not given."""
    burst: int | None = Field(default=None, ge=0)
    """Requests that may come at once."""


class PolicyRule(SpecModel):
    """Allows or denies ``actions`` where everything it asks for holds."""

    effect: Effect
    """What it does: allow or deny."""
    actions: tuple[str, ...] = Field(min_length=1)
    """Actions it is about, like ``experiment_targeting``."""
    subject: SubjectMatcher | None = None
    """Who it is about; everybody when not given."""
    resource: ResourceMatcher | None = None
    """What it is about; everything when not given."""
    relationships: tuple[RelationshipMatcher, ...] = ()
    """Relations that the subject must have, all of them."""
    requires_consent: tuple[str, ...] = ()
    """Ids of consents that must be given; a missing one denies."""
    flags: tuple[str, ...] = ()
    """Flags that must be set, all of them."""
    rate_limit: str | RateLimit | None = None
    """A limit, or the id of one of the policy's ``rate_limits``."""
    escalate: Literal["human_review"] | None = None
    """Asks for a person's decision; for the caller to see to."""
    conditions: tuple[PolicyCondition, ...] = ()
    """Expressions that must be true, all of them."""
    reason: str | None = None
    """Why, for whoever is told the decision."""


class FieldPolicy(SpecModel):
    """Allows or denies reading or writing one field."""

    field: str
    """Name of the field."""
    actions: tuple[Literal["read", "write"], ...] = Field(min_length=1)
    """Reading, writing or both."""
    effect: Effect
    """What it does: allow or deny; a later deny goes before an earlier allow."""
    subject: SubjectMatcher | None = None
    """Who it is about; everybody when not given."""
    resource: ResourceMatcher | None = None
    """What it is about; everything when not given."""
    conditions: tuple[PolicyCondition, ...] = ()
    """Expressions that must be true, all of them."""
    reason: str | None = None
    """Why, for whoever is told the decision."""


class PiiPolicy(SpecModel):
    """Which fields are personal, and what that asks for."""

    fields_: tuple[str, ...] = Field(
        validation_alias=AliasChoices("fields"), serialization_alias="fields"
    )
    """Names of personal fields."""
    consent_required: bool = False
    """Whether using them asks for consent; for the caller to see to."""
    retention_days: int | None = Field(default=None, ge=0)
    """How long they may be kept; told to stores."""


class ConsentDefinition(SpecModel):
    """A consent that rules may require, by its id."""

    id: Name
    """Its name, by which rules require it."""
    scope: str = ""
    """What it is given for."""
    purpose: str = ""
    """Why it is asked for."""
    description: str = ""
    """What people are told."""
    lawful_basis: (
        Literal["consent", "contract", "legal_obligation", "legitimate_interest"] | None
    ) = None
    """Basis of processing."""
    expires_in_days: int | None = Field(default=None, ge=0)
    """How long it holds; the caller leaves out what has expired."""
    required: bool = False
    """Whether every allow of the policy needs it."""


class OpaConfig(SpecModel):
    """Where an Open Policy Agent decides: its package and the rule within it."""

    package: str
    """The Rego package."""
    decision: str = "allow"
    """The rule whose value decides."""


class PolicySpec(Spec):
    """A policy. Inside it the first matching deny wins, else the first matching allow.

    Raises:
        SpecValidationError: with the spec's key, the path of each wrong field and the remedy.
    """

    kind: ClassVar[str] = "Policy"

    meta: PolicyMeta
    """Which policy it is, and who owns it."""
    rules: tuple[PolicyRule, ...]
    """What it allows and denies."""
    field_policies: tuple[FieldPolicy, ...] = ()
    """Who may read and write which field."""
    pii: PiiPolicy | None = None
    """Which fields are personal."""
    relationships: tuple[RelationshipDefinition, ...] = ()
    """Relations that rules ask for."""
    consents: tuple[ConsentDefinition, ...] = ()
    """Consents that rules require."""
    rate_limits: tuple[RateLimit, ...] = ()
    """Limits that rules refer to."""
    opa: OpaConfig | None = None
    """Where Open Policy Agent decides instead; such a policy cannot be decided here, so it does not
    match."""

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
