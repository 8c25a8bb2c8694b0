"""A spec compiled for evaluation: everything that does not depend on the context is done once.

In this order, the first that applies decides:

1. status: only a running experiment enrols, and a draft that is asked for by name may force;
2. unit: without one of the identities nobody is enrolled;
3. forced: a unit forced to a variant gets it, and does not count;
4. schedule; 5. holdouts; 6. layer; 7. coverage; 8. exclusion; 9. prerequisites: outside any of
   them, control;
10. allocation: rules in order, each by expression, percentage and policy, then the fallback; or
   the split.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from mmh3 import mmh3_32_uintdigest

from anabranch.assignment.compat import foreign_split
from anabranch.assignment.compiled import (
    Moment,
    Rule,
    bounds,
    compile_coverage,
    compile_exclude,
    compile_gates,
    compile_rules,
    default_salt,
    milliseconds,
)
from anabranch.assignment.context import IDENTITIES, ExperimentContext, Identified
from anabranch.assignment.evaluation import Evaluation, Reason
from anabranch.assignment.expressions import RAISED, Run, truthy
from anabranch.assignment.hashing import SPACE, Draw, Place, bucket, cumulative
from anabranch.errors import ExpressionError
from anabranch.specs import (
    ExperimentSpec,
    PolicyRef,
    Prerequisite,
    Status,
    TargetedAllocation,
    Variant,
)

__all__ = ["NOT_ASKED", "Moment", "Plan", "Question", "Undecided", "Verdict", "unmet"]


@dataclass(frozen=True, slots=True)
class Undecided:
    """A policy that could not be decided, and why; its rule does not match."""

    why: str


Verdict = bool | Undecided

Question = tuple[PolicyRef, ExperimentContext]
"""A policy to ask, and the context it is about, which names the experiment."""

NOT_ASKED: Final = Undecided("nobody to ask: it was evaluated without a policy checker")
"""The verdict of nobody."""


class Plan:
    """A compiled experiment.

    Args:
        spec: The experiment.
        prerequisites: The plans of the spec's prerequisites, in their order; None, and one that
            is left out, stands for an experiment that is not there, so nobody is enrolled.
        paused: Why nobody is enrolled, whatever the spec's status: an application's configuration
            has it paused.

    Attributes:
        needs_policy: Whether some policy may have to be asked, a prerequisite's included.
        reads_more: Whether rules, prerequisites or an exclusion may look at more than the
            identities.

    Raises:
        SpecValidationError: an expression is wrong; the message has its path, line and column.
    """

    __slots__ = (
        "_asks_nobody",
        "_fallback_reason",
        "_identities",
        "_open",
        "_plain",
        "_prefix",
        "_salt",
        "_splits_plainly",
        "_steps",
        "_sums",
        "_variants",
        "coverage",
        "digest",
        "enrols",
        "exclude",
        "forced",
        "gates",
        "key",
        "needs_policy",
        "paused",
        "prerequisites",
        "reads_more",
        "rules",
        "schedule",
        "spec",
        "split",
        "version",
    )

    def __init__(
        self,
        spec: ExperimentSpec,
        prerequisites: Sequence[Plan | None] = (),
        *,
        paused: str | None = None,
    ) -> None:
        self.spec = spec
        self.paused = paused
        self.key = spec.key
        self.version = spec.version
        self.digest = spec.digest
        allocation = spec.allocation
        self._salt = default_salt(spec)
        self._prefix = self._salt + ":"
        self._identities = tuple(IDENTITIES[identity] for identity in spec.unit)
        self._variants = spec.variants
        self._sums = cumulative(variant.weight for variant in spec.variants)
        self.enrols = spec.status is Status.RUNNING and paused is None
        may_force = self.enrols or spec.status is Status.DRAFT
        self.forced = dict(spec.forced) if may_force else {}
        self.schedule = bounds(spec.schedule)
        self.gates = compile_gates(spec)
        self.coverage = compile_coverage(spec)
        missing = len(spec.prerequisites) - len(prerequisites)
        self.prerequisites: tuple[Plan | None, ...] = (*prerequisites, *[None] * missing)
        self.rules = compile_rules(spec)
        self._steps = tuple(map(_step, self.rules))
        self.exclude = compile_exclude(spec)
        self.reads_more = bool(self.rules or self.prerequisites or self.exclude is not None)
        self._open = self.enrols and not (
            self.forced or self.schedule or self.gates or self.coverage
        )
        self.split = foreign_split(spec)
        self._fallback_reason: Reason = "sticky" if allocation.type == "sticky" else "random"
        if isinstance(allocation, TargetedAllocation) and allocation.fallback == "control":
            self._fallback_reason = "control"
        self._splits_plainly = self.split is None and self._fallback_reason != "control"
        self._plain = self._open and not self.reads_more and self._splits_plainly
        self.needs_policy: bool = any(rule.policy is not None for rule in self.rules) or any(
            plan is not None and plan.needs_policy for plan in self.prerequisites
        )
        self._asks_nobody = not (self.needs_policy or self.prerequisites or self.exclude)

    def evaluate(self, context: ExperimentContext, now: Moment | None = None) -> Evaluation:
        """The variant for the context, at once; rules that ask a policy do not match.

        Where the plan :attr:`needs_policy`, :meth:`deliberate` asks, and an evaluator answers.

        Args:
            context: Who asks.
            now: When, for experiments with a schedule; without it those enrol nobody.
        """
        if not self.reads_more:
            return self.allocate(context, now)
        if self._asks_nobody:
            return self._by_rules(context, now)
        deliberation = self.deliberate(context, now)
        try:
            next(deliberation)
            while True:
                deliberation.send(NOT_ASKED)
        except StopIteration as done:
            found: Evaluation = done.value
            return found

    def allocate(self, who: Identified, now: Moment | None = None) -> Evaluation:
        """As :meth:`evaluate`, for a plan that looks at identities only, see :attr:`reads_more`.

        Args:
            who: Whatever carries the identities.
            now: When, for experiments with a schedule.
        """
        if self._plain:  # the same as below, in one go: most plans, most of the time
            for prefix, field in self._identities:
                value: str | None = getattr(who, field)
                if value:
                    unit = prefix + value
                    sums = self._sums
                    hashed = mmh3_32_uintdigest(
                        (self._prefix + unit).encode("utf-8", "surrogatepass")
                    )
                    return Evaluation(
                        self._variants[bisect_right(sums, (hashed * sums[-1]) >> 32)],
                        self._fallback_reason,
                        self.key,
                        self.version,
                        self.digest,
                        unit,
                        True,
                    )
        found = self._enrol(who, now)
        return self._fallback(found) if isinstance(found, str) else found

    def deliberate(
        self, context: ExperimentContext, now: Moment | None = None
    ) -> Generator[Question, Verdict, Evaluation]:
        """The evaluation as a dialogue: yields each policy that matters, and is sent its verdict.

        A policy is asked only after its rule's expression and percentage have let the unit in.
        """
        unit = self._enrol(context, now)
        if not isinstance(unit, str):
            return unit
        detail: tuple[str, ...] = ()
        undecided: tuple[str, ...] = ()
        errors = 0
        values = self._values(context)
        if self.exclude is not None:
            why = self.excludes(values)
            if isinstance(why, ExpressionError):
                errors += 1
                detail += (f"exclude leaves nobody out, it raised: {why}",)
            elif why is not None:
                return self._outsider(self.spec.control, "control", unit, why, excluded=True)
        for needed, plan in zip(self.spec.prerequisites, self.prerequisites, strict=True):
            first = None
            if plan is not None:
                first = yield from plan.deliberate(context.asking_for(plan.key, plan.version), now)
                undecided += first.undecided
                errors += first.expression_errors
            why = unmet(needed, first)
            if why is not None:
                return self._outsider(self.spec.control, "control", unit, why, undecided, errors)
        for rule in self.rules:
            try:
                if not rule.admits(unit, values):
                    continue
            except ExpressionError as error:
                errors += 1
                detail += (rule.told(error),)
                continue
            if rule.policy is not None:
                if context.experiment is None:
                    context = context.asking_for(self.key)
                verdict = yield rule.policy, context
                if isinstance(verdict, Undecided):
                    undecided += (rule.policy.key,)
                    label = f"{rule.label}.policy does not match, {rule.policy.label}"
                    detail += (f"{label} could not be decided: {verdict.why}",)
                    continue
                if verdict is not True:
                    continue
            return Evaluation(
                rule.variant,
                "targeted",
                self.key,
                self.version,
                self.digest,
                unit,
                True,
                detail,
                undecided,
                errors,
            )
        return self._fallback(unit, detail, undecided, errors)

    def _by_rules(self, context: ExperimentContext, now: Moment | None) -> Evaluation:
        """As :meth:`deliberate`, without prerequisites and policies: there is nothing to ask."""
        unit: str | None = None
        if self._open:  # as _enrol has it, without its call
            for prefix, field in self._identities:
                value: str | None = getattr(context, field)
                if value:
                    unit = prefix + value
                    break
        if unit is None:
            found = self._enrol(context, now)
            if not isinstance(found, str):
                return found
            unit = found
        values = context.mapping if context.experiment is not None else self._values(context)
        roots = (values,)
        detail: tuple[str, ...] = ()
        for rule, run, salted, low, high in self._steps:
            if run is not None:
                # Rule.admits, without its calls; it says in full what is raised
                try:
                    value = run(roots)
                    admitted = value is True or (value is not False and truthy(value))
                except RAISED:
                    try:
                        admitted = rule.admits(unit, values)
                    except ExpressionError as error:
                        detail += (rule.told(error),)
                        continue
                if not admitted:
                    continue
            if salted is not None:
                hashed = mmh3_32_uintdigest((salted + unit).encode("utf-8", "surrogatepass"))
                if not low <= hashed < high:
                    continue
            elif rule.percentage is not None and not rule.percentage.inside(unit):
                continue
            return Evaluation(
                rule.variant,
                "targeted",
                self.key,
                self.version,
                self.digest,
                unit,
                True,
                detail,
                (),
                len(detail),
            )
        if detail or not self._splits_plainly:
            return self._fallback(unit, detail, (), len(detail))
        sums = self._sums  # as _fallback has it, without its call
        hashed = mmh3_32_uintdigest((self._prefix + unit).encode("utf-8", "surrogatepass"))
        return Evaluation(
            self._variants[bisect_right(sums, (hashed * sums[-1]) >> 32)],
            self._fallback_reason,
            self.key,
            self.version,
            self.digest,
            unit,
            True,
        )

    def _values(self, context: ExperimentContext) -> dict[str, Any]:
        """What expressions see."""
        if context.experiment is None:  # asked of every running experiment, so of this one too
            return {**context.mapping, "experiment": self.key}
        return context.mapping

    def _enrol(self, who: Identified, now: Moment | None) -> Evaluation | str:
        """The unit to allocate, or the evaluation where that is settled beforehand."""
        unit = None
        for prefix, field in self._identities:  # unit_of, with the prefixes looked up already
            value: str | None = getattr(who, field)
            if value:
                unit = prefix + value
                if self._open:
                    return unit
                break
        if unit is not None and self.forced and unit in self.forced:
            return self._outsider(
                self.spec.variants_by_id[self.forced[unit]],
                "forced",
                unit,
                "forced for quality assurance",
            )
        why = None
        if not self.enrols:
            why = self.standing
        elif unit is None:
            why = f"no unit: the context has no {' nor '.join(self.spec.unit)}"
        else:
            if self.schedule is not None:
                why = self.outside_schedule(now)
            if why is None and self.gates:
                for gate in self.gates:
                    if not gate.draw.inside(unit):
                        why = gate.why
                        break
            if why is None and self.coverage is not None:
                why = self.coverage.outside(unit, now)
            if why is None:
                return unit
        return self._outsider(self.spec.control, "control", unit, why)

    @property
    def standing(self) -> str:
        """What it is: its status, or who has paused it."""
        if self.spec.status is Status.RUNNING and self.paused is not None:
            return self.paused
        return f"the experiment is {self.spec.status}"

    def excludes(self, values: Mapping[str, Any]) -> str | ExpressionError | None:
        """Why the experiment leaves the context out; None where it does not.

        An expression that raises leaves nobody out: the error is given back.
        """
        if self.exclude is None:
            return None
        try:
            found = self.exclude.test(values)
        except ExpressionError as error:
            return error
        return "the experiment excludes whom its expression matches" if found else None

    def outside_schedule(self, now: Moment | None) -> str | None:
        """Why the moment lies outside the schedule; None where it lies inside."""
        if self.schedule is None:
            return None
        if now is None:
            return (
                "the experiment has a schedule, and the evaluation was given no time: pass "
                "now=, or give the evaluator a clock"
            )
        start, end = self.schedule
        moment = milliseconds(now)
        if start is not None and moment < start:
            return "the experiment has not started"
        if end is not None and moment >= end:
            return "the experiment has ended"
        return None

    @property
    def splits(self) -> bool:
        """Whether units that no rule matches are split by weight, rather than given control."""
        return self._fallback_reason != "control"

    def show_split(self, unit: str) -> Place:
        """The unit's draw in the split, with the range of each variant in order."""
        if self.split is not None:
            return self.split.show(unit)
        total = self._sums[-1]
        ends = [-(-after * SPACE // total) for after in self._sums]
        ranges = tuple(zip((0, *ends[:-1]), ends, strict=True))
        return Place(f"{self._salt}:{unit}", bucket(self._salt, unit), SPACE, ranges)

    def _outsider(
        self,
        variant: Variant,
        reason: Reason,
        unit: str | None,
        why: str,
        undecided: tuple[str, ...] = (),
        errors: int = 0,
        *,
        excluded: bool = False,
    ) -> Evaluation:
        return Evaluation(
            variant,
            reason,
            self.key,
            self.version,
            self.digest,
            unit,
            False,
            (why,),
            undecided,
            errors,
            excluded,
        )

    def _fallback(
        self,
        unit: str,
        detail: tuple[str, ...] = (),
        undecided: tuple[str, ...] = (),
        errors: int = 0,
    ) -> Evaluation:
        """The split, or control where a targeted allocation falls back to that."""
        reason = self._fallback_reason
        if reason == "control":
            variant = self.spec.control
        elif self.split is None:
            sums = self._sums
            # hashing.bucket and hashing.choose, without their calls
            hashed = mmh3_32_uintdigest((self._prefix + unit).encode("utf-8", "surrogatepass"))
            variant = self._variants[bisect_right(sums, (hashed * sums[-1]) >> 32)]
        else:
            variant = self._variants[self.split.index(unit)]
        if not (detail or undecided or errors):
            return Evaluation(variant, reason, self.key, self.version, self.digest, unit, True)
        return Evaluation(
            variant,
            reason,
            self.key,
            self.version,
            self.digest,
            unit,
            True,
            detail,
            undecided,
            errors,
        )

    def __repr__(self) -> str:
        return f"Plan({self.key} {self.version} {self.digest})"


def _step(rule: Rule) -> tuple[Rule, Run | None, str | None, int, int]:
    """A rule's function and, of our own draw for its percentage, what is hashed and the bounds."""
    run = None if rule.expression is None else rule.expression.run
    draw = rule.percentage
    if isinstance(draw, Draw):
        return rule, run, f"{draw.salt}:", draw.low, draw.high
    return rule, run, None, 0, 0


def unmet(needed: Prerequisite, found: Evaluation | None) -> str | None:
    """Why a prerequisite does not hold, given its evaluation; None where it holds."""
    if found is None:
        return f"requires {needed.label}, which is not there"
    name = f"{found.experiment} {found.version}"
    if not found.enrolled:
        return f"requires {name}: not enrolled there: {'; '.join(found.detail)}"
    if needed.variant is not None and found.variant.id != needed.variant:
        return f"requires {needed.variant!r} of {name}: has {found.variant.id!r} there"
    return None
