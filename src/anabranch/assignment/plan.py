"""A spec compiled for evaluation: everything that does not depend on the context is done once.

In this order, the first that applies decides:

1. status: only a running experiment enrols, and a draft that is asked for by name may force;
2. unit: without one of the identities nobody is enrolled;
3. forced: a unit forced to a variant gets it, and does not count;
4. schedule; 5. coverage: outside either, control;
6. allocation: rules in order, each by expression, percentage and policy, then the fallback; or
   the split.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from anabranch.assignment.context import IDENTITIES, ExperimentContext
from anabranch.assignment.evaluation import Evaluation, Reason
from anabranch.assignment.expressions import Expression, compile_expression
from anabranch.assignment.hashing import (
    SPACE,
    bucket,
    choose,
    coverage_salt,
    cumulative,
    rule_salt,
    threshold,
)
from anabranch.errors import ExpressionError, SpecValidationError
from anabranch.specs import (
    ExperimentSpec,
    PolicyRef,
    Schedule,
    Status,
    TargetedAllocation,
    TargetingRule,
    Variant,
)

__all__ = ["Moment", "Plan", "Undecided", "Verdict"]

Moment = int | datetime
"""Milliseconds since the epoch, or a datetime that knows its offset."""


@dataclass(frozen=True, slots=True)
class Undecided:
    """A policy that could not be decided, and why; its rule does not match."""

    why: str


Verdict = bool | Undecided

_NOT_ASKED: Final = Undecided("nobody to ask: it was evaluated without a policy checker")


@dataclass(frozen=True, slots=True)
class _Rule:
    label: str
    variant: Variant
    expression: Expression | None
    salt: str
    below: int
    policy: PolicyRef | None


class Plan:
    """A compiled experiment.

    Args:
        spec: The experiment.

    Raises:
        SpecValidationError: an expression is wrong; the message has its path, line and column.
    """

    __slots__ = (
        "_coverage_below",
        "_coverage_salt",
        "_enrols",
        "_fallback_reason",
        "_forced",
        "_identities",
        "_rules",
        "_salt",
        "_schedule",
        "_sums",
        "_variants",
        "digest",
        "key",
        "needs_policy",
        "spec",
        "version",
    )

    def __init__(self, spec: ExperimentSpec) -> None:
        self.spec = spec
        self.key = spec.key
        self.version = spec.version
        self.digest = spec.digest
        allocation = spec.allocation
        salt = spec.key if allocation.salt is None else allocation.salt
        self._salt = salt
        self._identities = tuple(IDENTITIES[identity] for identity in spec.unit)
        self._variants = spec.variants
        self._sums = cumulative(variant.weight for variant in spec.variants)
        self._enrols = spec.status is Status.RUNNING
        may_force = spec.status in {Status.RUNNING, Status.DRAFT}
        self._forced = dict(spec.forced) if may_force else {}
        self._schedule = _bounds(spec.schedule)
        self._coverage_salt = coverage_salt(salt)
        self._coverage_below = threshold(spec.coverage)
        self._fallback_reason: Reason = "sticky" if allocation.type == "sticky" else "random"
        self._rules: tuple[_Rule, ...] = ()
        if isinstance(allocation, TargetedAllocation):
            self._rules = _compile_rules(spec, allocation.rules, salt)
            if allocation.fallback == "control":
                self._fallback_reason = "control"
        self.needs_policy = any(rule.policy is not None for rule in self._rules)

    def evaluate(self, context: ExperimentContext, now: Moment | None = None) -> Evaluation:
        """The variant for the context, at once; rules that ask a policy do not match.

        Where the plan :attr:`needs_policy`, :meth:`deliberate` asks, and an evaluator answers.

        Args:
            context: Who asks.
            now: When, for experiments with a schedule; without it those enrol nobody.
        """
        if self._rules:
            deliberation = self.deliberate(context, now)
            try:
                next(deliberation)
                while True:
                    deliberation.send(_NOT_ASKED)
            except StopIteration as done:
                found: Evaluation = done.value
                return found
        unit = self._enrol(context, now)
        return self._fallback(unit) if isinstance(unit, str) else unit

    def deliberate(
        self, context: ExperimentContext, now: Moment | None = None
    ) -> Generator[PolicyRef, Verdict, Evaluation]:
        """The evaluation as a dialogue: yields each policy that matters, and is sent its verdict.

        A policy is asked only after its rule's expression and percentage have let the unit in.
        """
        unit = self._enrol(context, now)
        if not isinstance(unit, str):
            return unit
        values = context.mapping
        if context.experiment is None:  # asked of every running experiment, so of this one too
            values = {**values, "experiment": self.key}
        detail: tuple[str, ...] = ()
        undecided: tuple[str, ...] = ()
        errors = 0
        for rule in self._rules:
            if rule.expression is not None:
                try:
                    if not rule.expression.test(values):
                        continue
                except ExpressionError as error:
                    errors += 1
                    detail += (f"{rule.label}.expression does not match, it raised: {error}",)
                    continue
            if rule.below < SPACE and bucket(rule.salt, unit) >= rule.below:
                continue
            if rule.policy is not None:
                verdict = yield rule.policy
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

    def _enrol(self, context: ExperimentContext, now: Moment | None) -> Evaluation | str:
        """The unit to allocate, or the evaluation where that is settled beforehand."""
        unit = None
        for prefix, field in self._identities:  # unit_of, with the prefixes looked up already
            value: str | None = getattr(context, field)
            if value:
                unit = prefix + value
                break
        if unit is not None and self._forced and unit in self._forced:
            return self._outsider(
                self.spec.variants_by_id[self._forced[unit]],
                "forced",
                unit,
                "forced for quality assurance",
            )
        why = None
        if not self._enrols:
            why = f"the experiment is {self.spec.status}"
        elif unit is None:
            why = f"no unit: the context has no {' nor '.join(self.spec.unit)}"
        elif self._schedule is not None:
            why = self._outside(now)
        if why is None and unit is not None:
            below = self._coverage_below
            if below == SPACE or bucket(self._coverage_salt, unit) < below:
                return unit
            why = f"outside the coverage of {self.spec.coverage}"
        return self._outsider(self.spec.control, "control", unit, why or "")

    def _outside(self, now: Moment | None) -> str | None:
        """Why the moment lies outside the schedule; None where it lies inside."""
        if now is None:
            return "the experiment has a schedule, and the evaluation was given no time"
        start, end = self._schedule or (None, None)
        moment = now if isinstance(now, int) else _milliseconds(now)
        if start is not None and moment < start:
            return "the experiment has not started"
        if end is not None and moment >= end:
            return "the experiment has ended"
        return None

    def _outsider(self, variant: Variant, reason: Reason, unit: str | None, why: str) -> Evaluation:
        return Evaluation(variant, reason, self.key, self.version, self.digest, unit, False, (why,))

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
        else:
            variant = self._variants[choose(bucket(self._salt, unit), self._sums)]
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


def _compile_rules(
    spec: ExperimentSpec, rules: tuple[TargetingRule, ...], salt: str
) -> tuple[_Rule, ...]:
    found: list[_Rule] = []
    per_variant: dict[str, int] = {}
    for i, rule in enumerate(rules):
        label = f"allocation.rules[{i}]"
        expression = None
        if rule.expression is not None:
            try:
                expression = compile_expression(rule.expression)
            except ExpressionError as error:
                raise SpecValidationError(f"{label}.expression: {error}") from error
        occurrence = per_variant.get(rule.variant_id, 0)
        per_variant[rule.variant_id] = occurrence + 1
        found.append(
            _Rule(
                label,
                spec.variants_by_id[rule.variant_id],
                expression,
                rule_salt(salt, rule.variant_id, occurrence),
                SPACE if rule.percentage is None else threshold(rule.percentage),
                rule.policy,
            )
        )
    return tuple(found)


def _milliseconds(moment: datetime) -> int:
    if moment.tzinfo is None:
        raise ValueError(f"{moment} knows no offset from UTC: give it a tzinfo")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def _bounds(schedule: Schedule | None) -> tuple[int | None, int | None] | None:
    if schedule is None:
        return None
    return (
        None if schedule.start is None else _milliseconds(schedule.start),
        None if schedule.end is None else _milliseconds(schedule.end),
    )
