"""Why a unit has its variant: every step of an evaluation, with what it looked at.

The variant, reason and everything else that counts is the plan's own evaluation. The steps are
told beside it, from the same compiled parts; tests hold that they always agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from anabranch.assignment.compiled import Moment, Rule, milliseconds
from anabranch.assignment.context import ExperimentContext, unit_of
from anabranch.assignment.evaluation import Evaluation
from anabranch.assignment.evaluator import ExperimentEvaluator
from anabranch.assignment.expressions import Read, reads
from anabranch.assignment.hashing import Place
from anabranch.assignment.plan import NOT_ASKED, Plan, Undecided, Verdict, unmet
from anabranch.assignment.policy import PolicyEngine
from anabranch.errors import AnabranchError, ExpressionError
from anabranch.specs import Catalog, ExperimentSpec, Keep, PolicyRef
from anabranch.specs.base import canonical

__all__ = ["Asker", "Explanation", "RuleStep", "SplitStep", "Step", "explain", "explain_in"]

Asker = Callable[[PolicyRef, ExperimentContext], bool]
"""Decides a policy; whatever AnabranchError it raises leaves the policy undecided."""

Outcome = Literal["passed", "stopped", "forced", "not reached"]
RuleOutcome = Literal["matched", "no match", "raised", "undecided", "not reached"]


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that had to let the unit in.

    Attributes:
        name: The field it comes from: ``status``, ``unit``, ``forced``, ``schedule``,
            ``holdout[0]``, ``layer``, ``coverage``, ``exclude``, ``prerequisites[0]``.
        outcome: ``stopped`` by the first of them that is, the unit gets control.
        why: In words.
        facts: What it looked at.
        place: Where the unit's draw fell, where there is one.
        prerequisite: The prerequisite's own explanation.
    """

    name: str
    outcome: Outcome
    why: str
    facts: Mapping[str, Any] = field(default_factory=dict)
    place: Place | None = None
    prerequisite: Explanation | None = None


@dataclass(frozen=True, slots=True)
class RuleStep:
    """One targeting rule.

    Attributes:
        reads: Paths of its expression with the values they had.
        place: Where the unit's draw for the percentage fell.
        verdict: What the policy said; None where it was not asked.
    """

    name: str
    outcome: RuleOutcome
    why: str
    variant: str
    expression: str | None = None
    reads: tuple[Read, ...] = ()
    place: Place | None = None
    policy: str | None = None
    verdict: str | None = None


@dataclass(frozen=True, slots=True)
class SplitStep:
    """The split by weight: what was hashed, what it came to, and each variant's range."""

    place: Place
    algorithm: str
    ranges: tuple[tuple[str, int, int], ...]
    """Variant, first place, first place after it."""
    variant: str


@dataclass(frozen=True, slots=True)
class Explanation:
    """One evaluation, step by step.

    Attributes:
        evaluation: What the evaluator gives for the same context, time and verdicts.
        steps: In the order in which they decide.
        rules: Of a targeted allocation; not reached where a step stopped the unit.
        split: Where the split decided.
        keep: By what the experiment's variants are kept: what a store remembers of an enrolled
            unit holds instead of this. None where nothing is kept.
    """

    evaluation: Evaluation
    context: Mapping[str, Any]
    now: str | None
    steps: tuple[Step, ...]
    rules: tuple[RuleStep, ...]
    split: SplitStep | None
    keep: Keep | None = None

    @property
    def decided_by(self) -> str:
        """The step or rule that decided, else ``split`` or ``fallback``."""
        for step in self.steps:
            if step.outcome == "forced":
                return step.name
        for step in self.steps:
            if step.outcome == "stopped":
                return step.name
        for rule in self.rules:
            if rule.outcome == "matched":
                return rule.name
        return "fallback" if self.split is None else "split"

    def as_dict(self) -> dict[str, Any]:
        """Everything as JSON has it, in camelCase."""
        found = self.evaluation
        return {
            "experiment": found.experiment,
            "version": found.version,
            "digest": found.digest,
            "context": self.context,
            "now": self.now,
            "unit": found.unit,
            "steps": [_step_dict(step) for step in self.steps],
            "rules": [_dict(rule) for rule in self.rules],
            "split": None if self.split is None else _dict(self.split),
            "decidedBy": self.decided_by,
            "keep": self.keep,
            "variant": found.variant.id,
            "reason": found.reason,
            "enrolled": found.enrolled,
            "detail": list(found.detail),
            "overrides": [canonical(override) for override in found.variant.overrides],
        }


def explain(
    plan: Plan, context: ExperimentContext, now: Moment | None = None, ask: Asker | None = None
) -> Explanation:
    """Explain what the plan gives a context.

    Args:
        plan: With the plans of its prerequisites.
        context: Who asks.
        now: When, for schedules and ramps.
        ask: Decides policies; without it none is decided, and their rules do not match.
    """
    return _Explainer(ask, now).explain(plan, context)


def explain_in(
    catalog: Catalog, spec: ExperimentSpec, context: ExperimentContext, now: Moment | None = None
) -> Explanation:
    """Explain what an experiment gives a context, by a catalog's layers, holdouts and policies.

    Args:
        catalog: What holds.
        spec: An experiment of it.
        context: Who asks.
        now: When, for schedules and ramps.
    """
    evaluator = ExperimentEvaluator(catalog.experiments, applications=catalog.applications())
    ask = PolicyEngine(catalog.policies).allows_targeting
    return explain(evaluator.plan(spec), context, now, ask)


class _Explainer:
    """One explanation: every policy is asked at most once about one experiment."""

    def __init__(self, ask: Asker | None, now: Moment | None) -> None:
        self._ask = ask
        self._now = now
        self._verdicts: dict[tuple[str, str | None], Verdict] = {}

    def explain(self, plan: Plan, context: ExperimentContext) -> Explanation:
        evaluation = self._evaluate(plan, context)
        unit = unit_of(plan.spec.unit, context)
        steps = [*_before_draws(plan, context, unit, self._now), *self._draws(plan, unit)]
        open_ = all(step.outcome == "passed" for step in steps)
        if plan.exclude is not None:
            steps.append(_exclusion(plan, context, open_=open_))
            open_ = steps[-1].outcome != "stopped" and open_
        for i, (needed, first) in enumerate(
            zip(plan.spec.prerequisites, plan.prerequisites, strict=True)
        ):
            step = self._prerequisite(f"prerequisites[{i}]", needed, first, context, open_)
            steps.append(step)
            open_ = step.outcome == "passed"
        rules = self._rules(plan, context, unit) if open_ and unit is not None else ()
        if not rules:
            rules = tuple(_unreached(rule) for rule in plan.rules)
        split = None
        matched = any(rule.outcome == "matched" for rule in rules)
        if open_ and unit is not None and not matched and plan.splits:
            split = _split(plan, unit)
        return Explanation(
            evaluation,
            context.asking_for(plan.key, context.version).mapping,
            None if self._now is None else _instant(self._now),
            tuple(steps),
            rules,
            split,
            plan.spec.keep,
        )

    def _evaluate(self, plan: Plan, context: ExperimentContext) -> Evaluation:
        deliberation = plan.deliberate(context, self._now)
        try:
            ref, about = next(deliberation)
            while True:
                ref, about = deliberation.send(self._verdict(ref, about))
        except StopIteration as done:
            found: Evaluation = done.value
            return found

    def _verdict(self, ref: PolicyRef, about: ExperimentContext) -> Verdict:
        name = ref.label, about.experiment
        if name not in self._verdicts:
            if self._ask is None:
                self._verdicts[name] = NOT_ASKED
            else:
                try:
                    self._verdicts[name] = self._ask(ref, about)
                except AnabranchError as error:
                    self._verdicts[name] = Undecided(f"{type(error).__name__}: {error}")
        return self._verdicts[name]

    def _draws(self, plan: Plan, unit: str | None) -> list[Step]:
        if unit is None:
            return []
        found = []
        for gate in plan.gates:
            inside = gate.draw.inside(unit)
            found.append(
                Step(
                    gate.label,
                    "passed" if inside else "stopped",
                    "inside" if inside else gate.why,
                    place=gate.draw.show(unit),
                )
            )
        coverage = plan.coverage
        if coverage is None:
            return [*found, Step("coverage", "passed", "everybody is covered", {"share": 1})]
        step = coverage.step(self._now)
        why = coverage.outside(unit, self._now)
        draw = None if step is None else coverage.draws[step]
        facts = {} if step is None else {"share": coverage.shares[step]}
        return [
            *found,
            Step(
                "coverage",
                "passed" if why is None else "stopped",
                why or "covered",
                facts,
                None if draw is None else draw.show(unit),
            ),
        ]

    def _prerequisite(
        self, name: str, needed: Any, plan: Plan | None, context: ExperimentContext, open_: bool
    ) -> Step:
        facts = canonical(needed)
        if not open_:
            return Step(name, "not reached", "something before it stopped the unit", facts)
        nested = None
        if plan is not None:
            nested = self.explain(plan, context.asking_for(plan.key, plan.version))
        why = unmet(needed, None if nested is None else nested.evaluation)
        return Step(
            name,
            "passed" if why is None else "stopped",
            why or "holds",
            facts,
            prerequisite=nested,
        )

    def _rules(self, plan: Plan, context: ExperimentContext, unit: str) -> tuple[RuleStep, ...]:
        context = context.asking_for(plan.key, context.version)
        found: list[RuleStep] = []
        for i, rule in enumerate(plan.rules):
            found.append(self._rule(rule, context, unit))
            if found[-1].outcome == "matched":
                found += [_unreached(after) for after in plan.rules[i + 1 :]]
                break
        return tuple(found)

    def _rule(self, rule: Rule, context: ExperimentContext, unit: str) -> RuleStep:
        seen = () if rule.expression is None else reads(rule.expression, context.mapping)
        place = None if rule.percentage is None else rule.percentage.show(unit)

        def step(outcome: RuleOutcome, why: str, verdict: str | None = None) -> RuleStep:
            return RuleStep(
                rule.label,
                outcome,
                why,
                rule.variant.id,
                None if rule.expression is None else rule.expression.source,
                seen,
                place,
                None if rule.policy is None else rule.policy.label,
                verdict,
            )

        if rule.expression is not None:
            try:
                if not rule.expression.test(context.mapping):
                    return step("no match", "the expression is false")
            except ExpressionError as error:
                return step("raised", f"the expression raised: {error.message}")
        if rule.percentage is not None and not rule.percentage.inside(unit):
            return step("no match", "outside the percentage")
        if rule.policy is None:
            return step("matched", "everything it asks for holds")
        verdict = self._verdict(rule.policy, context)
        if isinstance(verdict, Undecided):
            return step("undecided", f"the policy could not be decided: {verdict.why}", "undecided")
        if verdict is not True:
            return step("no match", "the policy denies it", "deny")
        return step("matched", "everything it asks for holds", "allow")


def _before_draws(
    plan: Plan, context: ExperimentContext, unit: str | None, now: Moment | None
) -> list[Step]:
    spec = plan.spec
    forced = None if unit is None else plan.forced.get(unit)
    steps = [
        Step(
            "status",
            "passed" if plan.enrols else "stopped",
            plan.standing,
            {"status": str(spec.status)},
        ),
        Step(
            "unit",
            "stopped" if unit is None else "passed",
            f"the unit is {unit}" if unit else f"the context has no {' nor '.join(spec.unit)}",
            {
                "identities": {name: context.mapping.get(name) for name in spec.unit},
                "unit": unit,
            },
        ),
        Step(
            "forced",
            "forced" if forced else "passed",
            f"forced to {forced!r}, and not counted" if forced else "not forced",
            {"variant": forced},
        ),
    ]
    why = plan.outside_schedule(now)
    schedule = {} if spec.schedule is None else canonical(spec.schedule)
    inside = "always" if spec.schedule is None else "inside"
    return [*steps, Step("schedule", "stopped" if why else "passed", why or inside, schedule)]


def _exclusion(plan: Plan, context: ExperimentContext, *, open_: bool) -> Step:
    if not open_:
        return Step("exclude", "not reached", "something before it stopped the unit")
    why = plan.excludes(context.asking_for(plan.key, context.version).mapping)
    if isinstance(why, ExpressionError):
        return Step("exclude", "passed", f"leaves nobody out, it raised: {why}")
    return Step(
        "exclude", "passed" if why is None else "stopped", why or "the expression does not match"
    )


def _unreached(rule: Rule) -> RuleStep:
    return RuleStep(
        rule.label,
        "not reached",
        "something before it decided",
        rule.variant.id,
        None if rule.expression is None else rule.expression.source,
        policy=None if rule.policy is None else rule.policy.label,
    )


def _split(plan: Plan, unit: str) -> SplitStep:
    place = plan.show_split(unit)
    names = [variant.id for variant in plan.spec.variants]
    ranges = tuple((name, *ends) for name, ends in zip(names, place.ranges, strict=True))
    chosen = next(name for name, low, high in ranges if low <= place.place < high)
    return SplitStep(place, plan.spec.allocation.hash, ranges, chosen)


def _instant(moment: Moment) -> str:
    when = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds(moment))
    return when.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _step_dict(step: Step) -> dict[str, Any]:
    found = {"name": step.name, "outcome": step.outcome, "why": step.why, "facts": step.facts}
    if step.place is not None:
        found["place"] = asdict(step.place)
    if step.prerequisite is not None:
        found["prerequisite"] = step.prerequisite.as_dict()
    return found


def _dict(part: RuleStep | SplitStep) -> dict[str, Any]:
    return asdict(part)
