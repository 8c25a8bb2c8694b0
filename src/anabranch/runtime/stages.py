"""The stages with their processors, from specs and settings."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from functools import partial

from anabranch.assignment import ExperimentEvaluator, PolicyChecker, PolicyEngine
from anabranch.engine import Stage, TaskSettings
from anabranch.engine.breaker import BreakerSettings
from anabranch.engine.disk import DiskStore
from anabranch.engine.store import Store
from anabranch.engine.tracing import NO_SPANS, Spans
from anabranch.events.cloudevents import Limits
from anabranch.metrics.ledger import LedgerSettings
from anabranch.metrics.retention import RetentionSettings
from anabranch.metrics.windows import WindowSettings
from anabranch.processors.aggregate import AggregateProcessor
from anabranch.processors.assign import AssignProcessor
from anabranch.processors.attribute import AttributeProcessor
from anabranch.processors.gate import GateProcessor
from anabranch.processors.protocol import Processor
from anabranch.runtime.specs import LiveCatalog
from anabranch.settings import Settings
from anabranch.specs import Catalog
from anabranch.topology import STAGES, Names, StageShape, make_stage

_POLICY_TIMEOUT = 1.0
"""Seconds a policy checker may take; after that its rule does not match."""


def build_stages(
    specs: Catalog | LiveCatalog,
    settings: Settings,
    shapes: Sequence[StageShape] = STAGES,
    *,
    policy_checker: PolicyChecker | None = None,
    spans: Spans = NO_SPANS,
) -> list[Stage]:
    """Stages ready to run.

    Args:
        specs: Checked; a live catalog's stages follow it once their worker is told to renew.
        settings: Limits, windows, retention.
        shapes: Which stages; all when not given.
        policy_checker: Decides the policies of targeting rules; the catalog's own PolicySpecs do
            when not given.
        spans: Told of every batch.
    """
    live = specs if isinstance(specs, LiveCatalog) else LiveCatalog(specs)
    makers = _makers(live, settings, policy_checker)
    return [
        make_stage(
            shape,
            makers[shape.name],
            linger_ms=round(settings.results_linger * 1000),
            cache_size=settings.exposure_cache,
            catch_up=live.catch_up if live is specs else None,
            make_store=_store_maker(shape, settings),
            spans=spans,
        )
        for shape in shapes
    ]


def _store_maker(shape: StageShape, settings: Settings) -> Callable[[int], Store] | None:
    """Files of their own for each cluster, group and partition; None for state in memory.

    The embedded log is gone with its process, so state that outlives it would belong to nothing.
    """
    if settings.state_dir is None or settings.bootstrap is None or shape.changelog is None:
        return None
    cluster = re.sub(r"[^A-Za-z0-9.-]+", "_", settings.bootstrap)[:80]
    folder = settings.state_dir / cluster / Names(settings.prefix).group(shape.name)
    return lambda partition: DiskStore(folder / f"{partition}.sqlite3")


def task_settings(settings: Settings) -> TaskSettings:
    """How patiently tasks work."""
    return TaskSettings(
        breaker=BreakerSettings(share=settings.breaker_share, pause=settings.breaker_pause)
    )


def _makers(
    live: LiveCatalog, settings: Settings, policy_checker: PolicyChecker | None
) -> dict[str, Callable[[], Processor]]:
    limits = Limits(settings.max_event_bytes, round(settings.future_tolerance * 1000))
    windows = WindowSettings(
        sizes_ms=tuple(round(size * 1000) for size in settings.window_sizes),
        lateness_ms=round(settings.allowed_lateness * 1000),
        retention_ms=round(settings.window_retention * 1000),
        time_zone=settings.window_time_zone,
    )
    retention = RetentionSettings(
        units_ms=round(settings.unit_retention * 1000),
        grace_ms=round(settings.catch_up_grace * 1000),
    )
    ledger = LedgerSettings(horizon_ms=round(settings.observation_dedupe * 1000))
    evaluators = Evaluators(policy_checker)
    return {
        "assign": lambda: AssignProcessor(
            live.catalog,
            evaluators.of(live.catalog),
            limits=limits,
            dedupe_ms=round(settings.exposure_dedupe * 1000),
            keep_ms=round(settings.unit_retention * 1000),
        ),
        "gate": lambda: GateProcessor(live.catalog, limits=limits),
        "attribute": lambda: AttributeProcessor(
            live.catalog, windows=windows, ledger=ledger, limits=limits, retention=retention
        ),
        "aggregate": lambda: AggregateProcessor(live.catalog, windows=windows),
    }


class Evaluators:
    """One evaluator a catalog, so that all partitions share its compiled plans."""

    def __init__(self, policy_checker: PolicyChecker | None) -> None:
        self._checker = policy_checker
        self._latest: tuple[Catalog, ExperimentEvaluator] | None = None

    def of(self, catalog: Catalog) -> ExperimentEvaluator:
        if self._latest is None or self._latest[0] is not catalog:
            checker = self._checker or PolicyEngine(catalog.policies).allows_targeting
            evaluator = ExperimentEvaluator(
                catalog.experiments,
                checker,
                wait_for=partial(asyncio.wait_for, timeout=_POLICY_TIMEOUT),
                plans=None if self._latest is None else self._latest[1].plans,
                applications=catalog.applications(),
            )
            self._latest = catalog, evaluator
        return self._latest[1]
