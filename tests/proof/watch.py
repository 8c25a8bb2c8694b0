"""What somebody sees who watches: the project's own statistics, over many streams at once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from anabranch.metrics.sample_ratio import LEAST_EXPECTED, chi_square, log_bayes_factor
from anabranch.metrics.sequential import mixture, p_value, squared_error, standard_errors
from anabranch.metrics.welch import students_t
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


def fixed(streams: Streams, truth: float = 0.0) -> Seen:
    """The fixed-horizon test, had somebody looked then."""
    a, b = streams.variant, streams.control
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        errors = variance(a) / a.units, variance(b) / b.units
        reach, p = students_t(difference(streams), errors, (a.units, b.units))
        there = _both_have_two(streams) & (errors[0] + errors[1] > 0)
    return _seen(streams, truth, there, reach, p)


def sequential(streams: Streams, truth: float = 0.0, rho_squared: float | None = None) -> Seen:
    """The sequential interval."""
    a, b = streams.variant, streams.control
    rho_squared = mixture() if rho_squared is None else rho_squared
    with np.errstate(invalid="ignore", divide="ignore"):
        together = Sums(a.units + b.units, a.total + b.total, a.squares + b.squares)
        error = squared_error((a.units, b.units), (variance(a), variance(b)), variance(together))
        deviation = np.sqrt(error)
        reach = standard_errors(streams.units, rho_squared) * deviation
        p = p_value(difference(streams) / deviation, streams.units, rho_squared)
        there = _both_have_two(streams) & (error > 0)
    return _seen(streams, truth, there, reach, p)


def difference(streams: Streams) -> Numbers:
    """Variant's mean less control's."""
    a, b = streams.variant, streams.control
    return a.total / a.units - b.total / b.units


def variance(sums: Sums) -> Numbers:
    """Unbiased; results have it from exact numbers, which is the same but for rounding."""
    n = sums.units
    found: Numbers = np.maximum(0, (sums.squares - sums.total**2 / n) / (n - 1))
    return found


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


def _seen(
    streams: Streams, truth: float, there: NDArray[np.bool_], reach: Numbers, p: Numbers
) -> Seen:
    with np.errstate(invalid="ignore"):
        off = there & (np.abs(difference(streams) - truth) > reach)
    return Seen(np.where(there, p, 1.0), off, np.where(there, reach, np.inf))
