"""Decides policies: may this subject do this to that resource?

Inside a policy the first matching deny wins, else the first matching allow. A deny in any policy
denies; an allow whose consents are missing denies and lists them; where nothing matches it is
denied. What cannot be decided is decided against: a condition that raises makes a denying rule
match and an allowing one not.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal

from anabranch.assignment.context import ExperimentContext
from anabranch.assignment.expressions import Expression, compile_expression
from anabranch.assignment.matching import (
    PolicyRelationship,
    PolicyResource,
    PolicySubject,
    matches_relationships,
    matches_resource,
    matches_subject,
)
from anabranch.errors import ExpressionError, PolicyError, SpecValidationError
from anabranch.specs import (
    FieldPolicy,
    PolicyCondition,
    PolicyRef,
    PolicyRegistry,
    PolicyRule,
    PolicySpec,
    RateLimit,
)

__all__ = [
    "FieldDecision",
    "PolicyDecision",
    "PolicyEngine",
    "PolicyRelationship",
    "PolicyRequest",
    "PolicyResource",
    "PolicySubject",
    "compile_conditions",
]

Effect = Literal["allow", "deny"]

_ROOTS: Final = ("subject", "resource", "context")
_REASONS: Final[Mapping[Effect, str]] = {"allow": "allowed_by_rule", "deny": "denied_by_rule"}
_MOST_COMPILED: Final = 4096


@dataclass(frozen=True, slots=True)
class PolicyRequest:
    """What is asked.

    Attributes:
        policies: Policies to decide by; without a version the latest.
        context: Whatever conditions look at besides subject and resource.
        consents: Ids of the consents that are given and have not expired.
        flags: Flags that are on.
    """

    action: str
    subject: PolicySubject
    resource: PolicyResource
    policies: Iterable[PolicyRef]
    context: Mapping[str, Any] = field(default_factory=dict)
    consents: Iterable[str] = ()
    flags: Iterable[str] = ()


@dataclass(frozen=True, slots=True)
class FieldDecision:
    """Whether the action may touch one field."""

    field: str
    effect: Effect
    reason: str


@dataclass(frozen=True, slots=True)
class PolicyDecision:
    """The answer.

    Attributes:
        reason: The deciding rule's own, else ``allowed_by_rule``, ``denied_by_rule``,
            ``consent_required`` or ``no_match``.
        policy: Key and version of the policy that decided; None where nothing matched.
        rule: Index of the rule within it.
        missing_consents: What has to be given first, where the reason is ``consent_required``.
        rate_limits: Limits of the allowing rules, for the caller to keep.
        escalate: ``human_review`` where an allowing rule asks for it.
        field_decisions: By field, of the fields that field policies decide.
        errors: Conditions that raised.
    """

    effect: Effect
    reason: str
    policy: str | None = None
    rule: int | None = None
    missing_consents: tuple[str, ...] = ()
    rate_limits: tuple[RateLimit, ...] = ()
    escalate: Literal["human_review"] | None = None
    field_decisions: Mapping[str, FieldDecision] = field(default_factory=dict)
    errors: tuple[str, ...] = ()

    @property
    def allowed(self) -> bool:
        return self.effect == "allow"


class PolicyEngine:
    """Decides by the policies of a registry; those registered later are found too."""

    def __init__(self, registry: PolicyRegistry) -> None:
        self.registry = registry
        self._compiled: dict[str, Mapping[str, Expression]] = {}

    def decide(self, request: PolicyRequest) -> PolicyDecision:
        """Decide a request.

        Raises:
            UnknownSpecError: a policy that the request names is not there.
            PolicyError: a policy has a wrong condition, or leaves its decision to Open Policy
                Agent, which this engine does not ask.
        """
        policies = [self.registry.require(ref.key, ref.version) for ref in request.policies]
        conditions: dict[str, Expression] = {}
        for policy in policies:
            if policy.opa is not None:
                raise PolicyError(
                    f"Policy {policy.meta.label} is decided by Open Policy Agent "
                    f"({policy.opa.package}), which this engine does not ask: decide it there"
                )
            conditions |= self._conditions(policy)
        asked = _Asked(request, conditions)
        fields = asked.fields(policies)
        allows: list[PolicyDecision] = []
        for policy in policies:
            found = asked.decide(policy)
            if found is not None and not found.allowed:
                return replace(found, field_decisions=fields, errors=tuple(asked.errors))
            if found is not None:
                allows.append(found)
        return replace(
            allows[0] if allows else PolicyDecision("deny", "no_match"),
            rate_limits=tuple(limit for found in allows for limit in found.rate_limits),
            escalate=next((found.escalate for found in allows if found.escalate), None),
            field_decisions=fields,
            errors=tuple(asked.errors),
        )

    def allows_targeting(self, ref: PolicyRef, context: ExperimentContext) -> bool:
        """Whether a policy lets a context into a targeting rule: an evaluator's policy checker.

        Asks for the action ``experiment_targeting`` on the resource ``experiment`` with the
        experiment's ``name``; the context's flags are the subject's roles, its attributes the
        subject's attributes. Raises as :meth:`decide`.
        """
        flags = tuple(context.flags or ())
        return self.decide(
            PolicyRequest(
                action="experiment_targeting",
                subject=PolicySubject(roles=flags, attributes=context.attributes or {}),
                resource=PolicyResource("experiment", attributes={"name": context.experiment}),
                policies=(ref,),
                context=context.mapping,
                flags=flags,
            )
        ).allowed

    def _conditions(self, policy: PolicySpec) -> Mapping[str, Expression]:
        found = self._compiled.get(policy.digest)
        if found is None:
            try:
                found = compile_conditions(policy)
            except SpecValidationError as error:
                raise PolicyError(f"Policy {policy.meta.label}: {error}") from error
            if len(self._compiled) >= _MOST_COMPILED:  # superseded specs, after many reloads
                self._compiled.clear()
            self._compiled[policy.digest] = found
        return found


def compile_conditions(policy: PolicySpec) -> dict[str, Expression]:
    """The policy's conditions, compiled, by their source.

    Raises:
        SpecValidationError: one is wrong; the message has its path, line and column.
    """
    found: dict[str, Expression] = {}
    parts: list[tuple[str, PolicyRule | FieldPolicy]] = [
        *((f"rules[{i}]", rule) for i, rule in enumerate(policy.rules)),
        *((f"fieldPolicies[{i}]", rule) for i, rule in enumerate(policy.field_policies)),
    ]
    for label, part in parts:
        for i, condition in enumerate(part.conditions):
            source = condition.expression
            try:
                found[source] = compile_expression(source, _ROOTS)
            except ExpressionError as error:
                raise SpecValidationError(f"{label}.conditions[{i}].expression: {error}") from error
    return found


class _Asked:
    """One request while it is decided."""

    def __init__(self, request: PolicyRequest, conditions: Mapping[str, Expression]) -> None:
        self._request = request
        self._conditions = conditions
        self._values = (
            request.subject.mapping,
            request.resource.mapping,
            dict(request.context),
        )
        self._flags = frozenset(request.flags)
        self._consents = frozenset(request.consents)
        self.errors: list[str] = []

    def decide(self, policy: PolicySpec) -> PolicyDecision | None:
        """What one policy says; None where none of its rules matches."""
        matching = [
            (i, rule) for i, rule in enumerate(policy.rules) if self._matches_rule(policy, i, rule)
        ]
        label = policy.meta.label
        for i, rule in matching:
            if rule.effect == "deny":
                return PolicyDecision("deny", rule.reason or _REASONS["deny"], label, i)
        if not matching:
            return None
        i, rule = matching[0]
        required = [consent.id for consent in policy.consents if consent.required]
        wanted = dict.fromkeys((*rule.requires_consent, *required))
        missing = tuple(consent for consent in wanted if consent not in self._consents)
        if missing:
            return PolicyDecision("deny", "consent_required", label, i, missing_consents=missing)
        limit = rule.rate_limit
        if isinstance(limit, str):
            limit = next(one for one in policy.rate_limits if one.id == limit)
        return PolicyDecision(
            "allow",
            rule.reason or _REASONS["allow"],
            label,
            i,
            rate_limits=() if limit is None else (limit,),
            escalate=rule.escalate,
        )

    def fields(self, policies: Iterable[PolicySpec]) -> dict[str, FieldDecision]:
        """By field: an allow holds until a deny, whichever policy that is in."""
        found: dict[str, FieldDecision] = {}
        asked_for = self._request.resource.fields
        for policy in policies:
            for i, rule in enumerate(policy.field_policies):
                if self._request.action not in rule.actions or (
                    asked_for and rule.field not in asked_for
                ):
                    continue
                known = found.get(rule.field)
                if known is not None and (known.effect == "deny" or rule.effect == "allow"):
                    continue
                label = f"Policy {policy.meta.label}: fieldPolicies[{i}]"
                if self._matches(label, rule):
                    reason = rule.reason or _REASONS[rule.effect]
                    found[rule.field] = FieldDecision(rule.field, rule.effect, reason)
        return found

    def _matches_rule(self, policy: PolicySpec, index: int, rule: PolicyRule) -> bool:
        request = self._request
        return (
            request.action in rule.actions
            and self._flags.issuperset(rule.flags)
            and matches_relationships(rule.relationships, request.subject, request.resource)
            and self._matches(f"Policy {policy.meta.label}: rules[{index}]", rule)
        )

    def _matches(self, label: str, rule: PolicyRule | FieldPolicy) -> bool:
        request = self._request
        return (
            matches_subject(rule.subject, request.subject)
            and matches_resource(rule.resource, request.resource, rule.effect)
            and self._hold(label, rule.conditions, rule.effect)
        )

    def _hold(self, label: str, conditions: tuple[PolicyCondition, ...], effect: Effect) -> bool:
        for i, condition in enumerate(conditions):
            try:
                if not self._conditions[condition.expression].test(*self._values):
                    return False
            except ExpressionError as error:
                self.errors.append(f"{label}.conditions[{i}]: {error}")
                if effect == "allow":
                    return False
        return True
