"""Made-up units through the real evaluator: what an experiment would split them into."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from anabranch.assignment import (
    ExperimentContext,
    ExperimentEvaluator,
    Moment,
    PolicyEngine,
)
from anabranch.assignment.context import IDENTITIES
from anabranch.metrics.results import expected_shares
from anabranch.specs import Catalog, ExperimentSpec, Status, TargetedAllocation

__all__ = ["UNITS", "Preview", "preview"]

UNITS: Final = 10_000


@dataclass(frozen=True, slots=True)
class Preview:
    """What became of the units.

    Attributes:
        units: How many were tried.
        variants: Of those enrolled, how many have each variant; every variant is there.
        expected: The share that weights ask for, of the variants that a split can give.
        reasons: Of those enrolled, how many by what: ``random``, ``sticky``, ``targeted``, …
        left_out: Of the others, how many for which reason.
        notes: What the figures leave out.
    """

    units: int
    variants: Mapping[str, int]
    expected: Mapping[str, float]
    reasons: Mapping[str, int]
    left_out: Mapping[str, int]
    notes: tuple[str, ...] = ()

    @property
    def enrolled(self) -> int:
        return sum(self.variants.values())

    def as_dict(self) -> dict[str, Any]:
        """For ``--json``."""
        return {
            "units": self.units,
            "enrolled": self.enrolled,
            "variants": dict(self.variants),
            "expected": dict(self.expected),
            "reasons": dict(self.reasons),
            "leftOut": dict(self.left_out),
            "notes": list(self.notes),
        }


async def preview(
    spec: ExperimentSpec,
    catalog: Catalog,
    now: Moment,
    *,
    context: Mapping[str, Any] | None = None,
    units: int = UNITS,
) -> Preview:
    """Try units as though the experiment were running.

    Args:
        spec: The experiment; its status is not looked at.
        catalog: With its policies and prerequisites.
        now: When, for schedules and ramps.
        context: Attributes and flags that every unit carries, as contexts have them on the wire.
        units: How many.

    Raises:
        EventSchemaError: The context is none.
    """
    running = spec.model_copy(update={"status": Status.RUNNING})
    evaluator = ExperimentEvaluator(
        catalog.experiments, PolicyEngine(catalog.policies).allows_targeting
    )
    plan = evaluator.plan(running)
    counts = dict.fromkeys(running.variants_by_id, 0)
    reasons: Counter[str] = Counter()
    left_out: Counter[str] = Counter()
    for number in range(units):
        unit = ExperimentContext.from_mapping(
            {
                **(context or {}),
                **dict.fromkeys(IDENTITIES, f"preview-{number}"),
                "experiment": spec.key,
                "version": spec.version,
            }
        )
        found = await evaluator.evaluate(plan, unit, now)
        if found.enrolled:
            counts[found.variant.id] += 1
            reasons[str(found.reason)] += 1
        else:
            left_out["; ".join(found.detail) or str(found.reason)] += 1
    notes: list[str] = []
    if isinstance(spec.allocation, TargetedAllocation) and not context:
        notes.append("the units carried no attributes and no flags")
    if evaluator.undecided:
        notes.append(f"could not be decided: policies {', '.join(sorted(evaluator.undecided))}")
    if evaluator.expression_errors:
        notes.append(f"a rule's expression raised for {evaluator.expression_errors[spec.key]:,}")
    expected = expected_shares(running)
    return Preview(
        units,
        counts,
        expected,
        dict(reasons.most_common()),
        dict(left_out.most_common()),
        tuple(notes),
    )
