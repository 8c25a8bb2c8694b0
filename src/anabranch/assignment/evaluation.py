"""What an evaluation comes to."""

from __future__ import annotations

from typing import Literal

import msgspec

from anabranch.specs import Variant

__all__ = ["Evaluation", "Reason"]

Reason = Literal["control", "random", "sticky", "targeted", "forced"]
"""Why this variant: no rule or split decided (control), the split of a random or a sticky
allocation, a targeting rule, or a unit forced for quality assurance. Sticky is also what a unit
keeps that a store remembers."""


class Evaluation(msgspec.Struct, frozen=True, gc=False):
    """The variant for one context, and why.

    There is always a variant to show. Whether it counts is ``enrolled``: without it the unit is no
    part of the experiment and no exposure may be sent.

    Attributes:
        version: Of the spec that decided, with its content ``digest``.
        unit: ``user:123`` and the like; None where the context has no identity of the list.
        enrolled: False without a unit, outside coverage or schedule, when the experiment is not
            running, and for forced units.
        detail: For people: why the unit is not enrolled, which rules could not be decided.
        undecided: Keys of policies that could not be decided; their rules did not match.
        expression_errors: Rules whose expression raised; they did not match.
        excluded: The experiment's ``exclude`` matched: a bot, somebody of the house.
    """

    variant: Variant
    reason: Reason
    experiment: str
    version: str
    digest: str
    unit: str | None
    enrolled: bool
    detail: tuple[str, ...] = ()
    undecided: tuple[str, ...] = ()
    expression_errors: int = 0
    excluded: bool = False
