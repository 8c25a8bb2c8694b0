"""The probability of each arm to be the best: a Bayesian view of what the intervals show.

With a flat prior and many units, an arm's true mean is normal around what was seen, with its
standard error (the Bernstein-von Mises theorem; van der Vaart, "Asymptotic Statistics", 1998,
chapter 10). The arms' means are independent, so the chance that one of them exceeds all others is
one integral of densities and distribution functions.

It decides nothing: it says nothing of how much better an arm is, and whoever stops as soon as it
reaches 95 % calls differences that are not there far oftener than once in twenty times (Deng, Lu
and Chen, "Continuous monitoring of A/B tests without pain", DSAA 2016, on what optional stopping
does and does not spoil). The sequential interval is what may be watched.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from scipy.special import ndtr

from anabranch.metrics.samples import Arm

__all__ = ["probabilities_to_be_best"]

_REACH = 9.0
_POINTS = 200


def probabilities_to_be_best(arms: Sequence[Arm], *, increase: bool = True) -> list[float] | None:
    """One probability for each arm; they add up to 1.

    Args:
        arms: At least two, each of at least two units.
        increase: Whether more is better.

    Returns:
        None with fewer arms or units, or where all units of an arm have one value.
    """
    if len(arms) < 2 or any(arm.units < 2 for arm in arms):
        return None
    sign = 1.0 if increase else -1.0
    means = np.array([sign * float(arm.mean) for arm in arms])
    deviations = np.array([sqrt(float(arm.variance / arm.units)) for arm in arms])
    if not (np.all(deviations > 0) and np.all(np.isfinite(deviations))):
        return None
    # Points where any of the distribution functions moves, so that none of them is stepped over.
    steps = np.linspace(-_REACH, _REACH, _POINTS)
    points = np.unique((means[:, None] + deviations[:, None] * steps).ravel())
    below = ndtr((points - means[:, None]) / deviations[:, None])
    middles = (below[:, 1:] + below[:, :-1]) / 2
    masses = np.diff(below, axis=1)
    found = [
        float(np.sum(masses[i] * np.prod(np.delete(middles, i, axis=0), axis=0)))
        for i in range(len(arms))
    ]
    total = sum(found)
    return [share / total for share in found]
