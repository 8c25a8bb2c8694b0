"""An arm as the tests see it: how many units, an estimate, and the variance over units behind it.

Exact, so nothing cancels out. Two arms of one kind add up to one, as if they had been one arm.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Protocol, Self

__all__ = ["Arm", "RatioSample", "Sample", "adjust"]


class Arm(Protocol):
    """What a comparison needs of an arm; the variance over the units is the estimate's."""

    @property
    def units(self) -> int: ...

    @property
    def mean(self) -> Fraction: ...

    @property
    def variance(self) -> Fraction: ...

    def __add__(self, other: Self, /) -> Self: ...


@dataclass(frozen=True)
class Sample:
    """A mean over units, by its exact moments.

    Attributes:
        units: Units of the arm, those that did nothing included.
        total: Sum of the units' totals.
        squares: Sum of the squares of the units' totals.
    """

    units: int
    total: Fraction
    squares: Fraction

    @cached_property
    def mean(self) -> Fraction:
        """Mean over units; there must be one."""
        return self.total / self.units

    @cached_property
    def variance(self) -> Fraction:
        """Unbiased variance over units; there must be two."""
        n = self.units
        return (n * self.squares - self.total * self.total) / (n * (n - 1))

    def __add__(self, other: Sample) -> Sample:
        return Sample(
            self.units + other.units, self.total + other.total, self.squares + other.squares
        )


@dataclass(frozen=True)
class RatioSample:
    """A ratio of two sums over units, each unit giving to both, by its exact moments.

    Units were randomised and not what is in the denominator, so the variance is over units, by the
    delta method: that of (y - R x) / mean(x), with R the ratio (Deng, Knoblich and Lu, "Applying
    the delta method in metric analytics", KDD 2018).

    Attributes:
        units: Units of the arm, those that did nothing included.
        total: Sum of the numerators.
        squares: Sum of the squares of the numerators.
        beside: Sum of the denominators; not zero.
        beside_squares: Sum of the squares of the denominators.
        cross: Sum of the products of numerator and denominator.
    """

    units: int
    total: Fraction
    squares: Fraction
    beside: Fraction
    beside_squares: Fraction
    cross: Fraction

    @cached_property
    def mean(self) -> Fraction:
        """The ratio of the sums, which is not the mean of the units' ratios."""
        return self.total / self.beside

    @cached_property
    def variance(self) -> Fraction:
        """Variance over units of the ratio's influence; there must be two units."""
        ratio = self.mean
        # The sum of y - R x over the units is zero.
        around = self.squares - 2 * ratio * self.cross + ratio * ratio * self.beside_squares
        n = self.units
        return around / (n - 1) * n * n / (self.beside * self.beside)

    def __add__(self, other: RatioSample) -> RatioSample:
        return RatioSample(
            self.units + other.units,
            self.total + other.total,
            self.squares + other.squares,
            self.beside + other.beside,
            self.beside_squares + other.beside_squares,
            self.cross + other.cross,
        )


def adjust(ours: RatioSample, theirs: RatioSample) -> tuple[Sample, Sample, Fraction] | None:
    """Both arms with what their units did before taken out, and the slope; None if nothing varies.

    A unit's total y becomes y - theta (x - mean of x over both arms), with x what it did before
    and theta the slope of y on x within the arms. Since x was settled before the units were
    exposed, that changes no expected difference; it takes away the share of the variance that x
    explains (Deng, Xu, Kohavi and Walker, WSDM 2013).

    Args:
        ours: An arm, whose ``beside`` is what units did before; it may be zero here.
        theirs: Another.
    """
    arms = (ours, theirs)
    if min(arm.units for arm in arms) < 2:
        return None
    shared = sum(_around(a.cross, a.total, a.beside, a.units) for a in arms)
    spread = sum(_around(a.beside_squares, a.beside, a.beside, a.units) for a in arms)
    if spread <= 0:
        return None
    # Any slope is valid: rounding it keeps the digits of what follows few.
    theta = Fraction(float(shared / spread))
    middle = (ours.beside + theirs.beside) / (ours.units + theirs.units)
    made = []
    for arm in arms:
        shift = theta * middle
        total = arm.total - theta * arm.beside + arm.units * shift
        squares = (
            arm.squares
            - 2 * theta * arm.cross
            + theta * theta * arm.beside_squares
            + 2 * shift * (arm.total - theta * arm.beside)
            + arm.units * shift * shift
        )
        made.append(Sample(arm.units, total, squares))
    return made[0], made[1], theta


def _around(product: Fraction, one: Fraction, other: Fraction, units: int) -> Fraction:
    """Sum over units of the product of both distances from their means."""
    return product - one * other / units
