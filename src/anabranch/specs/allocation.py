"""How units are allocated to variants: by a split, one identity's split, or targeting rules."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from anabranch.specs.base import SpecModel
from anabranch.specs.fields import Expression, Id, Share
from anabranch.specs.meta import Ref
from anabranch.specs.traffic import Identity

__all__ = [
    "Allocation",
    "HashAlgorithm",
    "PolicyRef",
    "RandomAllocation",
    "StickyAllocation",
    "TargetedAllocation",
    "TargetingRule",
]

HashAlgorithm = Literal[
    "mmh3",
    "contractspec",
    "growthbook-v1",
    "growthbook-v2",
    "eppo",
    "unleash",
    "launchdarkly",
    "optimizely",
    "flagd",
    "statsig",
]
"""How a unit comes to its variant: ``mmh3`` is anabranch's own, the others are there to keep the
assignments of an experiment that began elsewhere."""


class PolicyRef(Ref):
    """A reference to a policy; without a version the latest."""


class _Hashed(SpecModel):
    salt: str | None = None
    """What the hash is seasoned with; the experiment's key when not given (with the hash
    ``contractspec``: nothing)."""
    hash: HashAlgorithm = "mmh3"
    """The algorithm of the split: ``mmh3``, or one that keeps another system's assignments."""


class RandomAllocation(_Hashed):
    """Split by weight, by a hash of the unit."""

    type: Literal["random"] = "random"
    """Which kind of allocation."""


class StickyAllocation(_Hashed):
    """Split by weight, by a hash of one identity only."""

    type: Literal["sticky"] = "sticky"
    """Which kind of allocation."""
    attribute: Identity
    """The identity that is hashed."""


class TargetingRule(SpecModel):
    """Gives ``variant_id`` to units that pass policy, expression and percentage, where given."""

    variant_id: Id
    """The variant that matching units get."""
    percentage: Share | None = None
    """Share of matching units, 0 to 1; all when not given."""
    policy: PolicyRef | None = None
    """A policy that must allow it; one that cannot be decided does not."""
    expression: Expression | None = None
    """JavaScript subset over ``context``; must be true."""


class TargetedAllocation(_Hashed):
    """The first matching rule decides; without one, control or the weighted split."""

    type: Literal["targeted"] = "targeted"
    """Which kind of allocation."""
    rules: tuple[TargetingRule, ...] = Field(min_length=1)
    """Asked in order; the first that matches decides."""
    fallback: Literal["control", "random"] = "control"
    """What units get that no rule matches: control, or the split by weight."""


Allocation = Annotated[
    RandomAllocation | StickyAllocation | TargetedAllocation, Field(discriminator="type")
]
