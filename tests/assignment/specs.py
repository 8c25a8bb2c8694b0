"""Specs to evaluate, written as people write them."""

from __future__ import annotations

from typing import Any

from anabranch.specs import ExperimentSpec, PolicySpec

DOCUMENT: dict[str, Any] = {
    "meta": {
        "name": "sigil.onboarding.split_form",
        "version": 1,
        "title": "Split onboarding form",
        "description": "Compare single vs multi-step onboarding",
        "domain": "onboarding",
        "owners": ["@team.onboarding"],
        "tags": ["experiment"],
        "stability": "Experimental",
    },
    "controlVariant": "control",
    "variants": [
        {"id": "control", "name": "Single-step form"},
        {
            "id": "multi_step",
            "name": "Multi-step form",
            "overrides": [{"type": "workflow", "target": "sigil.onboarding.workflow.multi_step"}],
        },
    ],
    "allocation": {
        "type": "targeted",
        "rules": [
            {"variantId": "multi_step", "expression": "context.attributes?.segment === 'vip'"}
        ],
        "fallback": "random",
    },
    "successMetrics": [
        {
            "name": "Completion rate",
            "telemetryEvent": {"name": "sigil.telemetry.onboarding_completed", "version": 1},
            "aggregation": "count",
        }
    ],
}
"""The specification's own example."""


def experiment(
    key: str = "checkout", version: int | str = 1, weights: dict[str, float] | None = None, **fields
) -> ExperimentSpec:
    """Control and treatment by random, unless told otherwise."""
    variants = [
        {"id": name, "weight": weight}
        for name, weight in (weights or {"control": 1, "treatment": 1}).items()
    ]
    return ExperimentSpec.model_validate(
        {
            "meta": {"key": key, "version": version},
            "controlVariant": variants[0]["id"],
            "variants": variants,
            "allocation": {"type": "random"},
            **fields,
        }
    )


def targeted(
    *rules: dict[str, Any], fallback: str = "control", hash_: str = "mmh3", **fields
) -> ExperimentSpec:
    allocation = {"type": "targeted", "rules": list(rules), "fallback": fallback, "hash": hash_}
    return experiment(allocation=allocation, **fields)


def policy(*rules: dict[str, Any], key: str = "policy", version: int = 1, **fields) -> PolicySpec:
    return PolicySpec.model_validate(
        {"meta": {"key": key, "version": version}, "rules": list(rules), **fields}
    )
