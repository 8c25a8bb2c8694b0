"""Sample ratio mismatch: do units arrive in the shares that the split promises?

Pearson's chi-square test of goodness of fit. A mismatch says that the experiment is broken
somewhere (lost exposures, redirects, bots), whatever its metrics show; see Fabijan et al.,
"Diagnosing sample ratio mismatch in online controlled experiments", KDD 2019.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from scipy.special import chdtrc

__all__ = ["LEAST_EXPECTED", "sample_ratio"]

LEAST_EXPECTED: Final = 5
"""Fewest expected units of an arm: below that the statistic does not follow chi-square (Cochran,
Biometrics 10, 1954) and one unit of a rare arm would raise a false alarm."""


def sample_ratio(units: Mapping[str, int], expected: Mapping[str, float]) -> float | None:
    """The p-value of the observed units given the expected shares.

    None where it cannot be told: no expectation, fewer than two arms that expect units, or fewer
    than :data:`LEAST_EXPECTED` units expected in one of them. Units in an arm that expects none
    are a mismatch for certain: 0.

    Args:
        units: Variant to its units.
        expected: Variant to its share; shares add up to 1.
    """
    arms = [variant for variant, share in expected.items() if share > 0]
    if not arms:
        return None
    if any(count > 0 and expected.get(variant, 0) <= 0 for variant, count in units.items()):
        return 0.0
    total = sum(units.get(variant, 0) for variant in arms)
    if len(arms) < 2 or total * min(expected[variant] for variant in arms) < LEAST_EXPECTED:
        return None
    statistic = sum(
        (units.get(variant, 0) - total * expected[variant]) ** 2 / (total * expected[variant])
        for variant in arms
    )
    return float(chdtrc(len(arms) - 1, statistic))
