"""Which rules and variants a unit can come to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from anabranch.specs.experiment import ExperimentSpec, TargetedAllocation, TargetingRule

__all__ = ["covered_by", "reachable", "splits"]


def splits(spec: ExperimentSpec) -> bool:
    """Whether the split by weight decides for some unit."""
    allocation = spec.allocation
    return not isinstance(allocation, TargetedAllocation) or allocation.fallback == "random"


def covered_by(
    rules: Sequence[TargetingRule], position: int, constant: Callable[[str], bool | None]
) -> int | None:
    """An earlier rule that matches whenever this one does; None where there is none.

    Expressions are compared as text, so what this finds is so; it does not find everything.
    """
    late = rules[position]
    for i, early in enumerate(rules[:position]):
        if early.percentage is not None and early.percentage < 1:
            continue
        if early.policy is not None and early.policy != late.policy:
            continue
        source = early.expression
        if (
            source is None
            or constant(source) is True
            or (late.expression is not None and source.strip() == late.expression.strip())
        ):
            return i
    return None


def reachable(spec: ExperimentSpec, constant: Callable[[str], bool | None]) -> set[str]:
    """Ids of the variants that some enrolled unit can get."""
    found: set[str] = set()
    if splits(spec):
        found |= {variant.id for variant in spec.variants if variant.weight > 0}
    allocation = spec.allocation
    if isinstance(allocation, TargetedAllocation):
        if allocation.fallback == "control":
            found.add(spec.control_variant)
        for i, one in enumerate(allocation.rules):
            never = one.percentage == 0 or (
                one.expression is not None and constant(one.expression) is False
            )
            if not never and covered_by(allocation.rules, i, constant) is None:
                found.add(one.variant_id)
    return found
