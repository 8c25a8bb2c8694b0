"""Difference of two means whose variances may differ: Welch's t.

Welch, "The generalization of 'Student's' problem when several different population variances are
involved", Biometrika 34, 1947; degrees of freedom after Satterthwaite, Biometrics 2, 1946. Valid
for one look at a planned sample size; looking again and again needs a sequential method.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from math import inf, isfinite, sqrt
from typing import Final

from scipy.special import stdtr, stdtrit

__all__ = ["CONFIDENCE", "Difference", "Sample", "welch"]

CONFIDENCE: Final = 0.95


@dataclass(frozen=True, slots=True)
class Sample:
    """An arm by its exact moments over units.

    Attributes:
        units: Units of the arm, those that did nothing included.
        total: Sum of the units' totals.
        squares: Sum of the squares of the units' totals.
    """

    units: int
    total: Fraction
    squares: Fraction

    @property
    def mean(self) -> Fraction:
        """Mean over units; there must be one."""
        return self.total / self.units

    @property
    def variance(self) -> Fraction:
        """Unbiased variance over units; there must be two. Exact, so nothing cancels out."""
        n = self.units
        return (n * self.squares - self.total * self.total) / (n * (n - 1))


@dataclass(frozen=True, slots=True)
class Difference:
    """Confidence interval of a difference, and the two-sided p-value of there being none."""

    low: float
    high: float
    p_value: float


def welch(variant: Sample, control: Sample) -> Difference | None:
    """Compare the variant's mean with control's, at 95 % confidence.

    None with fewer than two units in either arm, or when nothing varies in both.
    """
    if variant.units < 2 or control.units < 2:
        return None
    of_variant = float(variant.variance / variant.units)
    of_control = float(control.variance / control.units)
    error = of_variant + of_control
    if error <= 0 or not isfinite(error):
        return None
    difference = float(variant.mean - control.mean)
    deviation = sqrt(error)
    # Shares of the error rather than their squares, which could underflow.
    share = of_variant / error
    freedom = 1 / (share**2 / (variant.units - 1) + (1 - share) ** 2 / (control.units - 1))
    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2)) * deviation
    t = abs(difference) / deviation if deviation else inf
    return Difference(
        low=difference - reach,
        high=difference + reach,
        p_value=min(1.0, 2 * float(stdtr(freedom, -t))),
    )
