"""Relative lift with an interval: a ratio of two means, each known with an error.

Fieller, "Some problems in interval estimation", JRSS B 16, 1954: a ratio r of the means is in the
interval where the difference m1 - r m0 is not told from zero, and that is a quadratic in r. Tested
by Student's t it is the fixed interval; tested by the boundary of
:mod:`~anabranch.metrics.sequential`, which holds at all looks together for each r, it is a
confidence sequence of the lift. Dividing the difference's interval by control's mean would forget
that the divisor is uncertain too.

The interval excludes zero just where the difference's does. It is unbounded, and not given, while
control's own mean is not told from zero.
"""

from __future__ import annotations

from math import isfinite, sqrt
from typing import TypeVar

from scipy.special import stdtrit

from anabranch.metrics.samples import Arm
from anabranch.metrics.sequential import (
    TIGHTEST_UNITS,
    mixture,
    squared_error,
    standard_errors,
)
from anabranch.metrics.welch import CONFIDENCE, Bounds, freedom_of

__all__ = ["fieller", "fixed_lift", "sequential_lift", "sequential_mean"]

A = TypeVar("A", bound=Arm)


def fieller(means: tuple[float, float], errors: tuple[float, float], reach: float) -> Bounds | None:
    """The lifts ``means[0] / means[1] - 1`` that are within ``reach`` standard errors.

    Args:
        means: Of the variant, and of control.
        errors: Squared standard errors of both.
        reach: How many standard errors.

    Returns:
        None where the interval is unbounded.
    """
    (ours, theirs), (our_error, their_error) = means, errors
    square = reach * reach
    bounded = theirs * theirs - square * their_error
    if not bounded > 0 or not isfinite(bounded):
        return None
    # The discriminant, with what cancels out left away: never negative where it is bounded.
    inside = our_error * bounded + their_error * ours * ours
    middle, spread = ours * theirs, reach * sqrt(max(inside, 0.0))
    return Bounds((middle - spread) / bounded - 1, (middle + spread) / bounded - 1)


def fixed_lift(variant: Arm, control: Arm) -> Bounds | None:
    """95 %, for one look; None with too little data or while it is unbounded."""
    if variant.units < 2 or control.units < 2:
        return None
    errors = float(variant.variance / variant.units), float(control.variance / control.units)
    if not 0 < sum(errors) < float("inf"):
        return None
    freedom = freedom_of(errors, (float(variant.units), float(control.units)))
    reach = float(stdtrit(freedom, (1 + CONFIDENCE) / 2))
    return fieller((float(variant.mean), float(control.mean)), errors, reach)


def sequential_lift(
    variant: A, control: A, *, tightest_units: int = TIGHTEST_UNITS
) -> Bounds | None:
    """95 % over all looks together; None with too little data or while it is unbounded."""
    if variant.units < 2 or control.units < 2:
        return None
    errors = float(variant.variance / variant.units), float(control.variance / control.units)
    separate = sum(errors)
    error = squared_error(
        (float(variant.units), float(control.units)),
        (float(variant.variance), float(control.variance)),
        float((variant + control).variance),
    )
    if not 0 < separate < float("inf"):
        return None
    # Both errors grow alike, so that at a lift of zero this is the difference's own test.
    grown = float(error) / separate
    units = float(variant.units + control.units)
    reach = float(standard_errors(units, mixture(tightest_units)))
    return fieller(
        (float(variant.mean), float(control.mean)),
        (errors[0] * grown, errors[1] * grown),
        reach,
    )


def sequential_mean(arm: Arm, *, tightest_units: int = TIGHTEST_UNITS) -> Bounds | None:
    """An arm's own mean, 95 % over all looks together; None while nothing varies.

    By the arm's own variance: of rare large values it knows only those that it has seen.
    """
    if arm.units < 2:
        return None
    error = float(arm.variance / arm.units)
    if not 0 < error < float("inf"):
        return None
    reach = float(standard_errors(float(arm.units), mixture(tightest_units))) * sqrt(error)
    return Bounds(float(arm.mean) - reach, float(arm.mean) + reach)
