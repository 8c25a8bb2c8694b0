"""Trying a case on many streams: how often a statistic says something, and when."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from anabranch.metrics import quantiles
from anabranch.metrics.welch import CONFIDENCE
from tests.proof import watch
from tests.proof.cases import Counting, Ranking, Watching
from tests.proof.streams import Numbers, Pairs, Visits, chunks

ALPHA: Final = 1 - CONFIDENCE
CERTAINTY: Final = 0.999
"""A share above the bound's quantile of this order is no accident of so many streams."""

Advance = Callable[[int], None]
"""Told how many streams were done."""


@dataclass
class Tally:
    """How many streams had been called by each look.

    Attributes:
        called: By look, streams called at it or before.
        at: By look, streams called at it, whatever came before.
    """

    called: Numbers
    at: Numbers

    @classmethod
    def empty(cls, looks: int) -> Tally:
        return cls(np.zeros(looks), np.zeros(looks))

    def add(self, calls: NDArray[np.bool_]) -> None:
        self.at += calls.sum(axis=0)
        self.called += np.logical_or.accumulate(calls, axis=1).sum(axis=0)

    @property
    def ever(self) -> float:
        """Streams called at some look."""
        return float(self.called[-1])


@dataclass
class Trial:
    """What came of a case.

    Attributes:
        fixed: Calls by the fixed-horizon test.
        sequential: Calls by the sequential one.
        off: By look, streams whose sequential interval had excluded the truth by then.
    """

    case: Watching | Ranking | Counting
    streams: int
    units: Numbers
    fixed: Tally
    sequential: Tally
    off: Tally
    stopped: list[int] = field(default_factory=list)

    def share(self, count: float) -> float:
        return float(count) / self.streams

    @property
    def alpha(self) -> float:
        """The level that the calls were made at."""
        return self.case.alpha if isinstance(self.case, Counting) else ALPHA

    @property
    def limit(self) -> float:
        """The largest share of errors that the promised bound still explains."""
        return float(stats.binom.ppf(CERTAINTY, self.streams, self.alpha)) / self.streams

    @property
    def error(self) -> float | None:
        """Share of streams with a sequential error; None where there is no error to be made."""
        if isinstance(self.case, Counting):
            return self.share(self.sequential.ever) if self.case.even else None
        return self.share(self.off.ever)

    @property
    def promised(self) -> bool:
        """Whether there is a bound to hold."""
        bounded = self.case.bounded if isinstance(self.case, Watching) else True
        return bounded and self.error is not None

    @property
    def holds(self) -> bool:
        return not self.promised or self.error is None or self.error <= self.limit


def watching(case: Watching, streams: int, seed: int, advance: Advance) -> Trial:
    """Look at every stream after every batch."""
    rng = _rng(case.name, seed)
    looks = case.source.looks
    trial = Trial(case, streams, np.zeros(looks), *(Tally.empty(looks) for _ in range(3)))
    for count in chunks(streams, _at_once(case)):
        drawn = case.source.draw(rng, count)
        trial.units = drawn.units[0]
        fixed, sequential = (
            look(drawn, case.truth, case.estimate) for look in (watch.fixed, watch.sequential)
        )
        trial.fixed.add(fixed.p_value <= ALPHA)
        calls = sequential.p_value <= ALPHA
        trial.sequential.add(calls)
        trial.off.add(sequential.off)
        ever = calls.any(axis=1)
        trial.stopped += list(drawn.units[0][calls.argmax(axis=1)[ever]].astype(int))
        advance(count)
    return trial


def ranking(case: Ranking, streams: int, seed: int, advance: Advance) -> Trial:
    """Look at the quantiles of every stream after every batch."""
    rng = _rng(case.name, seed)
    source, truth = case.source, case.truth
    trial = Trial(
        case, streams, np.zeros(source.looks), *(Tally.empty(source.looks) for _ in "123")
    )
    for _ in range(streams):
        seen = np.zeros((3, 1, source.looks), dtype=bool)
        for number, look in enumerate(source.watch(rng)):
            trial.units[number] = look.units
            once = quantiles.fixed(look.variant, look.control, source.q, look.estimates)
            found = quantiles.sequential(look.variant, look.control, source.q)
            seen[0, 0, number] = once is not None and once.p_value <= ALPHA
            if found is not None:
                seen[1, 0, number] = found.p_value <= ALPHA
                seen[2, 0, number] = not found.low <= truth <= found.high
        for tally, calls in zip((trial.fixed, trial.sequential, trial.off), seen, strict=True):
            tally.add(calls)
        if seen[1].any():
            trial.stopped.append(int(trial.units[seen[1, 0].argmax()]))
        advance(1)
    return trial


def counting(case: Counting, streams: int, seed: int, advance: Advance) -> Trial:
    """Count the units of every stream after every batch."""
    rng = _rng(f"{case.name} at {case.alpha}", seed)
    looks = case.source.looks
    trial = Trial(case, streams, np.zeros(looks), *(Tally.empty(looks) for _ in range(3)))
    for count in chunks(streams, 250):
        units = case.source.draw(rng, count)
        trial.units = units[0].sum(axis=-1)
        trial.fixed.add(watch.split_fixed(units, case.expected) <= case.alpha)
        calls = watch.split_sequential(units, case.expected) <= case.alpha
        trial.sequential.add(calls)
        ever = calls.any(axis=1)
        trial.stopped += list(trial.units[calls.argmax(axis=1)[ever]].astype(int))
        advance(count)
    return trial


def _at_once(case: Watching) -> int:
    """So many streams that they fit into memory."""
    return 50 if isinstance(case.source, Visits | Pairs) else max(1, 100_000 // case.source.looks)


def _rng(name: str, seed: int) -> np.random.Generator:
    """A case's own numbers, the same whichever others are tried."""
    return np.random.default_rng([seed, *name.encode()])
