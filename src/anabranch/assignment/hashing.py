"""From a unit to a variant: one hash, compared in integers.

Everything that is drawn for a unit is drawn from ``bucket(salt, unit)`` with a salt of its own, so
that being inside the coverage, inside a rule's percentage and in one variant or another are
independent of each other, and of every other experiment:

===================  =====================================================================
draw                 salt
===================  =====================================================================
split over variants  ``SALT``: the allocation's salt, the experiment's key when not given
coverage             ``SALT:coverage``
rule's percentage    ``SALT:rule:VARIANT:N``, N-th rule (from 0) that gives that variant
place in a layer     ``layer|KEY``, the layer's key: the same for all its experiments
holdout              ``holdout|KEY``, the holdout's key: the same wherever it is named
===================  =====================================================================

Keys hold no ``|``, so no experiment's default salt is a layer's or a holdout's. No salt holds the
version or the weights: a new version and a changed weight move as few units as possible. Rules are
counted per variant, so a rule that is added, or moved past another variant's, moves nobody inside
the other rules' percentages.

Numbers of a spec are taken as they are written (0.1 is one tenth), never as binary fractions.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import ceil, gcd, lcm
from typing import Final

import mmh3

__all__ = [
    "SPACE",
    "Draw",
    "Place",
    "bucket",
    "choose",
    "coverage_salt",
    "cumulative",
    "holdout_salt",
    "layer_salt",
    "rule_salt",
    "threshold",
]

SPACE: Final = 1 << 32
"""Buckets are 0 to SPACE - 1."""


def bucket(salt: str, unit: str) -> int:
    """The unit's bucket under a salt: murmur3 x86_32, seed 0, of ``salt:unit`` in UTF-8.

    Args:
        salt: What makes this draw independent of others.
        unit: As on the wire, ``user:123``.
    """
    # Half a surrogate pair is something JSON can hold; mmh3.hash() of such a str crashes.
    return mmh3.mmh3_32_uintdigest(f"{salt}:{unit}".encode("utf-8", "surrogatepass"))


def cumulative(weights: Iterable[float]) -> tuple[int, ...]:
    """Weights as exact integers in lowest terms, added up in order; the last one is the total.

    Raises:
        ValueError: a weight is negative, or all are 0.
    """
    exact = [Fraction(str(weight)) for weight in weights]
    if any(weight < 0 for weight in exact):
        raise ValueError("a weight is negative: 0 takes a variant out")
    if not any(exact):
        raise ValueError("all weights are 0: give at least one variant a positive weight")
    denominator = lcm(*(weight.denominator for weight in exact))
    whole = [int(weight * denominator) for weight in exact]
    divisor = gcd(*whole)
    return tuple(accumulate(weight // divisor for weight in whole))


def choose(hash_: int, sums: Sequence[int]) -> int:
    """Index of the range that the hash falls into; never one of weight 0.

    Args:
        hash_: A bucket.
        sums: As :func:`cumulative` gives them.
    """
    return bisect_right(sums, (hash_ * sums[-1]) >> 32)


def threshold(share: float) -> int:
    """The bound that a share comes to: a unit is inside when its bucket is below.

    A bucket b is inside when b / SPACE < share, exactly: 0 lets nobody in, 1 everybody, and
    raising the share puts nobody out.
    """
    return ceil(Fraction(str(share)) * SPACE)


def coverage_salt(salt: str) -> str:
    """Salt of the draw for an experiment's coverage."""
    return f"{salt}:coverage"


def rule_salt(salt: str, variant: str, occurrence: int) -> str:
    """Salt of the draw for the percentage of the ``occurrence``-th rule that gives ``variant``."""
    return f"{salt}:rule:{variant}:{occurrence}"


def layer_salt(layer: str) -> str:
    """Salt of the units' places on a layer's line."""
    return f"layer|{layer}"


def holdout_salt(holdout: str) -> str:
    """Salt of the draw for a holdout."""
    return f"holdout|{holdout}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a draw put a unit, for people to see.

    Attributes:
        text: What was hashed.
        place: What it came to, 0 to ``space - 1``.
        ranges: First place and first place after it, of each range in order.
    """

    text: str
    place: int
    space: int
    ranges: tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class Draw:
    """One draw: a unit is inside when its bucket is at least ``low`` and below ``high``."""

    salt: str
    low: int
    high: int

    def inside(self, unit: str) -> bool:
        """Whether the unit falls into the range."""
        # bucket(), without its call
        hashed = mmh3.mmh3_32_uintdigest(f"{self.salt}:{unit}".encode("utf-8", "surrogatepass"))
        return self.low <= hashed < self.high

    def show(self, unit: str) -> Place:
        """The draw in full."""
        text = f"{self.salt}:{unit}"
        return Place(text, bucket(self.salt, unit), SPACE, ((self.low, self.high),))
