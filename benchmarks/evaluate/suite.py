"""One awaited ``choose_variant`` by kind of allocation, beside GrowthBook's ``eval_feature``."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from collections.abc import Callable
from typing import Any

from anabranch import ExperimentContext, ExperimentEvaluator, ExperimentRegistry, ExperimentSpec
from anabranch.runtime.process import settle
from benchmarks.contestants import ContestantError, Figures
from benchmarks.peers import builds

RANDOM = "random split"
STICKY = "sticky by organizationId"
TARGETED = "targeted, the document's expression"
MADE = "…, with its context made for it"
MANY = "choose_variants, 1,000 at once"
GROWTHBOOK = "GrowthBook eval_feature"
GROWTHBOOK_TARGETED = "GrowthBook eval_feature by condition"

_CONTEXTS = 2_000
_ROUND_CALLS = 20_000

_META = {
    "version": 1,
    "title": "Benchmark",
    "description": "What an evaluation costs",
    "domain": "benchmark",
    "owners": ["@platform"],
    "tags": ["benchmark"],
    "stability": "experimental",
}

_ALLOCATIONS: dict[str, dict[str, Any]] = {
    RANDOM: {"type": "random"},
    STICKY: {"type": "sticky", "attribute": "organizationId"},
    TARGETED: {
        "type": "targeted",
        "rules": [
            {
                "variantId": "green",
                "expression": "context.attributes?.segment === 'vip'",
                "percentage": 0.5,
            }
        ],
        "fallback": "random",
    },
}


_FEATURES = {GROWTHBOOK: "random", GROWTHBOOK_TARGETED: "targeted"}


def compete(*, rounds: int, progress: Callable[[str], None]) -> dict[str, Figures]:
    """Each kind once a round, in one process and one event loop; GrowthBook in one of its own.

    Raises:
        ContestantError: GrowthBook's environment could not be made, or it failed.
    """
    progress("making GrowthBook's environment")
    growthbook = builds.growthbook()
    settle()
    figures: dict[str, Figures] = {}
    evaluator, contexts = _evaluator(), _contexts()
    for number in range(rounds):
        for name in (*_ALLOCATIONS, MADE, MANY, *_FEATURES):
            progress(f"round {number + 1} of {rounds}: {name}")
            if name in _FEATURES:
                wall, cpu = _eval_feature(growthbook, _FEATURES[name])
            else:
                wall, cpu = asyncio.run(_calls(evaluator, contexts, name))
            taken = figures.setdefault(name, Figures())
            taken.rates.append(_ROUND_CALLS / wall)
            taken.micros.append(cpu / _ROUND_CALLS * 1e6)
    return figures


def _eval_feature(command: list[str], feature: str) -> tuple[float, float]:
    """Wall and CPU seconds of a round's calls."""
    given = ["--users", str(_CONTEXTS), "--calls", str(_ROUND_CALLS), "--feature", feature]
    done = subprocess.run([*command, *given], capture_output=True, text=True, check=False)
    if done.returncode:
        raise ContestantError(f"GrowthBook ended with {done.returncode}: {done.stderr}")
    found: dict[str, float] = json.loads(done.stdout)
    return found["wall"], found["cpu"]


def _evaluator() -> ExperimentEvaluator:
    return ExperimentEvaluator(
        ExperimentRegistry(
            ExperimentSpec.model_validate(
                {
                    "meta": {**_META, "key": f"bench.{allocation['type']}"},
                    "controlVariant": "control",
                    "variants": [
                        {"id": "control", "name": "Grey"},
                        {"id": "green", "name": "Green"},
                    ],
                    "allocation": allocation,
                }
            )
            for allocation in _ALLOCATIONS.values()
        )
    )


def _contexts() -> dict[str, list[ExperimentContext]]:
    like = {name: name for name in _ALLOCATIONS} | {MADE: TARGETED, MANY: RANDOM}
    return {
        name: [
            ExperimentContext(
                experiment=f"bench.{_ALLOCATIONS[kind]['type']}",
                user_id=f"user-{i}",
                organization_id=f"org-{i % 97}",
                attributes={"segment": "vip" if i % 2 else "new"},
            )
            for i in range(_CONTEXTS)
        ]
        for name, kind in like.items()
    }


async def _calls(
    evaluator: ExperimentEvaluator, contexts: dict[str, list[ExperimentContext]], name: str
) -> tuple[float, float]:
    """Wall and CPU seconds of a round's calls."""
    choose = evaluator.choose_variant
    asking = contexts[name]
    wall, cpu = time.perf_counter(), time.process_time()
    if name == MANY:
        for start in range(0, _ROUND_CALLS, 1_000):
            begin = start % _CONTEXTS
            await evaluator.choose_variants(asking[begin : begin + 1_000])
    elif name == MADE:
        for _ in range(_ROUND_CALLS // _CONTEXTS):
            for known in asking:
                await choose(
                    ExperimentContext(
                        experiment=known.experiment,
                        user_id=known.user_id,
                        organization_id=known.organization_id,
                        attributes=known.attributes,
                    )
                )
    else:
        for _ in range(_ROUND_CALLS // _CONTEXTS):
            for context in asking:
                await choose(context)
    return time.perf_counter() - wall, time.process_time() - cpu
