"""Several p-values at once: adjusted, so that each can be held against the one level.

Nothing in results is adjusted: which comparisons belong together (all metrics, all variants, only
the primary metric) is known to whoever reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["benjamini_hochberg", "holm"]


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the chance of even one false alarm (family-wise error).

    Holm, "A simple sequentially rejective multiple test procedure", Scandinavian Journal of
    Statistics 6, 1979. Holds whatever the dependence, and for anytime-valid p-values of one moment.

    Args:
        p_values: Each between 0 and 1.

    Returns:
        One for each, in the given order: reject where it is at most the level.

    Raises:
        ValueError: a number is not between 0 and 1.
    """
    order = _ascending(p_values)
    adjusted = [0.0] * len(order)
    most = 0.0
    for rank, index in enumerate(order):
        most = max(most, min(1.0, (len(order) - rank) * p_values[index]))
        adjusted[index] = most
    return adjusted


def benjamini_hochberg(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values that bound the expected share of false alarms among all alarms.

    Benjamini and Hochberg, "Controlling the false discovery rate", Journal of the Royal
    Statistical Society B 57, 1995. Holds for p-values that are independent or positively dependent
    (Benjamini and Yekutieli, Annals of Statistics 29, 2001), as those of several metrics often are;
    not whatever the dependence.

    Args:
        p_values: Each between 0 and 1.

    Returns:
        One for each, in the given order: reject where it is at most the level.

    Raises:
        ValueError: a number is not between 0 and 1.
    """
    order = _ascending(p_values)
    adjusted = [0.0] * len(order)
    least = 1.0
    for rank in range(len(order), 0, -1):
        index = order[rank - 1]
        # A p-value times m/m can come out above itself by a rounding error; times 1.0 it cannot.
        least = min(least, p_values[index] * (len(order) / rank))
        adjusted[index] = least
    return adjusted


def _ascending(p_values: Sequence[float]) -> list[int]:
    for p_value in p_values:
        if not 0 <= p_value <= 1:
            raise ValueError(f"a p-value lies between 0 and 1, which {p_value} does not")
    return sorted(range(len(p_values)), key=p_values.__getitem__)
