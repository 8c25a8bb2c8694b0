"""Parts of a plan: what a spec comes to before any context is seen."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from anabranch.assignment.compat import (
    ForeignDraw,
    foreign_coverage,
    foreign_percentage,
)
from anabranch.assignment.expressions import Expression, compile_expression
from anabranch.assignment.hashing import (
    SPACE,
    Draw,
    coverage_salt,
    holdout_salt,
    layer_salt,
    rule_salt,
    threshold,
)
from anabranch.errors import ExpressionError, SpecValidationError
from anabranch.specs import (
    ExperimentSpec,
    PolicyRef,
    Schedule,
    TargetedAllocation,
    Variant,
)

__all__ = [
    "Coverage",
    "Gate",
    "Moment",
    "Rule",
    "bounds",
    "compile_coverage",
    "compile_exclude",
    "compile_gates",
    "compile_rules",
    "default_salt",
    "milliseconds",
]

Moment = int | datetime
"""Milliseconds since the epoch, or a datetime that knows its offset."""

_NOBODY: Final = Draw("", 0, 0)


@dataclass(frozen=True, slots=True)
class Gate:
    """A draw that has to let the unit in: a holdout, or a layer.

    Attributes:
        label: The field it comes from.
        why: What to tell whoever is not let in.
    """

    label: str
    draw: Draw
    why: str


@dataclass(frozen=True, slots=True)
class Coverage:
    """The draw for coverage, by time where it is a ramp.

    Attributes:
        starts: When each step of a ramp begins, in milliseconds; empty without a ramp.
        shares: The share of each step; before the first step 0. One more than ``starts``.
        draws: The draw of each share; None lets everybody in.
    """

    starts: tuple[int, ...]
    shares: tuple[float, ...]
    draws: tuple[Draw | ForeignDraw | None, ...]

    def step(self, now: Moment | None) -> int | None:
        """Which share holds at a moment; None where that cannot be told without a time."""
        if not self.starts:
            return 0
        if now is None:
            return None
        return bisect_right(self.starts, milliseconds(now))

    def outside(self, unit: str, now: Moment | None) -> str | None:
        """Why the unit is not covered; None where it is."""
        step = self.step(now)
        if step is None:
            return (
                "the coverage is a ramp, and the evaluation was given no time: pass "
                "now=, or give the evaluator a clock"
            )
        draw = self.draws[step]
        if draw is None or draw.inside(unit):
            return None
        return f"outside the coverage of {self.shares[step]}"


@dataclass(frozen=True, slots=True)
class Rule:
    """A targeting rule; ``percentage`` is None where every matching unit is in."""

    label: str
    variant: Variant
    expression: Expression | None
    percentage: Draw | ForeignDraw | None
    policy: PolicyRef | None

    def admits(self, unit: str, values: dict[str, Any]) -> bool:
        """Whether expression and percentage let the unit in.

        Raises:
            ExpressionError: the expression does, so that the rule does not match.
        """
        expression, percentage = self.expression, self.percentage
        return (expression is None or expression.holds(values)) and (
            percentage is None or percentage.inside(unit)
        )

    def told(self, error: ExpressionError) -> str:
        """Why the rule does not match."""
        return f"{self.label}.expression does not match, it raised: {error}"


def default_salt(spec: ExperimentSpec) -> str:
    """The salt that our own draws for an experiment are derived from."""
    salt = spec.allocation.salt
    return spec.key if salt is None else salt


def compile_gates(spec: ExperimentSpec) -> tuple[Gate, ...]:
    """Holdouts first, then the layer."""
    found = [
        Gate(
            f"holdout[{i}]",
            Draw(holdout_salt(holdout.key), threshold(holdout.share), SPACE),
            f"held out by {holdout.key}",
        )
        for i, holdout in enumerate(spec.holdout)
    ]
    layer = spec.layer
    if layer is not None:
        found.append(
            Gate(
                "layer",
                Draw(layer_salt(layer.key), threshold(layer.start), threshold(layer.end)),
                f"outside {layer.start} to {layer.end} of the layer {layer.key}",
            )
        )
    return tuple(found)


def compile_coverage(spec: ExperimentSpec) -> Coverage | None:
    """None where everybody is covered, always."""
    if spec.coverage == 1:
        return None
    salt = coverage_salt(default_salt(spec))

    def draw(share: float) -> Draw | ForeignDraw | None:
        if share == 1:
            return None
        return foreign_coverage(spec, share) or Draw(salt, 0, threshold(share))

    if not isinstance(spec.coverage, tuple):
        return Coverage((), (spec.coverage,), (draw(spec.coverage),))
    steps = spec.coverage
    return Coverage(
        tuple(milliseconds(step.from_) for step in steps),
        (0, *(step.share for step in steps)),
        (_NOBODY, *(draw(step.share) for step in steps)),
    )


def compile_rules(spec: ExperimentSpec) -> tuple[Rule, ...]:
    """The rules of a targeted allocation.

    Raises:
        SpecValidationError: an expression is wrong; the message has its path, line and column.
    """
    allocation = spec.allocation
    if not isinstance(allocation, TargetedAllocation):
        return ()
    found: list[Rule] = []
    per_variant: dict[str, int] = {}
    for i, rule in enumerate(allocation.rules):
        label = f"allocation.rules[{i}]"
        expression = None
        if rule.expression is not None:
            try:
                expression = compile_expression(rule.expression)
            except ExpressionError as error:
                raise SpecValidationError(f"{label}.expression: {error}") from error
        occurrence = per_variant.get(rule.variant_id, 0)
        per_variant[rule.variant_id] = occurrence + 1
        percentage: Draw | ForeignDraw | None = None
        if rule.percentage is not None and rule.percentage < 1:
            percentage = foreign_percentage(spec, rule.variant_id, rule.percentage) or Draw(
                rule_salt(default_salt(spec), rule.variant_id, occurrence),
                0,
                threshold(rule.percentage),
            )
        variant = spec.variants_by_id[rule.variant_id]
        found.append(Rule(label, variant, expression, percentage, rule.policy))
    return tuple(found)


def compile_exclude(spec: ExperimentSpec) -> Expression | None:
    """Whom the experiment leaves out; None where it leaves nobody out.

    Raises:
        SpecValidationError: the expression is wrong; the message has its line and column.
    """
    if spec.exclude is None:
        return None
    try:
        return compile_expression(spec.exclude)
    except ExpressionError as error:
        raise SpecValidationError(f"exclude: {error}") from error


def milliseconds(moment: Moment) -> int:
    """The moment as milliseconds since the epoch.

    Raises:
        ValueError: it is a datetime without an offset.
    """
    if isinstance(moment, int):
        return moment
    if moment.tzinfo is None:
        raise ValueError(f"{moment} knows no offset from UTC: give it a tzinfo")
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return (since.days * 86_400 + since.seconds) * 1000 + since.microseconds // 1000


def bounds(schedule: Schedule | None) -> tuple[int | None, int | None] | None:
    """Start and end in milliseconds."""
    if schedule is None:
        return None
    return (
        None if schedule.start is None else milliseconds(schedule.start),
        None if schedule.end is None else milliseconds(schedule.end),
    )
