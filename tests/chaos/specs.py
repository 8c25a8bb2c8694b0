"""The specs that the load is run on, and what a bump makes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from anabranch.specs import Catalog, Spec
from anabranch.specs.documents import parse_document

CHECKOUT, ONBOARDING, PRICING = "chaos.checkout", "chaos.onboarding", "chaos.pricing"
SHIPPING = "chaos.shipping"
PURCHASE, COMPLETED, RENEWED = "chaos.purchase", "chaos.completed", "chaos.renewed"
LARGEST_AMOUNT = 900
"""A purchase above it is an anomaly."""


def first() -> list[dict[str, Any]]:
    """Telemetry and four experiments in version 1: random, targeted, by organization, kept."""
    return [_telemetry(), _checkout(1), _onboarding(1), _pricing(), _shipping(1)]


def second() -> list[dict[str, Any]]:
    """What a bump publishes: other weights and another salt, another rule, other weights alone."""
    return [_checkout(2), _onboarding(2), _shipping(2)]


def parsed(documents: Iterable[dict[str, Any]]) -> list[Spec]:
    """The specs themselves."""
    return [parse_document(document) for document in documents]


def catalog(*documents: dict[str, Any]) -> Catalog:
    """A checked catalog of these documents."""
    made = Catalog.of(parsed(documents))
    made.check()
    return made


def _meta(key: str, version: int) -> dict[str, Any]:
    return {
        "key": key,
        "version": version,
        "title": key,
        "description": "A subject of the chaos suite",
        "domain": "chaos",
        "owners": ["@team.chaos"],
        "tags": ["chaos"],
        "stability": "experimental",
    }


def _telemetry() -> dict[str, Any]:
    number = {"type": "number", "required": True}
    events = [
        {
            "name": PURCHASE,
            "properties": {"amount": number, "coupon": {"type": "string"}},
            "anomalyDetection": {
                "enabled": True,
                "thresholds": [{"metric": "amount", "max": LARGEST_AMOUNT}],
                "actions": ["alert"],
            },
        },
        {"name": COMPLETED, "properties": {"seconds": number}},
        {"name": RENEWED, "properties": {"seats": {"type": "number"}}},
    ]
    return {
        "kind": "Telemetry",
        "meta": _meta("chaos.telemetry", 1),
        "events": [{"version": 1, "privacy": "internal", **event} for event in events],
    }


def _metric(name: str, event: str, aggregation: str, **more: Any) -> dict[str, Any]:
    ref = {"name": event, "version": 1}
    return {"name": name, "telemetryEvent": ref, "aggregation": aggregation, **more}


def _checkout(version: int) -> dict[str, Any]:
    weights = {"control": 1, "blue": 1, "green": 2} if version == 1 else {"control": 3, "blue": 1}
    return {
        "kind": "Experiment",
        "meta": _meta(CHECKOUT, version),
        "controlVariant": "control",
        "variants": [{"id": id_, "name": id_, "weight": w} for id_, w in weights.items()],
        "allocation": {"type": "random", **({"salt": "second"} if version == 2 else {})},
        "unit": ["userId"],
        "successMetrics": [
            _metric("purchases", PURCHASE, "count"),
            _metric("revenue", PURCHASE, "sum", property="amount"),
            _metric("buyers", PURCHASE, "unique"),
            _metric("basket", PURCHASE, "p90", property="amount"),
            _metric("soon", PURCHASE, "count", window=1800),
        ],
    }


def _onboarding(version: int) -> dict[str, Any]:
    segment = "vip" if version == 1 else "new"
    return {
        "kind": "Experiment",
        "meta": _meta(ONBOARDING, version),
        "controlVariant": "control",
        "variants": [{"id": "control", "name": "one"}, {"id": "multi", "name": "many"}],
        "allocation": {
            "type": "targeted",
            "rules": [
                {"variantId": "multi", "expression": f"context.attributes?.segment === '{segment}'"}
            ],
            "fallback": "random",
        },
        "unit": ["userId"],
        "successMetrics": [
            _metric("completions", COMPLETED, "count"),
            _metric("duration", COMPLETED, "avg", property="seconds"),
        ],
    }


def _pricing() -> dict[str, Any]:
    return {
        "kind": "Experiment",
        "meta": _meta(PRICING, 1),
        "controlVariant": "control",
        "variants": [{"id": "control", "name": "a seat"}, {"id": "flat", "name": "flat"}],
        "allocation": {"type": "sticky", "attribute": "organizationId"},
        "unit": ["organizationId"],
        "coverage": 0.8,
        "successMetrics": [
            _metric("renewals", RENEWED, "count"),
            _metric("seats", RENEWED, "sum", property="seats"),
        ],
    }


def _shipping(version: int) -> dict[str, Any]:
    """Whoever was given a variant keeps it, whatever the weights become."""
    weights = {"control": 1, "free": 1} if version == 1 else {"control": 1, "free": 9}
    return {
        "kind": "Experiment",
        "meta": _meta(SHIPPING, version),
        "controlVariant": "control",
        "variants": [{"id": id_, "name": id_, "weight": w} for id_, w in weights.items()],
        "allocation": {"type": "random"},
        "unit": ["userId"],
        "keep": "unit",
        "successMetrics": [_metric("revenue", PURCHASE, "sum", property="amount")],
    }
