"""A thousand experiments with layers, holdouts, policies and overrides, from documents to plans."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

from anabranch.assignment import ExperimentEvaluator
from anabranch.runtime.process import settle
from anabranch.specs import Catalog, parse_document
from benchmarks.contestants import Figures

VALIDATED: Final = "validated: models, registry, references"
COMPILED: Final = "compiled: expressions and plans"
SPECS: Final = 1_000


def compete(*, rounds: int, progress: Callable[[str], None]) -> dict[str, Figures]:
    """Both, round by round; milliseconds of CPU for all specs together."""
    settle()
    figures = {VALIDATED: Figures(), COMPILED: Figures()}
    documents = _documents()
    for number in range(rounds):
        progress(f"round {number + 1} of {rounds}")
        begin = time.process_time()
        catalog = Catalog.of(map(parse_document, documents)).check()
        validated = time.process_time()
        evaluator = ExperimentEvaluator(catalog.experiments)
        for spec in catalog.experiments:
            evaluator.plan(spec)
        compiled = time.process_time()
        figures[VALIDATED].micros.append((validated - begin) * 1000)
        figures[COMPILED].micros.append((compiled - validated) * 1000)
    return figures


def _documents() -> list[dict[str, Any]]:
    return [
        {
            "kind": "Telemetry",
            "meta": {"key": "bench.telemetry", "version": 1},
            "events": [
                {
                    "key": "bench.ordered",
                    "version": 1,
                    "properties": {"value": {"type": "number"}},
                }
            ],
        },
        {
            "kind": "Policy",
            "meta": {"key": "bench.beta", "version": 1},
            "rules": [
                {
                    "effect": "allow",
                    "actions": ["experiment_targeting"],
                    "subject": {"roles": ["beta"]},
                }
            ],
        },
        *map(_experiment, range(SPECS)),
    ]


def _experiment(n: int) -> dict[str, Any]:
    event = {"name": "bench.ordered", "version": 1}
    change = {"type": "workflow", "target": f"bench.flow{n % 50}", "config": {f"step{n}": {"a": 1}}}
    rule = {
        "variantId": "green",
        "expression": f"context.attributes?.segment === 'vip' && context.attributes.orders > {n}",
        "policy": {"key": "bench.beta"},
        "percentage": 0.5,
    }
    return {
        "kind": "Experiment",
        "meta": {"key": f"bench.e{n}", "version": 1, "owners": ["@platform"]},
        "controlVariant": "control",
        "variants": [{"id": "control"}, {"id": "green", "overrides": [change]}],
        "coverage": 0.5,
        "layer": {"key": f"layer{n // 10}", "start": n % 10 / 10, "end": (n % 10 + 1) / 10},
        "holdout": {"key": "everybody", "share": 0.05},
        "allocation": {"type": "targeted", "rules": [rule], "fallback": "random"},
        "successMetrics": [
            {"name": "orders", "telemetryEvent": event, "aggregation": "count"},
            {"name": "value", "telemetryEvent": event, "aggregation": "avg"},
        ],
    }
