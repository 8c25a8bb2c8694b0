"""Short forms of flags, by example."""

from __future__ import annotations

import re

import pytest

from anabranch.authoring import forms

V, R, M, E, P = (
    forms.variant,
    forms.targeting_rule,
    forms.metric,
    forms.event,
    forms.policy_rule,
)


@pytest.mark.parametrize(
    ("read", "line", "document"),
    [
        (V, "control", {"id": "control"}),
        (V, "multi:2 Multi-step form", {"id": "multi", "weight": 2, "name": "Multi-step form"}),
        (V, "b:0.5", {"id": "b", "weight": 0.5}),
        (V, '{"id": "a:1"}', {"id": "a:1"}),
        (R, "b", {"variantId": "b"}),
        (
            R,
            "b 25% policy=shop.staff@1.0.0 when context.x === 'when y'",
            {
                "variantId": "b",
                "percentage": 0.25,
                "policy": {"key": "shop.staff", "version": "1.0.0"},
                "expression": "context.x === 'when y'",
            },
        ),
        (
            M,
            "Revenue: shop.order@2 sum property=amount direction=decrease target=3.5 window=7d",
            {
                "name": "Revenue",
                "telemetryEvent": {"key": "shop.order", "version": "2"},
                "aggregation": "sum",
                "property": "amount",
                "direction": "decrease",
                "target": 3.5,
                "window": "7d",
            },
        ),
        (
            M,
            "Rate: a ratio denominator=b@1/n",
            {
                "name": "Rate",
                "telemetryEvent": {"key": "a"},
                "aggregation": "ratio",
                "denominator": {"telemetryEvent": {"key": "b", "version": "1"}, "property": "n"},
            },
        ),
        (
            M,
            "Errors: e count guardrail=0.01,pause",
            {
                "name": "Errors",
                "telemetryEvent": {"key": "e"},
                "aggregation": "count",
                "guardrail": {"tolerance": 0.01, "onBreach": "pause"},
            },
        ),
        (
            M,
            "Errors: e count guardrail=0",
            {
                "name": "Errors",
                "telemetryEvent": {"key": "e"},
                "aggregation": "count",
                "guardrail": {},
            },
        ),
        (
            M,
            "Path: a funnel steps=b,c@2",
            {
                "name": "Path",
                "telemetryEvent": {"key": "a"},
                "aggregation": "funnel",
                "steps": [{"key": "b"}, {"key": "c", "version": "2"}],
            },
        ),
        (
            E,
            (
                'shop.order amount:number! mail:string:pii who="a shopper" tags=privacy-reviewed,x '
                "retention=90 sampling=0.5 privacy=public"
            ),
            {
                "key": "shop.order",
                "version": "1.0.0",
                "semantics": {"who": "a shopper"},
                "properties": {
                    "amount": {"type": "number", "required": True},
                    "mail": {"type": "string", "pii": True},
                },
                "privacy": "public",
                "retention": {"days": 90},
                "sampling": {"rate": 0.5},
                "tags": ["privacy-reviewed", "x"],
            },
        ),
        (
            P,
            (
                "allow read,write roles=staff,admin attribute.level=3 flags=beta consents=ads "
                'reason="they may" when subject.x === 1'
            ),
            {
                "effect": "allow",
                "actions": ["read", "write"],
                "subject": {"roles": ["staff", "admin"], "attributes": {"level": {"equals": 3}}},
                "flags": ["beta"],
                "requiresConsent": ["ads"],
                "reason": "they may",
                "conditions": [{"expression": "subject.x === 1"}],
            },
        ),
        (forms.consent, "ads To tell of offers", {"id": "ads", "purpose": "To tell of offers"}),
        (forms.reference, "@acme/x@1.0.0", {"key": "@acme/x", "version": "1.0.0"}),
        (forms.reference, "@acme", {"key": "@acme"}),
    ],
)
def test_a_line_is_a_part_of_a_document(read, line, document):
    assert read(line) == document


def test_an_override_names_its_variant():
    assert forms.override('b theme shop.theme@1 {"a": {"b": 1}}') == (
        "b",
        {"type": "theme", "target": "shop.theme", "version": "1", "config": {"a": {"b": 1}}},
    )
    assert forms.override("b workflow shop.other") == (
        "b",
        {"type": "workflow", "target": "shop.other"},
    )


@pytest.mark.parametrize(
    ("read", "line", "told"),
    [
        (V, "", "write ID[:WEIGHT]"),
        (V, "b:many", "'many' is no number"),
        (V, '{"id": ', "is not JSON: column"),
        (R, "b maybe", "write VARIANT [PERCENT%]"),
        (M, "Revenue shop.order sum", "write NAME: EVENT"),
        (M, "R: a sum colour=red", "'colour=red' is no field of a metric"),
        (E, "e amount", "is no event"),
        (E, "e retention=long", "'long' is no whole number"),
        (E, 'e who="open', "No closing quotation"),
        (P, "allow", "write EFFECT ACTION"),
        (forms.override, "b colour x", "is no type of target: there are dataView"),
        (forms.override, "b theme x red", "is no JSON object"),
        (forms.override, "b", "write VARIANT TYPE TARGET"),
    ],
)
def test_what_is_wrong_is_said_with_what_is_right(read, line, told):
    with pytest.raises(ValueError, match=re.escape(told)):
        read(line)
