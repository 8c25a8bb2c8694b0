import pytest

from anabranch.errors import SpecValidationError
from anabranch.specs import PolicySpec, parse_document

FULL = {
    "meta": {"key": "shop.eu_only", "version": 1, "scope": "feature", "owners": ["@team.legal"]},
    "rules": [
        {
            "effect": "deny",
            "actions": ["experiment_targeting"],
            "subject": {"roles": ["guest"], "attributes": {"home_country": {"oneOf": ["US"]}}},
            "resource": {
                "type": "experiment",
                "fields": ["name"],
                "attributes": {"name": {"equals": None}, "risk": {"exists": False}},
            },
            "relationships": [
                {"relation": "member", "objectType": "team", "objectId": "$resource"}
            ],
            "requiresConsent": ["analytics"],
            "flags": ["beta"],
            "rateLimit": "slow",
            "escalate": "human_review",
            "conditions": [{"expression": "context.attributes.age >= 18"}],
            "reason": "only in the EU",
        },
        {"effect": "allow", "actions": ["*"], "rateLimit": {"id": "own", "rpm": 60, "burst": 5}},
    ],
    "fieldPolicies": [{"field": "email", "actions": ["read"], "effect": "deny"}],
    "pii": {"fields": ["email"], "consentRequired": True, "retentionDays": 30},
    "relationships": [{"subjectType": "user", "relation": "member", "objectType": "team"}],
    "consents": [
        {"id": "analytics", "scope": "all", "purpose": "x", "lawfulBasis": "consent"}
    ],
    "rateLimits": [{"id": "slow", "rpm": 10, "key": "user", "windowSeconds": 60}],
    "opa": {"package": "shop.authz"},
}  # fmt: skip


def test_a_policy_survives_its_document():
    found = PolicySpec.model_validate(FULL)
    assert parse_document(found.document) == found
    expected = {**FULL, "kind": "Policy", "meta": {**FULL["meta"], "version": "1.0.0"}}
    assert found.document == expected


def test_equals_null_asks_for_null():
    attributes = PolicySpec.model_validate(FULL).rules[0].resource.attributes
    assert attributes["name"].has_equals
    assert not attributes["risk"].has_equals


def rule(**changes):
    return {"rules": [{"effect": "allow", "actions": ["x"], **changes}]}


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        (rule(effect="permit"), "rules[0].effect: input should be 'allow' or 'deny'"),
        (rule(actions=[]), "rules[0].actions: needs at least 1, has 0"),
        (rule(rateLimit="slwo"), "rules[0].rateLimit: no rate limit has the id 'slwo': did you"),
        (rule(rateLimit={"id": "a", "rpm": 0}), "rules[0].rateLimit.rpm: input should be greater"),
        (
            rule(subject={"attributes": {"a_b": {}}}),
            "rules[0].subject.attributes.a_b: matches everything: give equals, oneOf or exists",
        ),
        (rule(resource={"type": "x", "feilds": []}), "feilds: unknown field: did you mean 'fields"),
        (rule(conditions=["true"]), "rules[0].conditions[0]: must be an object, not 'true'"),
        ({"consents": [{"id": "a"}, {"id": "a"}]}, "consents: two have the id 'a'"),
        ({"rateLimits": [{"id": "a", "rpm": 1}] * 2}, "rateLimits: two have the id 'a'"),
    ],
)
def test_a_wrong_policy_names_key_path_and_remedy(changes, expected):
    with pytest.raises(SpecValidationError) as caught:
        PolicySpec.model_validate({**FULL, **changes})
    assert str(caught.value).startswith("Policy shop.eu_only 1: ")
    assert expected in str(caught.value)
