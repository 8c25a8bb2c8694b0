"""Quantiles of two arms compared, with intervals: over units, and over the events of units.

Both read the arms' sketches (:mod:`~anabranch.metrics.sketch`) and ask of each boundary between
two bins whether the arm's true quantile can lie below it, or above it. An arm's interval runs over
the bins that are left, to their outer edges, so that it holds what the sketch rounds away as well.

**Over units** their totals are independent. With k of n totals at or below the q-quantile, k is
binomial or, where values are tied there, stochastically larger; those strictly below, smaller.

- Sequential: Howard and Ramdas, "Sequential estimation of quantiles with applications to A/B
  testing and best-arm identification", Bernoulli 28(3), 2022, with its beta-binomial mixture, one
  for each side: likelihood ratios of k against q, averaged over rates on one side of q by a Beta
  cut off at q. Each is a supermartingale from 1 at any n, exactly, ties or not.
- Fixed: ranks of order statistics by the binomial distribution (Thompson, Annals of Mathematical
  Statistics 7, 1936), exact too.

**Over events** those of one unit are not independent. The q-quantile is where the units' sums of
(events at or below it - q times events) have mean zero (Deng, Knoblich and Lu, KDD 2018). With
:class:`EventQuantiles` that sum's variance over units is known at every bin, so the mean is tested
there: by the normal mixture of :mod:`~anabranch.metrics.sequential`, or by Student's t.

**A difference** excludes zero, sequentially, where both arms' intervals at half the level are
apart: a union of two, which holds whatever the dependence. Fixed, the arms' intervals at the full
level are put together as two independent ones (Newcombe, Statistics in Medicine 17, 1998; Zou and
Donner, Statistics in Medicine 27, 2008: "MOVER"), which is right for many units.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, hypot, inf, isfinite
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray
from scipy.special import bdtr, bdtrc, betainc, betaln, stdtr, xlogy

from anabranch.metrics.sequential import TIGHTEST_UNITS, mixture
from anabranch.metrics.sequential import p_value as mixture_p_value
from anabranch.metrics.sketch import bounds_of, ordered
from anabranch.metrics.welch import CONFIDENCE, Difference

__all__ = ["EventQuantiles", "Quantiles", "UnitQuantiles", "fixed", "sequential"]

Floats = NDArray[np.float64]

Span = tuple[float, float]

_ALPHA: Final = 1 - CONFIDENCE

_STEPS: Final = 50
"""Halvings in the search of a fixed p-value: its logarithm to within 1e-12 of its range."""

_LEAST_LOG: Final = -700.0
"""Logarithm of the least p-value that is told."""


class Quantiles(Protocol):
    """One arm's evidence on where its quantile lies.

    Its methods give two p-values for each number of bins, from none to all of them: of the
    quantile lying no higher than those first bins, and of its lying above them. ``lower`` and
    ``upper`` are the bins' edges, in ascending order.
    """

    @property
    def lower(self) -> Floats: ...

    @property
    def upper(self) -> Floats: ...

    def sequential(self, q: float) -> tuple[Floats, Floats]: ...

    def fixed(self, q: float) -> tuple[Floats, Floats]: ...


@dataclass(frozen=True, slots=True)
class UnitQuantiles:
    """Totals of independent units, sketched.

    Attributes:
        units: How many there are.
        below: Units in the first bins, for each number of them.
        lower: The bins' lower edges.
        upper: The bins' upper edges.
    """

    units: int
    below: Floats
    lower: Floats
    upper: Floats

    @classmethod
    def of(cls, units: int, bins: Mapping[str, int]) -> UnitQuantiles:
        """From a sketch of all units' totals."""
        names = ordered(bins)
        lower, upper = _edges(names)
        return cls(units, _cumulated(bins, names), lower, upper)

    def sequential(self, q: float) -> tuple[Floats, Floats]:
        n = float(self.units)
        # Few at or below a bin speak for a quantile above it, many for one not above it.
        return (
            np.exp(-_one_sided(self.below, n, q)),
            np.exp(-_one_sided(n - self.below, n, 1 - q)),
        )

    def fixed(self, q: float) -> tuple[Floats, Floats]:
        n = self.units
        falls = np.where(self.below > 0, bdtrc(np.maximum(self.below - 1, 0), n, q), 1.0)
        return np.asarray(bdtr(self.below, n, q)), falls


@dataclass(frozen=True, slots=True)
class EventQuantiles:
    """Values of events whose units are independent, sketched, with what pairs of them tell.

    With Y a unit's events in the first bins, for each number of them, and n in all, over units:

    Attributes:
        units: How many there are, those without an event included.
        below: Sum of Y.
        squares: Sum of Y².
        products: Sum of n Y.
        lower: The bins' lower edges.
        upper: The bins' upper edges.
    """

    units: int
    below: Floats
    squares: Floats
    products: Floats
    lower: Floats
    upper: Floats

    @classmethod
    def of(
        cls,
        units: int,
        bins: Mapping[str, int],
        pairs: Mapping[str, int],
        others: Mapping[str, int],
    ) -> EventQuantiles:
        """From a sketch of the values and what :mod:`~anabranch.metrics.pairs` adds to it."""
        names = ordered(bins)
        lower, upper = _edges(names)
        below = _cumulated(bins, names)
        return cls(
            units,
            below,
            below + 2 * _cumulated(pairs, names),
            below + _cumulated(others, names),
            lower,
            upper,
        )

    def _deviations(self, q: float) -> Floats:
        """The mean of Y - q n over units, in standard errors, for each bin."""
        units = float(self.units)
        total = self.below - q * self.below[-1]
        square = self.squares - 2 * q * self.products + q * q * self.squares[-1]
        spread = np.maximum(square - total * total / units, 0.0) * units / (units - 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            found: Floats = np.where(spread > 0, total / np.sqrt(spread), np.sign(total) * inf)
        return found

    def sequential(self, q: float) -> tuple[Floats, Floats]:
        if self.units < 2:
            return np.ones_like(self.below), np.ones_like(self.below)
        z = self._deviations(q)
        p = mixture_p_value(z, np.full_like(z, self.units), mixture(TIGHTEST_UNITS, _ALPHA / 2))
        # Two-sided at its level, so at half of it on either side together with the other.
        return np.where(z < 0, p / 2, 1.0), np.where(z > 0, p / 2, 1.0)

    def fixed(self, q: float) -> tuple[Floats, Floats]:
        if self.units < 2:
            return np.ones_like(self.below), np.ones_like(self.below)
        z = self._deviations(q)
        freedom = float(self.units - 1)
        return np.asarray(stdtr(freedom, z)), np.asarray(stdtr(freedom, -z))


def sequential(variant: Quantiles, control: Quantiles, q: float) -> Difference | None:
    """Compare the variant's quantile with control's; 95 % over all looks together.

    None while either arm's interval is open to a side.
    """
    ours, theirs = variant.sequential(q), control.sequential(q)
    low, high = _interval(variant, ours, _ALPHA / 4)
    their_low, their_high = _interval(control, theirs, _ALPHA / 4)
    if not all(map(isfinite, (low, high, their_low, their_high))):
        return None
    p = min(
        _p_of_order(variant, ours, control, theirs), _p_of_order(control, theirs, variant, ours)
    )
    return Difference(low - their_high, high - their_low, min(1.0, 4 * p))


def fixed(variant: Quantiles, control: Quantiles, q: float, estimates: Span) -> Difference | None:
    """Compare the variant's quantile with control's, looked at once, at 95 % confidence.

    None while either arm's interval is open to a side.

    Args:
        variant: An arm.
        control: Another.
        q: Which quantile, between 0 and 1.
        estimates: Of the variant's quantile and control's.
    """
    ours, theirs = variant.fixed(q), control.fixed(q)

    def at(level: float) -> Span:
        return _mover(
            _interval(variant, ours, level / 2), _interval(control, theirs, level / 2), estimates
        )

    low, high = at(_ALPHA)
    if not (isfinite(low) and isfinite(high)):
        return None

    def excludes_zero(exponent: float) -> bool:
        found = at(exp(exponent))
        return found[0] > 0 or found[1] < 0

    return Difference(low, high, _least_level(excludes_zero))


def _one_sided(few: Floats, n: float, q: float) -> Floats:
    """Logarithm of the evidence that so few of n come of a rate of q or more.

    Likelihood ratios of rates r < q against q, averaged over a Beta(a, b) with mean q that is cut
    off at q. With a + b = s its variance is q (1 - q) / (s + 1): as in sequential means, that sets
    where the boundary is tightest.
    """
    s = 1 / mixture(TIGHTEST_UNITS // 2, _ALPHA / 4)
    a, b = s * q, s * (1 - q)
    with np.errstate(divide="ignore"):
        found = (
            np.log(betainc(a + few, b + n - few, q))
            + betaln(a + few, b + n - few)
            - np.log(betainc(a, b, q))
            - betaln(a, b)
            - xlogy(few, q)
            - xlogy(n - few, 1 - q)
        )
    evidence: Floats = np.maximum(found, 0.0)
    return evidence


def _edges(names: list[str]) -> tuple[Floats, Floats]:
    edges = [bounds_of(name) for name in names]
    return np.array([low for low, _ in edges]), np.array([high for _, high in edges])


def _cumulated(bins: Mapping[str, int], names: list[str]) -> Floats:
    found: Floats = np.cumsum([0.0, *(float(bins.get(name, 0)) for name in names)])
    return found


def _interval(arm: Quantiles, evidence: tuple[Floats, Floats], side: float) -> Span:
    """Where the quantile can lie: no p-value of its lying below or above is at most ``side``."""
    too_low, too_high = evidence[0] <= side, evidence[1] <= side
    # argmax finds the first that holds, and is 0 where none does.
    last_low = too_low.size - 1 - int(too_low[::-1].argmax())
    first_high = int(too_high.argmax())
    last = arm.lower.size - 1
    return (
        float(arm.lower[min(last_low, last)]) if too_low[last_low] else -inf,
        float(arm.upper[max(first_high - 1, 0)]) if too_high[first_high] else inf,
    )


def _p_of_order(
    above: Quantiles,
    of_above: tuple[Floats, Floats],
    below: Quantiles,
    of_below: tuple[Floats, Floats],
) -> float:
    """The least level of each side at which one arm's interval lies above the other's."""
    rises, falls = of_above[0][:-1], of_below[1]
    # For each lower end of the one, the highest upper end of the other below it.
    fits = np.searchsorted(below.upper, above.lower, side="left")
    return float(np.min(np.maximum(rises, falls[fits]), initial=1.0))


def _mover(ours: Span, theirs: Span, estimates: Span) -> Span:
    """Two independent intervals and their estimates as one of the difference."""
    (low, high), (their_low, their_high) = ours, theirs
    our_estimate, their_estimate = estimates
    difference = our_estimate - their_estimate
    return (
        difference - hypot(our_estimate - low, their_high - their_estimate),
        difference + hypot(high - our_estimate, their_estimate - their_low),
    )


def _least_level(excludes_zero: Callable[[float], bool]) -> float:
    """The p-value: the least level at which the interval excludes zero, from its logarithm."""
    low, high = _LEAST_LOG, 0.0
    if not excludes_zero(high):
        return 1.0
    for _ in range(_STEPS):
        middle = (low + high) / 2
        low, high = (low, middle) if excludes_zero(middle) else (middle, high)
    return exp(high)
