"""Quantiles by DDSketch, with a relative error of at most 1 %.

Masson, Rim and Lee, "DDSketch: a fast and fully-mergeable quantile sketch with relative-error
guarantees", PVLDB 12(12), 2019, without the collapsing of bins (the magnitudes that
:mod:`~anabranch.metrics.exact` takes need fewer than 6,000 bins).

A sketch here is nothing but its bins, ``{name: count}``: plain JSON in state and on the wire,
merged by adding counts and taken back by subtracting them, which is why this is not the
``ddsketch`` package: its stores can be merged but not subtracted, and a retracted observation must
leave no trace. The order of additions does not matter.

A bin's name is ``"7"`` for positive values in (gamma^6, gamma^7], ``"n7"`` for negative values of
that magnitude, ``"z"`` for zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import ceil, log
from typing import Final

__all__ = ["RELATIVE_ERROR", "add_bins", "bin_of", "bounds_of", "ordered", "quantile", "with_idle"]

RELATIVE_ERROR: Final = 0.01
_GAMMA: Final = (1 + RELATIVE_ERROR) / (1 - RELATIVE_ERROR)
_LOG_GAMMA: Final = log(_GAMMA)


def bin_of(value: float) -> str:
    """The name of the bin that the value falls into."""
    if value > 0:
        return str(ceil(log(value) / _LOG_GAMMA))
    if value < 0:
        return f"n{ceil(log(-value) / _LOG_GAMMA)}"
    return "z"


def add_bins(bins: dict[str, int], more: Mapping[str, int], sign: int = 1) -> None:
    """Merge ``more`` into ``bins`` in place, or take it out with ``sign=-1``; no zeros are kept."""
    for name, count in more.items():
        total = bins.get(name, 0) + sign * count
        if total:
            bins[name] = total
        else:
            bins.pop(name, None)


def quantile(bins: Mapping[str, int], q: float) -> float | None:
    """An estimate of the q-quantile, 0 <= q <= 1; None of an empty sketch.

    Of n values in ascending order it estimates the one at index ``floor(q * (n - 1))``, which is
    what the paper and numpy's ``method="lower"`` take: always a value that occurred, never one
    between two. The estimate is within :data:`RELATIVE_ERROR` of that value.
    """
    total = sum(bins.values())
    if total <= 0:
        return None
    rank = int(q * (total - 1))
    seen = 0
    estimate = 0.0
    for position, name in sorted((_position(name), name) for name in bins):
        seen += bins[name]
        estimate = _value(name, position)
        if seen > rank:
            break
    return estimate


def with_idle(units: int, bins: Mapping[str, int]) -> Mapping[str, int]:
    """A sketch of so many units' totals, where those that did nothing were left out."""
    idle = units - sum(bins.values())
    return {**bins, "z": bins.get("z", 0) + idle} if idle else bins


def ordered(bins: Iterable[str]) -> list[str]:
    """The bins' names by the values in them, ascending."""
    return sorted(bins, key=_position)


def bounds_of(name: str) -> tuple[float, float]:
    """Least and greatest value that falls into the bin."""
    sign, index = _position(name)
    if sign == 1:
        return 0.0, 0.0
    if sign == 2:
        return _GAMMA ** (index - 1), _GAMMA**index
    return -(_GAMMA**-index), -(_GAMMA ** (-index - 1))


def _position(name: str) -> tuple[int, int]:
    """Sorts bins by the values in them: negative from the largest magnitude, zero, positive."""
    if name == "z":
        return (1, 0)
    if name.startswith("n"):
        return (0, -int(name[1:]))
    return (2, int(name))


def _value(name: str, position: tuple[int, int]) -> float:
    """The point of the bin that is equally far, in relative terms, from both of its ends."""
    if name == "z":
        return 0.0
    sign, index = (-1.0, -position[1]) if position[0] == 0 else (1.0, position[1])
    return float(sign * 2.0 * _GAMMA**index / (_GAMMA + 1.0))
