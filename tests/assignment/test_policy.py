"""May this subject do this to that resource?"""

from __future__ import annotations

from typing import Any

import pytest

from anabranch.assignment import (
    PolicyDecision,
    PolicyEngine,
    PolicyRelationship,
    PolicyRequest,
    PolicyResource,
    PolicySubject,
    compile_spec,
)
from anabranch.errors import PolicyError, SpecValidationError, UnknownSpecError
from anabranch.specs import PolicyRef, PolicyRegistry, PolicySpec
from tests.assignment.specs import policy

ALLOW: dict[str, Any] = {"effect": "allow", "actions": ["read"]}
DENY: dict[str, Any] = {"effect": "deny", "actions": ["read"]}
INVOICE = PolicyResource("invoice", id="7", attributes={"total": 100, "open": True})


def decide(
    *policies: PolicySpec,
    subject: PolicySubject = PolicySubject(),  # noqa: B008 - frozen
    resource: PolicyResource = INVOICE,
    **fields,
) -> PolicyDecision:
    engine = PolicyEngine(PolicyRegistry(policies))
    request: dict[str, Any] = {
        "action": "read",
        "policies": [PolicyRef(key=p.key) for p in policies],
    }
    return engine.decide(PolicyRequest(subject=subject, resource=resource, **{**request, **fields}))


def allowed(rule: dict[str, Any], **fields) -> bool:
    """Whether one allowing rule allows; a denying one with the same matchers must agree."""
    found = decide(policy({**ALLOW, **rule}), **fields).allowed
    denied = not decide(policy({**DENY, **rule}, ALLOW), **fields).allowed
    assert found == denied
    return found


# -- which rule wins --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rules", "effect", "rule", "reason"),
    [
        ([ALLOW], "allow", 0, "allowed_by_rule"),
        ([DENY], "deny", 0, "denied_by_rule"),
        ([ALLOW, DENY], "deny", 1, "denied_by_rule"),
        ([{**ALLOW, "actions": ["write"]}, {**ALLOW, "reason": "mine"}, ALLOW], "allow", 1, "mine"),
        ([DENY | {"reason": "one"}, DENY | {"reason": "two"}], "deny", 0, "one"),
        ([{**DENY, "actions": ["write"]}, ALLOW], "allow", 1, "allowed_by_rule"),
        ([{**ALLOW, "actions": ["write"]}], "deny", None, "no_match"),
        ([], "deny", None, "no_match"),
    ],
)
def test_a_matching_deny_wins_else_the_first_allow(
    rules: list[dict[str, Any]], effect: str, rule: int | None, reason: str
) -> None:
    found = decide(policy(*rules))
    assert (found.effect, found.rule, found.reason) == (effect, rule, reason)
    assert found.policy == (None if rule is None else "policy 1.0.0")


@pytest.mark.parametrize(
    ("first", "second", "effect", "by"),
    [
        ([ALLOW], [ALLOW], "allow", "a 1.0.0"),
        ([ALLOW], [DENY], "deny", "b 1.0.0"),
        ([DENY], [ALLOW], "deny", "a 1.0.0"),
        ([], [ALLOW], "allow", "b 1.0.0"),
        ([], [], "deny", None),
    ],
)
def test_a_deny_in_any_policy_denies(
    first: list[dict[str, Any]], second: list[dict[str, Any]], effect: str, by: str | None
) -> None:
    found = decide(policy(*first, key="a"), policy(*second, key="b"))
    assert (found.effect, found.policy) == (effect, by)


def test_without_policies_nothing_is_allowed() -> None:
    assert decide(policy(ALLOW), policies=[]).reason == "no_match"


def test_an_unknown_policy_is_an_error() -> None:
    for ref in [PolicyRef(key="polisy"), PolicyRef(key="policy", version="9.0.0")]:
        with pytest.raises(UnknownSpecError):
            decide(policy(ALLOW), policies=[ref])


def test_the_latest_version_is_meant_unless_one_is_named() -> None:
    engine = PolicyEngine(PolicyRegistry([policy(ALLOW), policy(DENY, version=2)]))

    def ask(ref: PolicyRef) -> bool:
        return engine.decide(PolicyRequest("read", PolicySubject(), INVOICE, [ref])).allowed

    assert not ask(PolicyRef(key="policy"))
    assert ask(PolicyRef(key="policy", version="1.0.0"))


# -- what a rule asks for ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("matcher", "subject", "matches"),
    [
        ({"roles": ["admin", "owner"]}, PolicySubject(roles=("owner",)), True),
        ({"roles": ["admin"]}, PolicySubject(roles=("owner",)), False),
        ({"roles": ["admin"]}, PolicySubject(), False),
        ({}, PolicySubject(), True),
        ({"attributes": {"plan": {"equals": "pro"}}}, {"plan": "pro"}, True),
        ({"attributes": {"plan": {"equals": "pro"}}}, {"plan": "free"}, False),
        ({"attributes": {"plan": {"equals": "pro"}}}, {}, False),
        ({"attributes": {"n": {"equals": 1}}}, {"n": True}, False),
        ({"attributes": {"n": {"equals": 1}}}, {"n": 1.0}, True),
        ({"attributes": {"n": {"equals": None}}}, {"n": None}, True),
        ({"attributes": {"n": {"equals": None}}}, {}, False),
        ({"attributes": {"n": {"equals": [1, {"a": True}]}}}, {"n": [1, {"a": True}]}, True),
        ({"attributes": {"n": {"equals": [1, {"a": True}]}}}, {"n": [1, {"a": 1}]}, False),
        ({"attributes": {"n": {"oneOf": [1, "a"]}}}, {"n": "a"}, True),
        ({"attributes": {"n": {"oneOf": [1, "a"]}}}, {"n": "b"}, False),
        ({"attributes": {"n": {"oneOf": []}}}, {"n": "b"}, False),
        ({"attributes": {"n": {"exists": True}}}, {"n": None}, True),
        ({"attributes": {"n": {"exists": True}}}, {}, False),
        ({"attributes": {"n": {"exists": False}}}, {}, True),
        ({"attributes": {"n": {"exists": False}}}, {"n": 0}, False),
        ({"attributes": {"n": {"oneOf": [1, 2]}, "m": {"equals": 1}}}, {"n": 1, "m": 2}, False),
    ],
)
def test_subjects(matcher: dict[str, Any], subject: Any, matches: bool) -> None:
    if isinstance(subject, dict):
        subject = PolicySubject(attributes=subject)
    assert allowed({"subject": matcher}, subject=subject) == matches


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        ({"type": "invoice"}, True),
        ({"type": "order"}, False),
        ({"type": "invoice", "attributes": {"total": {"equals": 100}}}, True),
        ({"type": "invoice", "attributes": {"total": {"equals": 7}}}, False),
    ],
)
def test_resources(matcher: dict[str, Any], matches: bool) -> None:
    assert allowed({"resource": matcher}) == matches


@pytest.mark.parametrize(
    ("asked", "allows", "denies"),
    [
        (("name",), True, True),
        (("name", "total"), True, True),
        (("name", "secret"), False, True),
        (("secret",), False, False),
        ((), False, True),
    ],
)
def test_an_allow_covers_all_fields_and_a_deny_any(
    asked: tuple[str, ...], allows: bool, denies: bool
) -> None:
    rule = {"resource": {"type": "invoice", "fields": ["name", "total"]}}
    resource = PolicyResource("invoice", fields=asked)
    assert decide(policy({**ALLOW, **rule}), resource=resource).allowed == allows
    assert decide(policy({**DENY, **rule}, ALLOW), resource=resource).allowed != denies


@pytest.mark.parametrize(
    ("matcher", "matches"),
    [
        ({"relation": "owner"}, True),
        ({"relation": "editor"}, False),
        ({"relation": "owner", "objectType": "invoice"}, True),
        ({"relation": "owner", "objectType": "order"}, False),
        ({"relation": "owner", "objectId": "$resource"}, True),
        ({"relation": "owner", "objectId": "7"}, True),
        ({"relation": "owner", "objectId": "8"}, False),
    ],
)
def test_relationships(matcher: dict[str, Any], matches: bool) -> None:
    subject = PolicySubject(relationships=(PolicyRelationship("owner", "invoice", "7"),))
    assert allowed({"relationships": [matcher]}, subject=subject) == matches
    assert not allowed({"relationships": [matcher]})
    assert not allowed({"relationships": [matcher, {"relation": "x"}]}, subject=subject)


def test_a_resource_without_an_id_is_nobodys() -> None:
    subject = PolicySubject(relationships=(PolicyRelationship("owner", "invoice", "7"),))
    rule = {"relationships": [{"relation": "owner", "objectId": "$resource"}]}
    assert not allowed(rule, subject=subject, resource=PolicyResource("invoice"))


def test_all_flags_must_be_on() -> None:
    assert allowed({"flags": ["a", "b"]}, flags=["b", "a", "c"])
    assert not allowed({"flags": ["a", "b"]}, flags=["a"])


@pytest.mark.parametrize(
    ("conditions", "matches"),
    [
        (["subject.roles.includes('admin')"], True),
        (["resource.attributes.total > 50", "resource.id === '7'"], True),
        (["resource.attributes.total > 50", "context.country === 'DE'"], False),
        (["context.country === 'NO' && resource.type === 'invoice'"], True),
        (["subject.relationships.length === 0"], True),
    ],
)
def test_conditions_must_all_be_true(conditions: list[str], matches: bool) -> None:
    rule = {"conditions": [{"expression": source} for source in conditions]}
    subject = PolicySubject(roles=("admin",))
    assert allowed(rule, subject=subject, context={"country": "NO"}) == matches


def test_a_condition_that_raises_never_opens() -> None:
    broken = {"conditions": [{"expression": "context.a.b"}]}
    allowing = decide(policy({**ALLOW, **broken}))
    assert (allowing.effect, allowing.reason) == ("deny", "no_match")
    denying = decide(policy({**DENY, **broken}, ALLOW))
    assert (denying.effect, denying.rule) == ("deny", 0)
    for found in (allowing, denying):
        assert "Policy policy 1.0.0: rules[0].conditions[0]: line 1, column 11" in found.errors[0]


def test_a_wrong_condition_is_an_error_with_its_path() -> None:
    wrong = policy(ALLOW, {**ALLOW, "conditions": [{"expression": "user.id"}]})
    with pytest.raises(PolicyError, match=r"Policy policy 1\.0\.0: rules\[1\]\.conditions\[0\]"):
        decide(wrong)
    with pytest.raises(SpecValidationError, match=r"^rules\[1\]\.conditions\[0\]\.expression"):
        compile_spec(wrong)
    compile_spec(policy(ALLOW))


def test_what_another_engine_decides_is_not_decided_here() -> None:
    with pytest.raises(PolicyError, match="Open Policy Agent"):
        decide(policy(ALLOW, opa={"package": "app.authz"}))


# -- consents, limits, fields -----------------------------------------------------------------


def test_missing_consents_deny_and_are_listed() -> None:
    rule = {**ALLOW, "requiresConsent": ["marketing", "analytics", "basic"]}
    found = decide(policy(rule), consents=["basic"])
    assert (found.effect, found.reason) == ("deny", "consent_required")
    assert found.missing_consents == ("marketing", "analytics")
    assert decide(policy(rule), consents=["analytics", "basic", "marketing"]).allowed


def test_a_policys_required_consents_are_needed_for_each_allow() -> None:
    guarded = policy(ALLOW, consents=[{"id": "terms", "required": True}, {"id": "news"}])
    assert decide(guarded).missing_consents == ("terms",)
    assert decide(guarded, consents=["terms"]).allowed


def test_a_missing_consent_in_one_policy_denies_whatever_others_allow() -> None:
    found = decide(policy(ALLOW, key="a"), policy({**ALLOW, "requiresConsent": ["c"]}, key="b"))
    assert (found.effect, found.policy, found.missing_consents) == ("deny", "b 1.0.0", ("c",))


def test_rate_limits_and_escalation_are_told() -> None:
    named = policy(
        {**ALLOW, "rateLimit": "slow", "escalate": "human_review"},
        key="a",
        rateLimits=[{"id": "fast", "rpm": 600}, {"id": "slow", "rpm": 6, "burst": 2}],
    )
    inline = policy({**ALLOW, "rateLimit": {"id": "own", "rpm": 60}}, key="b")
    found = decide(named, inline)
    assert [(limit.id, limit.rpm) for limit in found.rate_limits] == [("slow", 6), ("own", 60)]
    assert found.escalate == "human_review"
    assert decide(policy(ALLOW)).rate_limits == ()
    denied = decide(named, policy(DENY, key="c"))
    assert (denied.rate_limits, denied.escalate) == ((), None)


def _field(name: str, effect: str, **more: Any) -> dict[str, Any]:
    return {"field": name, "actions": ["read"], "effect": effect, **more}


def test_a_later_deny_overrides_an_earlier_allow_of_a_field() -> None:
    found = decide(
        policy(
            ALLOW,
            key="a",
            fieldPolicies=[
                _field("name", "allow"),
                _field("ssn", "allow"),
                _field("ssn", "deny", reason="pii"),
                _field("ssn", "allow"),
                _field("ssn", "deny", reason="too late to be the reason"),
                _field("id", "allow", reason="first"),
                _field("id", "allow", reason="second"),
                _field("email", "deny"),
                _field("email", "allow"),
                _field("note", "allow", actions=["write"]),
                _field("total", "deny", subject={"roles": ["guest"]}),
            ],
        ),
        policy(ALLOW, key="b", fieldPolicies=[_field("name", "deny")]),
    )
    assert found.allowed
    decided = {name: (d.effect, d.reason) for name, d in found.field_decisions.items()}
    assert decided == {
        "name": ("deny", "denied_by_rule"),
        "ssn": ("deny", "pii"),
        "id": ("allow", "first"),
        "email": ("deny", "denied_by_rule"),
    }


def test_only_the_fields_that_are_asked_for_are_decided() -> None:
    spec = policy(ALLOW, fieldPolicies=[_field("a", "allow"), _field("b", "deny")])
    found = decide(spec, resource=PolicyResource("invoice", fields=("a",)))
    assert set(found.field_decisions) == {"a"}
    assert found.field_decisions["a"].effect == "allow"
