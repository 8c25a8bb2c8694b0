"""Difference of two means that may be watched: an asymptotic confidence sequence.

Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas, "Time-uniform central limit theory and asymptotic
confidence sequences", Annals of Statistics 52(6), 2024. The boundary is Robbins' normal mixture
("Statistical methods related to the law of the iterated logarithm", Annals of Mathematical
Statistics 41, 1970). docs/statistics.md derives the formulas.

With N units in both arms and a standard error e of the difference d, and x = N * rho², the mixture
martingale of "there is no difference" is

    M = (1 + x)^(-1/2) * exp( (d/e)² / 2 * x / (1 + x) ).

The chance that it ever reaches 1/alpha is at most alpha (Ville), however often one looks. So 1/M is
a p-value at whatever moment one stops, and the differences that M does not reject at 5 % are the
interval.

The standard error is the larger of two, see :func:`squared_error`. What is given back describes
this moment alone: it is a function of the moments, so it does not depend on batches or on how often
somebody looked, and a later interval may be wider than, or lie outside, an earlier one. The running
intersection of intervals and the running minimum of p-values are valid as well; they belong to
whoever looks, since they depend on the looks.
"""

from __future__ import annotations

from math import exp, isfinite, log, sqrt
from typing import Final, TypeVar

import numpy as np
from scipy.special import lambertw

from anabranch.metrics.samples import Arm
from anabranch.metrics.welch import CONFIDENCE, Difference, Numbers

__all__ = [
    "TIGHTEST_UNITS",
    "mixture",
    "p_value",
    "sequential",
    "squared_error",
    "standard_errors",
]

A = TypeVar("A", bound=Arm)

TIGHTEST_UNITS: Final = 5_000
"""Units of both arms together near which the interval is tightest, unless told otherwise.

There it is 1.55 times as wide as the fixed one. Anywhere from a fifth of that to a hundred times
as many units it is at most a fifth wider than it could be made for that number."""


def mixture(units: int = TIGHTEST_UNITS, alpha: float = 1 - CONFIDENCE) -> float:
    """The mixture's rho² that makes the boundary tightest at so many units of both arms.

    The squared boundary, ``(1 + 1/x)(log(1 + x) - 2 log alpha)``, is least where
    ``x = log(1 + x) - 2 log alpha``, that is at ``x = -W(-alpha²/e) - 1`` with Lambert's W on its
    lower branch, 8.2 at 5 %. It has to be chosen before the data are seen.

    Raises:
        ValueError: ``units`` or ``alpha`` is out of range.
    """
    if units < 1 or not 0 < alpha < 1:
        raise ValueError(
            f"a mixture is tuned for 1 unit or more and 0 < alpha < 1, not {units} and {alpha}"
        )
    best: complex = lambertw(-(alpha**2) * exp(-1), -1)
    return (-best.real - 1) / units


def standard_errors(units: Numbers, rho_squared: float, alpha: float = 1 - CONFIDENCE) -> Numbers:
    """Half the interval's width, in standard errors of the difference.

    Args:
        units: Of both arms together, at least one.
        rho_squared: From :func:`mixture`.
        alpha: Chance of ever excluding the truth.
    """
    x = units * rho_squared
    reach: Numbers = np.sqrt((1 + 1 / x) * (np.log1p(x) - 2 * log(alpha)))
    return reach


def p_value(z: Numbers, units: Numbers, rho_squared: float) -> Numbers:
    """1/M, at most 1: at most alpha just where :func:`standard_errors` is at most ``|z|``.

    Args:
        z: The difference in standard errors.
        units: Of both arms together.
        rho_squared: From :func:`mixture`.
    """
    x = units * rho_squared
    found: Numbers = np.minimum(1.0, np.sqrt(1 + x) * np.exp(-z * z / 2 * x / (1 + x)))
    return found


def squared_error(
    units: tuple[Numbers, Numbers], variances: tuple[Numbers, Numbers], pooled: Numbers
) -> Numbers:
    """Squared standard error of the difference: the larger of separate and pooled variances.

    Separate variances alone are right in the limit, but a small arm that has seen few of the rare
    large values underestimates its mean and its variance together. Looked at once that shifts a
    little; watched at a split of 10 to 90, with 1 % that convert, it makes more than one stream in
    four exclude the truth. The pooled variance knows those values from the larger arm. The larger
    of both is never too narrow in the limit, and costs width only where the smaller arm truly
    varies less.

    Args:
        units: Of each arm.
        variances: Over the units of each arm.
        pooled: Variance over the units of both, as if they were one arm.
    """
    separate = variances[0] / units[0] + variances[1] / units[1]
    found: Numbers = np.maximum(separate, pooled * (1 / units[0] + 1 / units[1]))
    return found


def sequential(
    variant: A, control: A, *, tightest_units: int = TIGHTEST_UNITS
) -> Difference | None:
    """Compare the variant's mean with control's; 95 % confidence over all looks together.

    None with fewer than two units in either arm, or when all units of both have one value.
    """
    if variant.units < 2 or control.units < 2:
        return None
    together = variant + control
    error = squared_error(
        (float(variant.units), float(control.units)),
        (float(variant.variance), float(control.variance)),
        float(together.variance),
    )
    if error <= 0 or not isfinite(error):
        return None
    deviation = sqrt(error)
    difference = float(variant.mean - control.mean)
    units = float(variant.units + control.units)
    rho_squared = mixture(tightest_units)
    reach = float(standard_errors(units, rho_squared)) * deviation
    return Difference(
        low=difference - reach,
        high=difference + reach,
        p_value=float(p_value(difference / deviation, units, rho_squared)),
    )
