"""Computes the frozen values, with gbstats 0.8.0 and savvi 0.2.0 in an environment of their own.

Both want numpy before 2, so they cannot be installed beside anabranch::

    python3.11 -m venv frozen && frozen/bin/pip install gbstats==0.8.0 savvi==0.2.0 matplotlib
    frozen/bin/python tests/oracles/freeze.py > tests/oracles/frozen.json
"""

import json
import sys
from importlib.metadata import version

import numpy as np
from gbstats.frequentist.tests import SequentialConfig, SequentialTwoSidedTTest
from gbstats.models.statistics import RatioStatistic, SampleMeanStatistic
from savvi.multinomial import Multinomial


def mean(values):
    return {"units": len(values), "total": float(values.sum()), "squares": float((values**2).sum())}


def ratio(over, under):
    return {
        **mean(over),
        "beside": float(under.sum()),
        "beside_squares": float((under**2).sum()),
        "cross": float((over * under).sum()),
    }


def statistic(arm):
    of = SampleMeanStatistic(n=arm["units"], sum=arm["total"], sum_squares=arm["squares"])
    if "beside" not in arm:
        return of
    under = SampleMeanStatistic(
        n=arm["units"], sum=arm["beside"], sum_squares=arm["beside_squares"]
    )
    return RatioStatistic(
        n=arm["units"], m_statistic=of, d_statistic=under, m_d_sum_of_products=arm["cross"]
    )


def sequential(control, variant, tuning):
    config = SequentialConfig(difference_type="absolute", sequential_tuning_parameter=tuning)
    test = SequentialTwoSidedTTest(statistic(control), statistic(variant), config)
    low, high = test.confidence_interval
    return {
        "control": control,
        "variant": variant,
        "tuning": tuning,
        "rho_squared": float(test.rho**2),
        "variances": [float(test.stat_a.variance), float(test.stat_b.variance)],
        "low": float(low),
        "high": float(high),
        "p_value": float(test.p_value),
    }


def sequentials():
    rng = np.random.default_rng(2103)
    for n, m in ((40, 60), (1_000, 1_000), (9_000, 31_000)):
        for tuning in (500, 5_000, 50_000):
            yield sequential(
                mean(rng.normal(1, 2, n).round(3)), mean(rng.normal(1.2, 3, m).round(3)), tuning
            )
            under = [rng.poisson(3, size) + 1.0 for size in (n, m)]
            over = [
                rng.binomial(u.astype(int), p) * 1.0
                for u, p in zip(under, (0.3, 0.33), strict=True)
            ]
            yield sequential(ratio(over[0], under[0]), ratio(over[1], under[1]), tuning)


def sample_ratios():
    rng = np.random.default_rng(2011)
    splits = ([0.5, 0.5], [0.25, 0.25, 0.5], [0.125, 0.875], [0.25, 0.25, 0.25, 0.25])
    for split in splits:
        for concentration in (100, 1_000):
            shares = np.array(split)
            watched = Multinomial(alpha=0.05, theta_0=shares, k=concentration)
            skewed = shares * np.linspace(1, 1.1, shares.size)
            for size in (10, 300, 5_000):
                watched.update(rng.multinomial(size, skewed / skewed.sum()))
                yield {
                    "shares": split,
                    "concentration": concentration,
                    "counts": watched.counts.tolist(),
                    "log_odds": float(np.log(watched.odds)),
                }


json.dump(
    {
        "versions": {name: version(name) for name in ("gbstats", "savvi")},
        "sequential": list(sequentials()),
        "sample_ratio": list(sample_ratios()),
    },
    sys.stdout,
    indent=1,
)
sys.stdout.write("\n")
