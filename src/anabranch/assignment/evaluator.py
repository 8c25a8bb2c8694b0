"""Chooses variants: finds the spec, asks the policies, counts what could not be decided."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Mapping
from inspect import isawaitable
from typing import Any, Final

from anabranch.assignment.context import ExperimentContext
from anabranch.assignment.evaluation import Evaluation
from anabranch.assignment.plan import Moment, Plan, Undecided, Verdict
from anabranch.errors import EventSchemaError, SpecReferenceError, SpecValidationError
from anabranch.specs import ExperimentRegistry, ExperimentSpec, PolicyRef, Status
from anabranch.specs.applications import NO_APPLICATIONS, Applications

__all__ = ["ExperimentEvaluator", "PolicyChecker"]

PolicyChecker = Callable[[PolicyRef, ExperimentContext], bool | Awaitable[bool]]
"""Whether a targeting rule's policy lets the context in; ``PolicyEngine.allows_targeting`` is
one."""

_MOST_PLANS: Final = 4096


async def _wait(answer: Awaitable[bool]) -> bool:
    return await answer


class ExperimentEvaluator:
    """Chooses the variant of an experiment for a context.

    Policies fail closed: without a checker, when it raises (a timeout included) and when it answers
    anything but True or False, its rule does not match.

    Args:
        registry: The experiments; those registered later are found too.
        policy_checker: Asked for targeting rules that name a policy.
        wait_for: How a checker's awaitable is awaited; ``functools.partial(asyncio.wait_for,
            timeout=1.0)`` bounds it. As long as it takes when not given.
        clock: What time it is, for experiments with a schedule, where no ``now`` is given.
        plans: Of an evaluator over earlier specs: what has not changed is not compiled again.
        applications: What the applications' configurations pause; ``catalog.applications()``.

    Attributes:
        undecided: How often each policy could not be decided, by its key.
        expression_errors: How often a rule's expression raised, by the experiment's key.
    """

    def __init__(
        self,
        registry: ExperimentRegistry,
        policy_checker: PolicyChecker | None = None,
        *,
        wait_for: Callable[[Awaitable[bool]], Awaitable[bool]] = _wait,
        clock: Callable[[], Moment] | None = None,
        plans: Mapping[str, Plan] | None = None,
        applications: Applications = NO_APPLICATIONS,
    ) -> None:
        self.registry = registry
        self.undecided: Counter[str] = Counter()
        self.expression_errors: Counter[str] = Counter()
        self._checker = policy_checker
        self._wait_for = wait_for
        self._clock = clock
        self._applications = applications
        self._plans: dict[str, Plan] = dict(plans or {})
        self._current_plans: dict[str | None, Plan] = {}
        self._revision = registry.revision

    @property
    def plans(self) -> Mapping[str, Plan]:
        """What was compiled so far, by content digest."""
        return self._plans

    async def choose_variant(
        self, context: ExperimentContext | Mapping[str, Any], now: Moment | None = None
    ) -> Evaluation | None:
        """The variant of the experiment that the context names.

        Without a version the current one is meant: the latest that is no draft. A draft or a
        retired one is evaluated only where its version is named, and then gives control.

        Args:
            context: Who asks, as an object or as the mapping that is on the wire.
            now: When, for experiments with a schedule.

        Returns:
            None for an unknown experiment or version.

        Raises:
            EventSchemaError: the context names no experiment, or a field is of the wrong type.
            SpecValidationError: an expression of the experiment is wrong.
        """
        if not isinstance(context, ExperimentContext):
            context = ExperimentContext.from_mapping(context)
        if now is None and self._clock is not None:
            now = self._clock()
        plan = None
        if context.version is None and self.registry.revision == self._revision:
            plan = self._current_plans.get(context.experiment)
        if plan is None:
            plan = self._look_up(context)
            if plan is None:
                return None
        if plan.needs_policy:
            return await self._deliberated(plan, context, now)
        found = plan.evaluate(context, now)
        return self._counted(found) if found.undecided or found.expression_errors else found

    async def choose_variants(
        self,
        contexts: Iterable[ExperimentContext | Mapping[str, Any]],
        now: Moment | None = None,
    ) -> list[Evaluation | None]:
        """As :meth:`choose_variant` for each, in order; policies are asked one after another."""
        chosen: list[Evaluation | None] = []
        plans = self._renewed()
        for context in contexts:
            if isinstance(context, ExperimentContext) and context.version is None:
                plan = plans.get(context.experiment)
                if plan is not None and not plan.needs_policy and self._clock is None:
                    found = plan.evaluate(context, now)
                    if found.undecided or found.expression_errors:
                        self._counted(found)
                    chosen.append(found)
                    continue
            chosen.append(await self.choose_variant(context, now))
            plans = self._renewed()
        return chosen

    async def evaluate(
        self, plan: Plan, context: ExperimentContext, now: Moment | None = None
    ) -> Evaluation:
        """Evaluate one plan, whatever experiment the context names.

        Nothing is awaited where no policy has to be asked.
        """
        if now is None and self._clock is not None:
            now = self._clock()
        if not plan.needs_policy:
            return self._counted(plan.evaluate(context, now))
        return await self._deliberated(plan, context, now)

    async def _deliberated(
        self, plan: Plan, context: ExperimentContext, now: Moment | None
    ) -> Evaluation:
        deliberation = plan.deliberate(context, now)
        try:
            question = next(deliberation)
            while True:
                question = deliberation.send(await self._ask(*question))
        except StopIteration as done:
            found: Evaluation = done.value
        return self._counted(found)

    def plan(self, spec: ExperimentSpec) -> Plan:
        """The compiled spec, compiled once per content digest and plans of its prerequisites.

        Raises:
            SpecValidationError: an expression is wrong.
            SpecReferenceError: its prerequisites lead back to itself.
        """
        if spec.prerequisites:
            return self._linked(spec, ())
        found = self._plans.get(spec.digest)
        if found is not None and found.paused == self._applications.pauses(spec):
            return found
        return self._compiled(spec, ())

    def _linked(self, spec: ExperimentSpec, path: tuple[str, ...]) -> Plan:
        """The plan with those of its prerequisites, as the registry has them now."""
        if spec.key in path:
            cycle = " > ".join((*path[path.index(spec.key) :], spec.key))
            raise SpecReferenceError(
                f"Experiment {spec.meta.label}: prerequisites lead in a circle, {cycle}: take one "
                "away"
            )
        path = (*path, spec.key)
        wanted = [self._current(one.experiment, one.version) for one in spec.prerequisites]
        plans = tuple(None if one is None else self._linked(one, path) for one in wanted)
        found = self._plans.get(spec.digest)
        if (
            found is not None
            and found.prerequisites == plans
            and found.paused == self._applications.pauses(spec)
        ):
            return found
        return self._compiled(spec, plans)

    def _compiled(self, spec: ExperimentSpec, prerequisites: tuple[Plan | None, ...]) -> Plan:
        try:
            plan = Plan(spec, prerequisites, paused=self._applications.pauses(spec))
        except SpecValidationError as error:
            raise SpecValidationError(f"Experiment {spec.meta.label}: {error}") from error
        if len(self._plans) >= _MOST_PLANS:  # superseded specs, after many reloads
            self._plans.clear()
        self._plans[spec.digest] = plan
        return plan

    def _renewed(self) -> dict[str | None, Plan]:
        """Plans of current versions, as far as they were asked for since the last registration."""
        if self.registry.revision != self._revision:
            self._revision = self.registry.revision
            self._current_plans.clear()
        return self._current_plans

    def _look_up(self, context: ExperimentContext) -> Plan | None:
        key = context.experiment
        if key is None:
            raise EventSchemaError("context: experiment is missing: name the one to choose for")
        spec = self._current(key, context.version)
        if spec is None:
            return None
        plan = self.plan(spec)
        if context.version is None:
            self._renewed()[key] = plan
        return plan

    def _current(self, key: str, version: str | int | None) -> ExperimentSpec | None:
        """The version, else the latest that is no draft and not retired."""
        spec = self.registry.get(key, version)
        if spec is None or version is not None:
            return spec
        if spec.status is Status.DRAFT:
            versions = reversed(self.registry.versions(key))
            spec = next((one for one in versions if one.status is not Status.DRAFT), None)
        return None if spec is None or spec.status is Status.RETIRED else spec

    async def _ask(self, ref: PolicyRef, context: ExperimentContext) -> Verdict:
        if self._checker is None:
            return Undecided("there is no policy checker")
        try:
            answer = self._checker(ref, context)
            if isawaitable(answer):
                answer = await self._wait_for(answer)
        except TimeoutError:
            return Undecided("the policy checker took too long")
        except Exception as error:  # noqa: BLE001 - told and counted: a checker's failure denies
            return Undecided(f"the policy checker raised {type(error).__name__}: {error}")
        if answer is True or answer is False:
            return answer
        return Undecided(f"the policy checker answered {answer!r}, neither True nor False")

    def _counted(self, evaluation: Evaluation) -> Evaluation:
        if evaluation.undecided:
            self.undecided.update(evaluation.undecided)
        if evaluation.expression_errors:
            self.expression_errors[evaluation.experiment] += evaluation.expression_errors
        return evaluation
