"""Streams of units in two arms, many at once, as the cumulative sums that results are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]
Counts = NDArray[np.int64]


@dataclass(frozen=True)
class Sums:
    """Cumulative sums of one arm, each of shape (streams, looks).

    Attributes:
        beside: Of second totals, where units have them; then of their squares, and products.
    """

    units: Numbers
    total: Numbers
    squares: Numbers
    beside: Numbers | float = 0.0
    beside_squares: Numbers | float = 0.0
    cross: Numbers | float = 0.0

    def __add__(self, other: Sums) -> Sums:
        return Sums(
            self.units + other.units,
            self.total + other.total,
            self.squares + other.squares,
            self.beside + other.beside,
            self.beside_squares + other.beside_squares,
            self.cross + other.cross,
        )


@dataclass(frozen=True)
class Streams:
    """What both arms have come to at every look."""

    variant: Sums
    control: Sums

    @property
    def units(self) -> Numbers:
        return self.variant.units + self.control.units


class Outcome(Protocol):
    """What units do: the sum and the sum of squares over each of many groups of them."""

    @property
    def mean(self) -> float: ...

    @property
    def variance(self) -> float: ...

    def draw(self, rng: np.random.Generator, units: Counts) -> tuple[Numbers, Numbers]:
        """Both sums for groups of so many units."""


class Pair(Protocol):
    """What units do where each has two totals: the one that is measured and the one beside it."""

    def __call__(
        self, rng: np.random.Generator, shape: tuple[int, ...]
    ) -> tuple[Numbers, Numbers]: ...


def clicks_per_view(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """Views of a unit, and how many of them it clicks: units differ in how readily they do."""
    views = 1 + rng.poisson(3.0, shape)
    clicks = rng.binomial(views, rng.beta(2.0, 18.0, shape))
    return clicks.astype(np.float64), views.astype(np.float64)


def as_before(rng: np.random.Generator, shape: tuple[int, ...]) -> tuple[Numbers, Numbers]:
    """Orders of a unit, and what it ordered before: units differ in how much they order."""
    rate = rng.standard_gamma(0.5, shape)
    return rng.poisson(rate).astype(np.float64), rng.poisson(rate).astype(np.float64)


@dataclass(frozen=True)
class Pairs:
    """Units that come one batch after another, alike in both arms, with two totals each."""

    share: float
    pair: Pair
    looks: int
    batch: int

    def draw(self, rng: np.random.Generator, streams: int) -> Streams:
        shape = (streams, self.looks, self.batch)
        measured, beside = self.pair(rng, shape)
        mine = rng.random(shape) < self.share
        of_variant, of_control = (
            Sums(
                *(
                    np.cumsum((arm * values).sum(axis=2), axis=1)
                    for values in (
                        np.ones(shape),
                        measured,
                        measured**2,
                        beside,
                        beside**2,
                        measured * beside,
                    )
                )
            )
            for arm in (mine, ~mine)
        )
        return Streams(of_variant, of_control)


class Source(Protocol):
    """Where streams come from; ``draw`` gives so many, watched to the end."""

    @property
    def looks(self) -> int: ...

    def draw(self, rng: np.random.Generator, streams: int) -> Streams: ...


@dataclass(frozen=True)
class Converts:
    """A unit converts or does not."""

    rate: float

    @property
    def mean(self) -> float:
        return self.rate

    @property
    def variance(self) -> float:
        return self.rate * (1 - self.rate)

    def draw(self, rng: np.random.Generator, units: Counts) -> tuple[Numbers, Numbers]:
        converted = rng.binomial(units, self.rate).astype(np.float64)
        return converted, converted


@dataclass(frozen=True)
class Normal:
    """A normal outcome.

    The sums of a group are drawn themselves: the mean is normal, and the squares around it are
    chi-square with one degree of freedom fewer than units, independently of it.
    """

    mean: float = 0.0
    deviation: float = 1.0

    @property
    def variance(self) -> float:
        return self.deviation**2

    def draw(self, rng: np.random.Generator, units: Counts) -> tuple[Numbers, Numbers]:
        count = units.astype(np.float64)
        total = self.mean * count + self.deviation * np.sqrt(count) * rng.standard_normal(
            count.shape
        )
        around = self.variance * 2 * rng.standard_gamma(np.maximum(count - 1, 0) / 2)
        return total, around + np.divide(total**2, count, where=count > 0, out=np.zeros_like(count))


@dataclass(frozen=True)
class Spends:
    """A unit buys, rarely, for a lognormal amount, or else spends nothing.

    Attributes:
        buyers: Share of units that buy.
        typical: Median amount.
        sigma: Standard deviation of the amount's logarithm.
    """

    buyers: float
    typical: float = 1.0
    sigma: float = 1.0

    @property
    def mean(self) -> float:
        return self.buyers * self.typical * float(np.exp(self.sigma**2 / 2))

    @property
    def variance(self) -> float:
        square = self.buyers * self.typical**2 * float(np.exp(2 * self.sigma**2))
        return square - self.mean**2

    def draw(self, rng: np.random.Generator, units: Counts) -> tuple[Numbers, Numbers]:
        bought = rng.binomial(units, self.buyers).ravel()
        amounts = self.typical * np.exp(self.sigma * rng.standard_normal(int(bought.sum())))
        group = np.repeat(np.arange(bought.size), bought)
        total, squares = (
            np.bincount(group, weights=values, minlength=bought.size).reshape(units.shape)
            for values in (amounts, amounts * amounts)
        )
        return total, squares


@dataclass(frozen=True)
class Arrivals:
    """Units come one batch after another, each to the variant with the same chance.

    Attributes:
        share: Chance that a unit comes to the variant.
        variant: What units of the variant do.
        control: What units of control do.
        looks: How often somebody looks.
        batch: Units that arrive between two looks.
    """

    share: float
    variant: Outcome
    control: Outcome
    looks: int
    batch: int

    def draw(self, rng: np.random.Generator, streams: int) -> Streams:
        arrived = rng.binomial(self.batch, self.share, (streams, self.looks))
        return Streams(
            _watched(rng, self.variant, arrived), _watched(rng, self.control, self.batch - arrived)
        )


@dataclass(frozen=True)
class Visits:
    """Units come in the first part of the looks and go on doing things until the last.

    Here a unit's total is not settled when it is first seen: it grows between the looks, which
    the theory does not cover. Units differ in how often they come (exponential rates).

    Attributes:
        arriving: Number of looks during which units still come.
        rate: Mean events of a unit between two looks.
        looks: How often somebody looks.
        per_stream: Units of a stream.
    """

    arriving: int
    rate: float
    looks: int
    per_stream: int

    def draw(self, rng: np.random.Generator, streams: int) -> Streams:
        cohort = np.arange(self.per_stream) * self.arriving // self.per_stream
        shape = (streams, self.per_stream)
        rates = self.rate * rng.standard_exponential(shape)
        mine = rng.random(shape) < 0.5
        totals = np.zeros(shape)
        kept: list[list[Numbers]] = [[], []]
        for look in range(self.looks):
            here = cohort <= look
            totals[:, here] += rng.poisson(rates[:, here])
            for arm, sums in zip((mine & here, ~mine & here), kept, strict=True):
                found = totals * arm
                sums.append(np.stack([arm.sum(1), found.sum(1), (found * found).sum(1)]))
        of_variant, of_control = (
            Sums(*np.moveaxis(np.asarray(sums, dtype=np.float64), 0, -1)) for sums in kept
        )
        return Streams(of_variant, of_control)


@dataclass(frozen=True)
class Splits:
    """Units that come to arms in given shares, whatever they do then.

    Attributes:
        shares: Chance of each arm.
    """

    shares: tuple[float, ...]
    looks: int
    batch: int

    def draw(self, rng: np.random.Generator, streams: int) -> Numbers:
        """Units of each arm at every look, of shape (streams, looks, arms)."""
        counts = rng.multinomial(self.batch, self.shares, (streams, self.looks))
        return np.cumsum(counts, axis=1).astype(np.float64)


def chunks(streams: int, at_once: int) -> Iterator[int]:
    """Sizes of parts that together are so many streams."""
    for start in range(0, streams, at_once):
        yield min(at_once, streams - start)


def _watched(rng: np.random.Generator, outcome: Outcome, units: Counts) -> Sums:
    total, squares = outcome.draw(rng, units)
    return Sums(
        np.cumsum(units, axis=1).astype(np.float64),
        np.cumsum(total, axis=1),
        np.cumsum(squares, axis=1),
    )
