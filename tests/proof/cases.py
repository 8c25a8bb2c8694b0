"""What is tried: streams in which there is nothing to find, streams in which there is, limits."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from anabranch.metrics.power import units_per_arm
from tests.proof.ranks import OverEvents, OverUnits, Ranks
from tests.proof.streams import (
    Arrivals,
    Converts,
    Normal,
    Outcome,
    Pairs,
    Source,
    Spends,
    Splits,
    Visits,
    as_before,
    clicks_per_view,
)
from tests.proof.watch import Estimate

LOOKS: Final = 200
BATCH: Final = 250
"""Units that arrive between two looks: 50,000 in all."""


@dataclass(frozen=True)
class Watching:
    """Somebody watches a difference.

    Attributes:
        truth: The true difference of means; 0 is nothing to find.
        planned: Units of both arms with which the fixed test would find it, at 80 % power.
        bounded: Whether the sequential interval promises its error here; else it is a known limit.
        estimate: What is compared: means, ratios, means adjusted for a covariate, or the lift.
    """

    name: str
    source: Source
    truth: float = 0.0
    planned: int | None = None
    bounded: bool = True
    estimate: Estimate = "mean"


@dataclass(frozen=True)
class Ranking:
    """Somebody watches a difference of quantiles."""

    name: str
    source: Ranks

    @property
    def truth(self) -> float:
        """The true difference; 0 is nothing to find."""
        return self.source.truth


@dataclass(frozen=True)
class Counting:
    """Somebody watches how units split.

    Attributes:
        expected: Shares that the split promises.
        source: How units do come.
    """

    name: str
    expected: tuple[float, ...]
    source: Splits
    alpha: float

    @property
    def even(self) -> bool:
        """Whether units come as promised: nothing to find."""
        return self.expected == self.source.shares


HILLSTROM: Final = Spends(0.009, 82.0, 0.84)
"""Like the spend in Hillstrom's e-mail test: 578 of 64,000 bought, for 116 dollars on average, the
logarithm with a standard deviation of 0.84."""
HEAVY: Final = Spends(0.05, 20.0, 1.5)


def _same(share: float, outcome: Outcome, looks: int = LOOKS, batch: int = BATCH) -> Arrivals:
    return Arrivals(share, outcome, outcome, looks, batch)


NOTHING_TO_FIND: Final = (
    Watching("10 % convert", _same(0.5, Converts(0.1))),
    Watching("10 % convert, split 10 : 90", _same(0.1, Converts(0.1))),
    Watching("1 % convert", _same(0.5, Converts(0.01))),
    Watching("1 % convert, split 10 : 90", _same(0.1, Converts(0.01))),
    Watching("1 % convert, split 90 : 10", _same(0.9, Converts(0.01))),
    Watching("normal", _same(0.5, Normal())),
    Watching("normal, split 2 : 98", _same(0.02, Normal())),
    Watching("spend like Hillstrom's", _same(0.5, HILLSTROM)),
    Watching("spend like Hillstrom's, split 10 : 90", _same(0.1, HILLSTROM)),
    Watching("heavy-tailed spend", _same(0.5, HEAVY)),
    Watching("heavy-tailed spend, split 10 : 90", _same(0.1, HEAVY)),
    Watching("normal, variances 9 and 1", Arrivals(0.5, Normal(0, 3), Normal(), LOOKS, BATCH)),
    Watching(
        "normal, variances 9 and 1, split 10 : 90",
        Arrivals(0.1, Normal(0, 3), Normal(), LOOKS, BATCH),
    ),
    Watching("50 % convert, a look every 10 units", _same(0.5, Converts(0.5), 2_000, 10)),
    Watching("1 % convert, a look every 10 units", _same(0.5, Converts(0.01), 2_000, 10)),
    Watching("clicks per view", Pairs(0.5, clicks_per_view, 80, 125), estimate="ratio"),
    Watching(
        "clicks per view, split 10 : 90",
        Pairs(0.1, clicks_per_view, 80, 125),
        estimate="ratio",
    ),
    Watching("orders adjusted", Pairs(0.5, as_before, 80, 125), estimate="adjusted"),
    Watching("orders adjusted, split 10 : 90", Pairs(0.1, as_before, 80, 125), estimate="adjusted"),
    Watching("lift where 10 % convert", _same(0.5, Converts(0.1)), estimate="lift"),
    Watching("lift where 1 % convert, split 10 : 90", _same(0.1, Converts(0.01)), estimate="lift"),
    Watching("lift of spend like Hillstrom's", _same(0.5, HILLSTROM), estimate="lift"),
    Watching("visits that go on", Visits(arriving=20, rate=0.5, looks=40, per_stream=4_000)),
)

LIFTED: Final = (
    Watching(
        "lift of 10 %, where 10 % convert",
        Arrivals(0.5, Converts(0.11), Converts(0.1), LOOKS, BATCH),
        truth=0.1,
        estimate="lift",
    ),
    Watching(
        "lift of 30 %, of spend like Hillstrom's",
        Arrivals(
            0.5,
            Spends(HILLSTROM.buyers * 1.3, HILLSTROM.typical, HILLSTROM.sigma),
            HILLSTROM,
            LOOKS,
            BATCH,
        ),
        truth=0.3,
        estimate="lift",
    ),
)
"""The interval of the lift has to hold the true lift, whatever that is."""

RANKS: Final = (
    Ranking("median of units", OverUnits(0.5)),
    Ranking("p90 of units", OverUnits(0.9)),
    Ranking("p90 of units, split 10 : 90", OverUnits(0.9, share=0.1)),
    Ranking("p90 of events, units alike in theirs", OverEvents(0.9)),
    Ranking("median of units, 10 % higher", OverUnits(0.5, factor=1.1)),
    Ranking("p90 of units, 10 % higher", OverUnits(0.9, factor=1.1)),
)

_PLANNED_LOOKS: Final = 50


def _planned(name: str, variant: Outcome, control: Outcome, share: float = 0.5) -> Watching:
    truth = variant.mean - control.mean
    arms = units_per_arm(
        truth, variances=(variant.variance, control.variance), ratio=share / (1 - share)
    )
    batch = -(-sum(arms) // _PLANNED_LOOKS)
    return Watching(
        name,
        Arrivals(share, variant, control, 4 * _PLANNED_LOOKS, batch),
        truth=truth,
        planned=batch * _PLANNED_LOOKS,
    )


def _larger(name: str, plan: Watching, variant: Outcome) -> Watching:
    """As planned, but the effect is another."""
    source = plan.source
    assert isinstance(source, Arrivals)
    return Watching(
        name,
        Arrivals(source.share, variant, source.control, source.looks, source.batch),
        truth=variant.mean - source.control.mean,
        planned=plan.planned,
    )


_CONVERTING = _planned("10 % convert, 11 % of the variant", Converts(0.11), Converts(0.1))

SOMETHING_TO_FIND: Final = (
    _CONVERTING,
    _larger("… but it is 11.5 %", _CONVERTING, Converts(0.115)),
    _larger("… but it is 12 %", _CONVERTING, Converts(0.12)),
    _planned("1 % convert, 1.2 % of the variant", Converts(0.012), Converts(0.01)),
    _planned("10 % convert, 11 %, split 10 : 90", Converts(0.11), Converts(0.1), 0.1),
    _planned("normal, 0.1 deviations", Normal(0.1), Normal()),
    _planned(
        "spend like Hillstrom's, 30 % more buyers",
        Spends(HILLSTROM.buyers * 1.3, HILLSTROM.typical, HILLSTROM.sigma),
        HILLSTROM,
    ),
)

LIMITS: Final = (
    Watching(
        "a quarter of the buyers, four times the amount",
        Arrivals(0.5, Spends(0.0025, 80.0, 0.84), Spends(0.01, 20.0, 0.84), LOOKS, BATCH),
        bounded=False,
    ),
    Watching(
        "the same, split 10 : 90, ten times the buyers",
        Arrivals(0.1, Spends(0.025, 80.0, 0.84), Spends(0.1, 20.0, 0.84), LOOKS, BATCH),
        bounded=False,
    ),
)
"""Equal means of arms whose rare large outcomes differ in kind: the theory holds only in the limit,
and these streams show how far it is."""


def _counting(
    name: str,
    expected: tuple[float, ...],
    shares: tuple[float, ...] | None = None,
    alpha: float = 0.05,
) -> Counting:
    return Counting(name, expected, Splits(shares or expected, LOOKS, BATCH), alpha)


SPLITS: Final = (
    _counting("1 : 1", (0.5, 0.5)),
    _counting("1 : 1", (0.5, 0.5), alpha=0.001),
    _counting("1 : 1 : 2", (0.25, 0.25, 0.5)),
    _counting("1 : 99", (0.01, 0.99)),
    _counting("1 : 99", (0.01, 0.99), alpha=0.001),
    _counting("ten arms alike", (0.1,) * 10),
    _counting("1 : 1, but 2 % of one arm are lost", (0.5, 0.5), (0.98 / 1.98, 1 / 1.98), 0.001),
    _counting("1 : 1, but 5 % of one arm are lost", (0.5, 0.5), (0.95 / 1.95, 1 / 1.95), 0.001),
    _counting("1 : 1, but 10 % of one arm are lost", (0.5, 0.5), (0.9 / 1.9, 1 / 1.9), 0.001),
)
