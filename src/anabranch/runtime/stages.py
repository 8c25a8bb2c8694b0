"""The stages with their processors, from specs and settings."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from anabranch.assignment import ExperimentEvaluator, PolicyChecker, PolicyEngine
from anabranch.engine import Stage, TaskSettings
from anabranch.engine.breaker import BreakerSettings
from anabranch.events.cloudevents import Limits
from anabranch.metrics.ledger import LedgerSettings
from anabranch.metrics.windows import WindowSettings
from anabranch.processors.aggregate import AggregateProcessor
from anabranch.processors.assign import AssignProcessor
from anabranch.processors.attribute import AttributeProcessor
from anabranch.processors.gate import GateProcessor
from anabranch.processors.protocol import Processor
from anabranch.settings import Settings
from anabranch.specs import Catalog
from anabranch.topology import STAGES, StageShape, make_stage

_POLICY_TIMEOUT = 1.0
"""Seconds a policy checker may take; after that its rule does not match."""


def build_stages(
    catalog: Catalog,
    settings: Settings,
    shapes: Sequence[StageShape] = STAGES,
    *,
    policy_checker: PolicyChecker | None = None,
) -> list[Stage]:
    """Stages ready to run.

    Args:
        catalog: The specs, checked.
        settings: Limits, windows, retention.
        shapes: Which stages; all when not given.
        policy_checker: Decides the policies of targeting rules; the catalog's own PolicySpecs do
            when not given.
    """
    makers = _makers(catalog, settings, policy_checker)
    return [
        make_stage(
            shape,
            makers[shape.name],
            linger_ms=round(settings.results_linger * 1000),
            cache_size=settings.exposure_cache,
        )
        for shape in shapes
    ]


def task_settings(settings: Settings) -> TaskSettings:
    """How patiently tasks work."""
    return TaskSettings(
        breaker=BreakerSettings(share=settings.breaker_share, pause=settings.breaker_pause)
    )


def _makers(
    catalog: Catalog, settings: Settings, policy_checker: PolicyChecker | None
) -> dict[str, Callable[[], Processor]]:
    limits = Limits(settings.max_event_bytes, round(settings.future_tolerance * 1000))
    windows = WindowSettings(
        sizes_ms=tuple(round(size * 1000) for size in settings.window_sizes),
        lateness_ms=round(settings.allowed_lateness * 1000),
        retention_ms=round(settings.window_retention * 1000),
    )
    ledger = LedgerSettings(horizon_ms=round(settings.observation_dedupe * 1000))
    checker = policy_checker or PolicyEngine(catalog.policies).allows_targeting
    evaluator = ExperimentEvaluator(
        catalog.experiments,
        checker,
        wait_for=partial(asyncio.wait_for, timeout=_POLICY_TIMEOUT),
    )
    return {
        "assign": lambda: AssignProcessor(
            catalog,
            evaluator,
            limits=limits,
            dedupe_ms=round(settings.exposure_dedupe * 1000),
        ),
        "gate": lambda: GateProcessor(catalog, limits=limits),
        "attribute": lambda: AttributeProcessor(
            catalog, windows=windows, ledger=ledger, limits=limits
        ),
        "aggregate": lambda: AggregateProcessor(catalog, windows=windows),
    }
