"""Streams of values of which a quantile is watched, as the sketches that results are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
from scipy.stats import norm

from anabranch.metrics.quantiles import EventQuantiles, Quantiles, UnitQuantiles
from anabranch.metrics.sketch import bin_of, bounds_of
from tests.proof.streams import Counts, Numbers

_MEDIAN: Final = 100.0
_SIGMA: Final = 0.5
_BEYOND: Final = 6.0
"""Standard deviations from the median within which all values are kept."""


@dataclass(frozen=True)
class Look:
    """What both arms have come to at one look."""

    units: int
    variant: Quantiles
    control: Quantiles
    estimates: tuple[float, float]


class Ranks(Protocol):
    """Where streams come from: each is watched to its end."""

    @property
    def looks(self) -> int: ...

    @property
    def truth(self) -> float:
        """The true difference of the quantiles."""
        ...

    @property
    def q(self) -> float: ...

    def watch(self, rng: np.random.Generator) -> Iterator[Look]: ...


class Bins:
    """The sketch's bins that values of these streams can fall into."""

    def __init__(self, largest: float) -> None:
        low, high = np.exp(np.array([-_BEYOND, _BEYOND]) * _SIGMA * 2) * (_MEDIAN, largest)
        edges = [bounds_of(str(k)) for k in range(int(bin_of(low)), int(bin_of(high)) + 1)]
        self.lower = np.array([low for low, _ in edges])
        self.upper = np.array([high for _, high in edges])

    def of(self, values: Numbers) -> Counts:
        return np.clip(np.searchsorted(self.upper, values), 0, self.upper.size - 1)

    def cut(self, there: slice, *cumulated: Numbers) -> list[Numbers]:
        """Cumulated sums of the bins that are there, with those bins' edges."""
        ends = slice(there.start, there.stop + 1)
        return [*(sums[ends] for sums in cumulated), self.lower[there], self.upper[there]]

    def estimate(self, below: Numbers, q: float) -> float:
        """As the sketch gives it: the middle of the bin in which the rank lies."""
        at = int(np.searchsorted(below[1:], q * (below[-1] - 1), side="right"))
        low, high = self.lower[at], self.upper[at]
        return float(2 * low * high / (low + high))


def _occupied(below: Numbers) -> slice:
    """The bins from the first to the last that has something in it."""
    return slice(
        int(np.searchsorted(below, 0, side="right")) - 1, int(np.searchsorted(below, below[-1]))
    )


@dataclass(frozen=True)
class OverUnits:
    """Units with a lognormal total each; those of the variant have ``factor`` times as much."""

    q: float
    factor: float = 1.0
    share: float = 0.5
    looks: int = 20
    batch: int = 500

    @property
    def truth(self) -> float:
        return (self.factor - 1) * _MEDIAN * float(np.exp(_SIGMA * norm.ppf(self.q)))

    def watch(self, rng: np.random.Generator) -> Iterator[Look]:
        bins = Bins(_MEDIAN * self.factor)
        counts = np.zeros((2, bins.upper.size))
        for _ in range(self.looks):
            mine = rng.random(self.batch) < self.share
            values = _MEDIAN * np.exp(_SIGMA * rng.standard_normal(self.batch))
            values[mine] *= self.factor
            at = bins.of(values)
            for arm, of_arm in enumerate((mine, ~mine)):
                counts[arm] += np.bincount(at[of_arm], minlength=bins.upper.size)
            arms, estimates = [], []
            for of_arm in counts:
                below = np.concatenate([[0.0], np.cumsum(of_arm)])
                there = _occupied(below)
                arms.append(UnitQuantiles(int(below[-1]), *bins.cut(there, below)))
                estimates.append(bins.estimate(below, self.q))
            yield Look(int(counts.sum()), *arms, (estimates[0], estimates[1]))


@dataclass(frozen=True)
class OverEvents:
    """Units with one event or more, whose values are alike: half of the spread is the unit's own."""

    q: float
    share: float = 0.5
    looks: int = 20
    batch: int = 250
    truth: float = 0.0

    def watch(self, rng: np.random.Generator) -> Iterator[Look]:
        bins = Bins(_MEDIAN)
        sums = np.zeros((2, 3, bins.upper.size + 1))
        units = np.zeros(2, dtype=int)
        for _ in range(self.looks):
            mine = rng.random(self.batch) < self.share
            events = 1 + rng.poisson(2.0, self.batch)
            unit = np.repeat(np.arange(self.batch), events)
            own = rng.standard_normal(self.batch)[unit] + rng.standard_normal(unit.size)
            at = bins.of(_MEDIAN * np.exp(_SIGMA * own / np.sqrt(2)))
            table = np.zeros((self.batch, bins.upper.size + 1))
            np.add.at(table, (unit, at + 1), 1.0)
            below = np.cumsum(table, axis=1)
            for arm, of_arm in enumerate((mine, ~mine)):
                y, n = below[of_arm], events[of_arm][:, None]
                units[arm] += int(of_arm.sum())
                sums[arm] += y.sum(0), (y * y).sum(0), (n * y).sum(0)
            arms = [
                EventQuantiles(int(count), *bins.cut(_occupied(of_arm[0]), *of_arm))
                for count, of_arm in zip(units, sums, strict=True)
            ]
            estimates = [bins.estimate(of_arm[0], self.q) for of_arm in sums]
            yield Look(int(units.sum()), *arms, (estimates[0], estimates[1]))
