"""What somebody sees who watches: the project's own statistics, over many streams at once."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from anabranch.metrics.sample_ratio import LEAST_EXPECTED, chi_square, log_bayes_factor
from anabranch.metrics.sequential import mixture, p_value, squared_error, standard_errors
from anabranch.metrics.welch import CONFIDENCE, freedom_of, students_t
from tests.proof.streams import Numbers, Streams, Sums


@dataclass(frozen=True)
class Seen:
    """A statistic at every look of every stream, each of shape (streams, looks).

    Attributes:
        p_value: 1 where there is none yet.
        off: Whether the interval excludes the true difference; False where there is none yet.
        reach: Half the interval's width; infinite where there is none yet.
    """

    p_value: Numbers
    off: NDArray[np.bool_]
    reach: Numbers


Estimate = Literal["mean", "ratio", "adjusted", "lift"]
"""What is compared: means, ratios, means adjusted for what units did before, or means as a lift."""


def fixed(streams: Streams, truth: float = 0.0, estimate: Estimate = "mean") -> Seen:
    """The fixed-horizon test, had somebody looked then."""
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        a, b, difference, variance = _prepared(streams, estimate)
        if estimate == "lift":
            errors = mean_variance(a) / a.units, mean_variance(b) / b.units
            freedom = freedom_of(errors, (a.units, b.units))
            return _lift(streams, errors, stdtrit(freedom, (1 + CONFIDENCE) / 2), truth)
        errors = variance(a) / a.units, variance(b) / b.units
        reach, p = students_t(difference, errors, (a.units, b.units))
        there = _both_have_two(streams) & (errors[0] + errors[1] > 0)
    return _seen(difference - truth, there, reach, p)


def sequential(streams: Streams, truth: float = 0.0, estimate: Estimate = "mean") -> Seen:
    """The sequential interval."""
    rho_squared = mixture()
    with np.errstate(invalid="ignore", divide="ignore"):
        a, b, difference, variance = _prepared(streams, estimate)
        error = squared_error((a.units, b.units), (variance(a), variance(b)), variance(a + b))
        if estimate == "lift":
            errors = variance(a) / a.units, variance(b) / b.units
            grown = error / (errors[0] + errors[1])
            reach = standard_errors(streams.units, rho_squared)
            return _lift(streams, (errors[0] * grown, errors[1] * grown), reach, truth)
        deviation = np.sqrt(error)
        reach = standard_errors(streams.units, rho_squared) * deviation
        p = p_value(difference / deviation, streams.units, rho_squared)
        there = _both_have_two(streams) & (error > 0)
    return _seen(difference - truth, there, reach, p)


def _lift(streams: Streams, errors: tuple[Numbers, Numbers], reach: Numbers, truth: float) -> Seen:
    """Fieller's interval, as :func:`~anabranch.metrics.lift.fieller` has it; it has no p-value of
    its own, so 0 where it excludes no lift at all."""
    ours, theirs = (arm.total / arm.units for arm in (streams.variant, streams.control))
    bounded = theirs**2 - reach**2 * errors[1]
    spread = reach * np.sqrt(np.maximum(errors[0] * bounded + errors[1] * ours**2, 0))
    low, high = (ours * theirs - spread) / bounded - 1, (ours * theirs + spread) / bounded - 1
    there = _both_have_two(streams) & (errors[0] + errors[1] > 0) & (bounded > 0)
    return Seen(
        np.where(there & ((low > 0) | (high < 0)), 0.0, 1.0),
        there & ((low > truth) | (high < truth)),
        np.where(there, (high - low) / 2, np.inf),
    )


def _prepared(
    streams: Streams, estimate: Estimate
) -> tuple[Sums, Sums, Numbers, Callable[[Sums], Numbers]]:
    """Both arms, their difference, and the variance over units of what is compared."""
    a, b = streams.variant, streams.control
    if estimate == "ratio":
        return a, b, a.total / a.beside - b.total / b.beside, ratio_variance
    if estimate == "adjusted":
        a, b = adjusted(a, b)
    return a, b, a.total / a.units - b.total / b.units, mean_variance


def mean_variance(sums: Sums) -> Numbers:
    """Unbiased; results have it from exact numbers, which is the same but for rounding."""
    n = sums.units
    found: Numbers = np.maximum(0, (sums.squares - sums.total**2 / n) / (n - 1))
    return found


def ratio_variance(sums: Sums) -> Numbers:
    """By the delta method, as :class:`~anabranch.metrics.samples.RatioSample` has it."""
    n, ratio = sums.units, sums.total / sums.beside
    around = sums.squares - 2 * ratio * sums.cross + ratio**2 * sums.beside_squares
    found: Numbers = np.maximum(0, around / (n - 1) * (n / sums.beside) ** 2)
    return found


def adjusted(a: Sums, b: Sums) -> tuple[Sums, Sums]:
    """With what units did before taken out, as :func:`~anabranch.metrics.samples.adjust` does."""
    shared = sum(s.cross - s.total * s.beside / s.units for s in (a, b))
    spread = sum(s.beside_squares - s.beside**2 / s.units for s in (a, b))
    theta = np.where(spread > 0, shared / spread, 0.0)
    shift = theta * (a.beside + b.beside) / (a.units + b.units)
    of_a, of_b = (
        Sums(
            s.units,
            s.total - theta * s.beside + s.units * shift,
            s.squares
            - 2 * theta * s.cross
            + theta**2 * s.beside_squares
            + 2 * shift * (s.total - theta * s.beside)
            + s.units * shift**2,
        )
        for s in (a, b)
    )
    return of_a, of_b


def split_fixed(units: Numbers, shares: tuple[float, ...]) -> Numbers:
    """The chi-square test's p-values; 1 where results give none."""
    expected = np.array(shares)
    enough = units.sum(axis=-1) * expected.min() >= LEAST_EXPECTED
    return np.where(enough, chi_square(units, expected), 1.0)


def split_sequential(units: Numbers, shares: tuple[float, ...]) -> Numbers:
    """The sequential test's p-values."""
    found: Numbers = np.exp(-np.maximum(0, log_bayes_factor(units, np.array(shares))))
    return found


def _both_have_two(streams: Streams) -> NDArray[np.bool_]:
    return np.minimum(streams.variant.units, streams.control.units) >= 2


def _seen(off_by: Numbers, there: NDArray[np.bool_], reach: Numbers, p: Numbers) -> Seen:
    with np.errstate(invalid="ignore"):
        off = there & (np.abs(off_by) > reach)
    return Seen(np.where(there, p, 1.0), off, np.where(there, reach, np.inf))
