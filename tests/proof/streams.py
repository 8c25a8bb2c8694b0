"""Streams of units in two arms, many at once, as the cumulative sums that results are made of."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

LOOKS = 200
BATCH = 250
"""Units that arrive between two looks: 50,000 in all."""


@dataclass(frozen=True)
class Sums:
    """Cumulative sums of one arm, each of shape (streams, looks)."""

    units: Numbers
    total: Numbers
    squares: Numbers


@dataclass(frozen=True)
class Streams:
    """What both arms have come to at every look."""

    variant: Sums
    control: Sums

    @property
    def units(self) -> Numbers:
        return self.variant.units + self.control.units


class Case(Protocol):
    """A kind of stream: how units are split and what they do."""

    name: str

    def draw(self, rng: np.random.Generator, streams: int) -> Iterator[Streams]:
        """So many streams, in chunks that fit into memory."""


@dataclass(frozen=True)
class Conversions:
    """Units that convert or do not.

    Attributes:
        share: Chance that a unit comes to the variant.
        rates: Chance that a unit of the variant, and of control, converts.
    """

    name: str
    share: float
    rates: tuple[float, float]
    looks: int = LOOKS
    batch: int = BATCH

    def draw(self, rng: np.random.Generator, streams: int) -> Iterator[Streams]:
        arrived = rng.binomial(self.batch, self.share, (streams, self.looks))
        of_variant, of_control = (
            _converted(rng, units, rate)
            for units, rate in zip((arrived, self.batch - arrived), self.rates, strict=True)
        )
        yield Streams(of_variant, of_control)


@dataclass(frozen=True)
class Revenue:
    """Units of which some buy for a lognormal amount, and the others for nothing.

    Attributes:
        share: Chance that a unit comes to the variant.
        buyers: Share of units that buy.
        sigma: Standard deviation of the amount's logarithm.
        lift: Factor of the variant's amounts.
    """

    name: str
    share: float
    buyers: float
    sigma: float
    lift: float = 1.0
    looks: int = LOOKS
    batch: int = BATCH

    def draw(self, rng: np.random.Generator, streams: int) -> Iterator[Streams]:
        chunk = 50
        for start in range(0, streams, chunk):
            shape = (min(chunk, streams - start), self.looks, self.batch)
            amounts = np.exp(self.sigma * rng.standard_normal(shape))
            if self.buyers < 1:
                amounts *= rng.random(shape) < self.buyers
            mine = rng.random(shape) < self.share
            arms = ((mine, self.lift), (~mine, 1.0))
            of_variant, of_control = (_added(amounts * arm * lift, arm) for arm, lift in arms)
            yield Streams(of_variant, of_control)


@dataclass(frozen=True)
class Visits:
    """Units that come in the first part of the looks and go on doing things until the last.

    Here a unit's total is not settled when it is first seen: it grows between the looks, which
    the theory does not cover.

    Attributes:
        arriving: Number of looks during which units still come.
        rate: Mean events of a unit between two looks; units differ (gamma, shape 1).
    """

    name: str
    arriving: int
    rate: float
    looks: int = 40
    per_stream: int = 4_000

    def draw(self, rng: np.random.Generator, streams: int) -> Iterator[Streams]:
        chunk = 50
        cohort = np.arange(self.per_stream) * self.arriving // self.per_stream
        for start in range(0, streams, chunk):
            count = min(chunk, streams - start)
            shape = (count, self.per_stream)
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
            yield Streams(of_variant, of_control)


def arrivals(
    rng: np.random.Generator,
    streams: int,
    shares: tuple[float, ...],
    looks: int = LOOKS,
    batch: int = BATCH,
) -> Numbers:
    """Units of each arm at every look, of shape (streams, looks, arms)."""
    counts = rng.multinomial(batch, shares, (streams, looks))
    return np.cumsum(counts, axis=1).astype(np.float64)


def _converted(rng: np.random.Generator, units: NDArray[np.int64], rate: float) -> Sums:
    total = np.cumsum(rng.binomial(units, rate), axis=1).astype(np.float64)
    return Sums(np.cumsum(units, axis=1).astype(np.float64), total, total)


def _added(values: Numbers, arm: NDArray[np.bool_]) -> Sums:
    return Sums(
        np.cumsum(arm.sum(axis=2), axis=1).astype(np.float64),
        np.cumsum(values.sum(axis=2), axis=1),
        np.cumsum(np.einsum("slu,slu->sl", values, values), axis=1),
    )
