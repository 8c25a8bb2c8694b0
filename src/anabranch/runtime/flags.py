"""Flags of the specs that hold now, whatever changes underneath."""

from __future__ import annotations

from collections.abc import Iterator

from anabranch.assignment import (
    Evaluation,
    ExperimentContext,
    MemoryAssignmentStore,
    PolicyChecker,
    StickyEvaluator,
)
from anabranch.runtime.specs import LiveCatalog
from anabranch.runtime.stages import Evaluators
from anabranch.specs import ExperimentSpec

__all__ = ["LiveFlags"]


class LiveFlags:
    """Evaluates by the specs that hold at the moment.

    Variants of experiments that say ``keep`` are remembered in this process, as long as it lives.

    Args:
        live: The specs.
        policy_checker: Decides policies of targeting rules; the catalog's own PolicySpecs do when
            not given.
    """

    def __init__(self, live: LiveCatalog, policy_checker: PolicyChecker | None = None) -> None:
        self._live = live
        self._evaluators = Evaluators(policy_checker)
        self._store = MemoryAssignmentStore()
        self._renew()
        live.on_change(self._renew)

    def _renew(self) -> None:
        catalog = self._live.catalog
        evaluator = self._evaluators.of(catalog)
        self._sticky = StickyEvaluator(evaluator, self._store, keep=None)
        self._evaluated = {spec.key: spec for spec in catalog.evaluated()}

    def keys(self) -> Iterator[str]:
        """Of the running and the paused, in the order of the specs."""
        return iter(self._evaluated)

    def find(self, key: str) -> ExperimentSpec | None:
        """The version of an experiment that holds; completed and retired ones are no flags."""
        return self._evaluated.get(key)

    async def evaluate(
        self, spec: ExperimentSpec, context: ExperimentContext, now: int
    ) -> Evaluation:
        """The evaluation of a spec that :meth:`find` gave.

        Args:
            spec: Which.
            context: Who asks; it names the experiment.
            now: Milliseconds since the epoch.
        """
        evaluator = self._sticky.evaluator
        if spec.keep is None:
            return await evaluator.evaluate(evaluator.plan(spec), context, now)
        context = context.asking_for(spec.key, spec.version)
        found = await self._sticky.choose_variant(context, now)
        return found or await evaluator.evaluate(evaluator.plan(spec), context, now)
