"""Sample ratio mismatch: do units arrive in the shares that the split promises?

A mismatch says that the experiment is broken somewhere (lost exposures, redirects, bots),
whatever its metrics show; see Fabijan et al., "Diagnosing sample ratio mismatch in online
controlled experiments", KDD 2019. Two tests: Pearson's chi-square for one look at a planned size,
and for any number of looks the sequential multinomial test of Lindon and Malek, "Anytime-valid
inference for multinomial count data", NeurIPS 2022.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, gammaln, xlogy

__all__ = [
    "CONCENTRATION",
    "LEAST_EXPECTED",
    "chi_square",
    "log_bayes_factor",
    "sample_ratio",
    "sequential_sample_ratio",
]

LEAST_EXPECTED: Final = 5
"""Fewest expected units of an arm: below that the statistic does not follow chi-square (Cochran,
Biometrics 10, 1954) and one unit of a rare arm would raise a false alarm."""

CONCENTRATION: Final = 1_000.0
"""How closely the alternative's shares lie around the expected ones: as if so many units had been
seen. The test is then sharpest near 8,000 units at 5 % and 17,000 at 0.1 %, and little worse above;
ten times as much finds smaller mismatches in millions of units, and large ones later."""


def sample_ratio(units: Mapping[str, int], expected: Mapping[str, float]) -> float | None:
    """The p-value of the observed units given the expected shares.

    By chi-square. None where it cannot be told: no expectation, fewer than two arms that expect
    units, or fewer than :data:`LEAST_EXPECTED` units expected in one of them. Units in an arm that
    expects none are a mismatch for certain: 0.

    Args:
        units: Variant to its units.
        expected: Variant to its share; shares add up to 1.
    """
    arms = [variant for variant, share in expected.items() if share > 0]
    if not arms:
        return None
    if _unexpected(units, expected):
        return 0.0
    total = sum(units.get(variant, 0) for variant in arms)
    if len(arms) < 2 or total * min(expected[variant] for variant in arms) < LEAST_EXPECTED:
        return None
    found = chi_square(
        np.array([units.get(variant, 0) for variant in arms], dtype=np.float64),
        np.array([expected[variant] for variant in arms]),
    )
    return float(found)


def sequential_sample_ratio(
    units: Mapping[str, int],
    expected: Mapping[str, float],
    *,
    concentration: float = CONCENTRATION,
) -> float | None:
    """The p-value of the observed units, valid at any moment for any number of looks.

    It is 1/B, at most 1, with the Bayes factor B of now: whatever the rule for stopping, the
    chance that it is at most alpha is at most alpha if units do come in the expected shares. B is
    a function of the counts, so neither batches nor the order of units matter, and no state is
    kept. The smallest value over the looks so far is a valid p-value too (it is the paper's); it
    belongs to whoever looks.

    There is no least number of units: the test is exact. None without expectation or with fewer
    than two arms that expect units. Units in an arm that expects none are a certain mismatch: 0.

    Args:
        units: Variant to its units.
        expected: Variant to its share; shares add up to 1.
        concentration: See :data:`CONCENTRATION`; to be chosen before the data are seen.
    """
    arms = [variant for variant, share in expected.items() if share > 0]
    if not arms:
        return None
    if _unexpected(units, expected):
        return 0.0
    if len(arms) < 2:
        return None
    found = log_bayes_factor(
        np.array([units.get(variant, 0) for variant in arms], dtype=np.float64),
        np.array([expected[variant] for variant in arms]),
        concentration,
    )
    return float(np.exp(-max(0.0, float(found))))


def chi_square(counts: NDArray[np.float64], shares: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's chi-square test.

    Args:
        counts: Units, with the arms along the last axis; there must be some.
        shares: Positive expected share of each arm.

    Returns:
        One p-value for each vector of counts.
    """
    expected = np.sum(counts, axis=-1, keepdims=True) * shares
    statistic = np.sum((counts - expected) ** 2 / expected, axis=-1)
    found: NDArray[np.float64] = np.asarray(chdtrc(shares.size - 1, statistic))
    return found


def log_bayes_factor(
    counts: NDArray[np.float64],
    shares: NDArray[np.float64],
    concentration: float = CONCENTRATION,
) -> NDArray[np.float64]:
    """Log of the odds that the counts give for shares drawn from a Dirichlet around the expected.

    The likelihood of a sequence of units averaged over Dirichlet(concentration * shares), over
    its likelihood under the shares themselves (Lindon and Malek, section 3).

    Args:
        counts: Units, with the arms along the last axis.
        shares: Positive expected share of each arm.
        concentration: Sum of the Dirichlet's parameters.

    Returns:
        One number for each vector of counts.
    """
    prior = concentration * shares
    averaged = (
        np.sum(gammaln(prior + counts) - gammaln(prior), axis=-1)
        + gammaln(concentration)
        - gammaln(concentration + np.sum(counts, axis=-1))
    )
    found: NDArray[np.float64] = averaged - np.sum(xlogy(counts, shares), axis=-1)
    return found


def _unexpected(units: Mapping[str, int], expected: Mapping[str, float]) -> bool:
    return any(count > 0 and expected.get(variant, 0) <= 0 for variant, count in units.items())
