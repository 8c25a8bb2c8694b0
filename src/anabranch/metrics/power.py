"""Before an experiment: how many units it needs, and what difference it can find.

For the two-sided fixed test of a difference of means (:mod:`~anabranch.metrics.welch`), looked at
once. Power is that of Student's t with the noncentral t distribution, after Cohen, "Statistical
power analysis for the behavioral sciences", 1988, with Satterthwaite's degrees of freedom for
variances and sizes that differ. A share is the mean of zeros and ones: its variance comes from
:func:`variance_of_share`.

Somebody who watches with the sequential interval and stops when it excludes zero may need more
units than the fixed test if the difference is as planned, and fewer if it is larger;
docs/statistics.md has figures.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil, inf, isfinite, isnan, sqrt

from scipy.special import nctdtr, ndtri, stdtrit

from anabranch.metrics.welch import CONFIDENCE

__all__ = [
    "least_difference",
    "least_difference_of_shares",
    "power_of",
    "units_per_arm",
    "variance_of_share",
]

_MOST_UNITS = 10**15


def variance_of_share(share: float) -> float:
    """Variance over units of which that share converts.

    Raises:
        ValueError: it is not between 0 and 1.
    """
    if not 0 <= share <= 1:
        raise ValueError(f"a share lies between 0 and 1, which {share} does not")
    return share * (1 - share)


def power_of(
    difference: float,
    *,
    units: tuple[float, float],
    variances: tuple[float, float],
    alpha: float = 1 - CONFIDENCE,
) -> float:
    """The chance that the fixed test finds a true difference.

    Args:
        difference: Of the means.
        units: Of the variant, and of control; at least two each.
        variances: Over units, of the variant and of control; not both zero.
        alpha: The test's level.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(variances, alpha)
    if min(units) < 2:
        raise ValueError(f"each arm needs two units or more, not {units}")
    parts = [variance / count for variance, count in zip(variances, units, strict=True)]
    error = sum(parts)
    freedom = 1 / sum(
        (part / error) ** 2 / (count - 1) for part, count in zip(parts, units, strict=True)
    )
    shift = abs(difference) / sqrt(error)
    reach = float(stdtrit(freedom, 1 - alpha / 2))
    missed = _below(freedom, shift, reach) - _below(freedom, shift, -reach)
    return min(1.0, max(0.0, 1 - missed))


def units_per_arm(
    difference: float,
    *,
    variances: tuple[float, float],
    power: float = 0.8,
    ratio: float = 1.0,
    alpha: float = 1 - CONFIDENCE,
) -> tuple[int, int]:
    """The fewest units of the variant, and of control, with which the fixed test has that power.

    Args:
        difference: The true difference of the means, not zero.
        variances: Over units, of the variant and of control.
        power: Chance to find it.
        ratio: Units of the variant for each unit of control.
        alpha: The test's level.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(variances, alpha, power)
    if not difference or not isfinite(difference):
        raise ValueError(f"no number of units finds a difference of {difference}")
    if not 0 < ratio < inf:
        raise ValueError(f"the ratio of units must be positive, not {ratio}")

    def sizes(control: int) -> tuple[int, int]:
        return ceil(ratio * control), control

    def enough(control: int) -> bool:
        return (
            min(sizes(control)) >= 2
            and power_of(difference, units=sizes(control), variances=variances, alpha=alpha)
            >= power
        )

    # The normal approximation is a little too few: the search goes up from it by growing steps.
    quantiles = float(ndtri(1 - alpha / 2)) + float(ndtri(power))
    spread = variances[0] / ratio + variances[1]
    guess = max(2.0, spread * max(0.0, quantiles) ** 2 / difference**2)
    if guess > _MOST_UNITS:
        raise ValueError(f"a difference of {difference} would take more than {_MOST_UNITS} units")
    above, step = ceil(guess), 1
    below = above
    while not enough(above):
        below, above, step = above, above + step, 2 * step
    step = 1
    while enough(below):  # never of one unit
        below, above, step = max(1, below - step), below, 2 * step
    while above - below > 1:
        middle = (above + below) // 2
        below, above = (below, middle) if enough(middle) else (middle, above)
    return sizes(above)


def least_difference(
    *,
    units: tuple[float, float],
    variances: tuple[float, float],
    power: float = 0.8,
    alpha: float = 1 - CONFIDENCE,
) -> float:
    """The smallest difference of means that the fixed test finds with that power.

    Raises:
        ValueError: an argument is out of range.
    """
    _check(variances, alpha, power)

    def found(difference: float) -> float:
        return power_of(difference, units=units, variances=variances, alpha=alpha)

    unit = sqrt(sum(v / n for v, n in zip(variances, units, strict=True)))
    most = unit
    while found(most) < power:
        most *= 2
    return _smallest(found, most, power)


def least_difference_of_shares(
    share: float,
    *,
    units: tuple[float, float],
    power: float = 0.8,
    alpha: float = 1 - CONFIDENCE,
) -> float | None:
    """The smallest rise of a share that the fixed test finds with that power.

    The variant's variance follows from its own share. None where not even a rise to 1 is found.

    Args:
        share: Control's, at least 0 and below 1; ``1 - share`` gives the smallest fall.
        units: Of the variant, and of control.
        power: Chance to find it.
        alpha: The test's level.

    Raises:
        ValueError: an argument is out of range.
    """
    of_control = variance_of_share(share)
    _check((1.0, of_control), alpha, power)

    def found(rise: float) -> float:
        variances = (variance_of_share(min(1.0, share + rise)), of_control)
        if not any(variances):
            return 1.0
        return power_of(rise, units=units, variances=variances, alpha=alpha)

    most = 1 - share
    return None if most <= 0 or found(most) < power else _smallest(found, most, power)


def _below(freedom: float, shift: float, at: float) -> float:
    """Chance that the noncentral t lies below; scipy gives NaN in places, all below 1e-9."""
    found = float(nctdtr(freedom, shift, at))
    return 0.0 if isnan(found) else found


def _smallest(found: Callable[[float], float], most: float, power: float) -> float:
    """The smallest difference up to ``most`` that has the power, which grows with it."""
    least = 0.0
    while True:
        middle = (least + most) / 2
        if not least < middle < most or most - least < 1e-13 * most:
            return most
        least, most = (least, middle) if found(middle) >= power else (middle, most)


def _check(variances: tuple[float, float], alpha: float, power: float = 0.5) -> None:
    if min(variances) < 0 or not 0 < sum(variances) < inf:
        raise ValueError(f"variances must not be negative, nor both zero: {variances}")
    if not 0 < alpha < 1 or not alpha < power < 1:
        raise ValueError(
            f"the level must lie between 0 and 1, and the power between it and 1: "
            f"not {alpha} and {power}"
        )
