"""Hillstrom's e-mail test straight from its file, and its statistics by scipy and numpy alone.

Nothing of anabranch is used here: this is what its results are held against.
"""

from __future__ import annotations

import csv
import gzip
import os
from dataclasses import dataclass
from functools import cache
from math import log, sqrt
from pathlib import Path
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import optimize, stats

SHARED = Path(os.environ.get("ANABRANCH_SHARED", Path(__file__).resolve().parents[3] / "shared"))
DATA = SHARED / "data" / "hillstrom.csv.gz"

needs_data = pytest.mark.skipif(
    not DATA.exists(), reason=f"Hillstrom's data is not at {DATA}: see examples/hillstrom"
)

ARMS: Final = {"No E-Mail": "control", "Mens E-Mail": "mens", "Womens E-Mail": "womens"}
METRICS: Final = {"visits": "visit", "conversions": "conversion", "spend": "spend"}


@dataclass(frozen=True)
class Expected:
    """A comparison; the intervals as low, high and p-value."""

    difference: float
    lift: float
    fixed: tuple[float, float, float]
    sequential: tuple[float, float, float]


@cache
def outcomes() -> dict[str, dict[str, NDArray[np.float64]]]:
    """Metric to arm to the outcome of each of its customers."""
    found: dict[str, dict[str, list[float]]] = {
        metric: {arm: [] for arm in ARMS.values()} for metric in METRICS
    }
    with gzip.open(DATA, "rt", newline="") as lines:
        for row in csv.DictReader(lines):
            for metric, column in METRICS.items():
                found[metric][ARMS[row["treatment"]]].append(float(row[column]))
    return {
        metric: {arm: np.array(values) for arm, values in arms.items()}
        for metric, arms in found.items()
    }


def expected(metric: str, arm: str) -> Expected:
    """The arm against control."""
    ours, theirs = outcomes()[metric][arm], outcomes()[metric]["control"]
    test = stats.ttest_ind(ours, theirs, equal_var=False)
    interval = test.confidence_interval(0.95)
    difference = ours.mean() - theirs.mean()
    return Expected(
        difference=float(difference),
        lift=float(difference / theirs.mean()),
        fixed=(interval.low, interval.high, test.pvalue),
        sequential=_sequence(ours, theirs),
    )


def _sequence(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> tuple[float, float, float]:
    """The formula as docs/statistics.md has it, written down once more."""
    both = np.concatenate([ours, theirs])
    separate = ours.var(ddof=1) / ours.size + theirs.var(ddof=1) / theirs.size
    pooled = both.var(ddof=1) * (1 / ours.size + 1 / theirs.size)
    error = sqrt(max(separate, pooled))
    tightest = optimize.brentq(lambda x: x - log(1 + x) - 2 * log(20), 1, 100, xtol=1e-14)
    x = both.size * tightest / 5_000
    difference = ours.mean() - theirs.mean()
    reach = error * sqrt((1 + 1 / x) * (log(1 + x) + 2 * log(20)))
    logarithm = 0.5 * log(1 + x) - (difference / error) ** 2 / 2 * x / (1 + x)
    return difference - reach, difference + reach, float(np.exp(min(0.0, logarithm)))
