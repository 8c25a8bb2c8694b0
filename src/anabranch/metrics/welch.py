"""Difference of two means whose variances may differ: Welch's t.

Welch, "The generalization of 'Student's' problem when several different population variances are
involved", Biometrika 34, 1947; degrees of freedom after Satterthwaite, Biometrics 2, 1946. Valid
for one look at a planned sample size; looking again and again needs a sequential method.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtr, stdtrit

from anabranch.metrics.samples import Arm, Sample

__all__ = [
    "CONFIDENCE",
    "Bounds",
    "Difference",
    "Numbers",
    "Sample",
    "freedom_of",
    "students_t",
    "welch",
]

CONFIDENCE: Final = 0.95

Numbers = TypeVar("Numbers", float, NDArray[np.float64])
"""One number or many: what watches a stream and what proves it use the same formulas."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """A confidence interval."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Difference:
    """Confidence interval of a difference, and the two-sided p-value of there being none."""

    low: float
    high: float
    p_value: float


def welch(variant: Arm, control: Arm) -> Difference | None:
    """Compare the variant's mean with control's, at 95 % confidence.

    None with fewer than two units in either arm, or when nothing varies in both.
    """
    if variant.units < 2 or control.units < 2:
        return None
    errors = float(variant.variance / variant.units), float(control.variance / control.units)
    if not 0 < sum(errors) < inf:
        return None
    difference = float(variant.mean - control.mean)
    reach, p_value = students_t(
        difference, errors, (float(variant.units), float(control.units)), confidence=CONFIDENCE
    )
    return Difference(
        low=difference - float(reach), high=difference + float(reach), p_value=float(p_value)
    )


def students_t(
    difference: Numbers,
    errors: tuple[Numbers, Numbers],
    units: tuple[Numbers, Numbers],
    *,
    confidence: float = CONFIDENCE,
) -> tuple[Numbers, Numbers]:
    """Half the interval's width and the two-sided p-value.

    Args:
        difference: Of the means.
        errors: Squared standard error of each arm's mean; their sum must be positive.
        units: Of each arm, at least two.
        confidence: Of the interval.
    """
    deviation: Numbers = np.sqrt(errors[0] + errors[1])
    freedom = freedom_of(errors, units)
    reach: Numbers = np.multiply(stdtrit(freedom, (1 + confidence) / 2), deviation)
    p_value: Numbers = np.minimum(1.0, 2 * stdtr(freedom, -abs(difference) / deviation))
    return reach, p_value


def freedom_of(errors: tuple[Numbers, Numbers], units: tuple[Numbers, Numbers]) -> Numbers:
    """Satterthwaite's degrees of freedom, from the squared standard errors of both means."""
    # Shares of the error rather than their squares, which could underflow.
    share = errors[0] / (errors[0] + errors[1])
    return 1 / (share**2 / (units[0] - 1) + (1 - share) ** 2 / (units[1] - 1))
