"""Sequential intervals beside gbstats, the sequential sample ratio beside savvi: frozen values."""

import json
from fractions import Fraction
from math import sqrt
from pathlib import Path

import numpy as np
import pytest

from anabranch.metrics.sample_ratio import log_bayes_factor, sequential_sample_ratio
from anabranch.metrics.samples import RatioSample, Sample
from anabranch.metrics.sequential import mixture, p_value, sequential, standard_errors

FROZEN = json.loads(Path(__file__).with_name("frozen.json").read_text(encoding="utf-8"))


def arm(found):
    exact = {name: Fraction(value) for name, value in found.items() if name != "units"}
    return (RatioSample if "beside" in found else Sample)(units=found["units"], **exact)


@pytest.mark.parametrize("case", FROZEN["sequential"], ids=range(len(FROZEN["sequential"])))
def test_the_boundary_and_the_p_value_are_those_of_gbstats(case):
    control, variant = arm(case["control"]), arm(case["variant"])
    variances = [float(control.variance), float(variant.variance)]
    assert variances == pytest.approx(case["variances"], rel=1e-9)
    # gbstats takes separate variances; ours takes the larger of them and the pooled one.
    error = sqrt(sum(v / a.units for v, a in zip(variances, (control, variant), strict=True)))
    difference = float(variant.mean - control.mean)
    units = control.units + variant.units
    reach = standard_errors(units, case["rho_squared"]) * error
    assert (difference - reach, difference + reach) == pytest.approx((case["low"], case["high"]))
    assert p_value(difference / error, units, case["rho_squared"]) == pytest.approx(case["p_value"])


@pytest.mark.parametrize(
    "case",
    [c for c in FROZEN["sequential"] if c["tuning"] == 5_000],
    ids=lambda case: str(case["control"]["units"]),
)
def test_intervals_are_those_of_gbstats_or_a_little_wider(case):
    found = sequential(arm(case["variant"]), arm(case["control"]))
    # Tuned exactly where gbstats has an approximation, and never narrower than by pooled variance.
    assert found.high - found.low >= (case["high"] - case["low"]) * 0.99
    if case["control"]["units"] == case["variant"]["units"]:
        assert (found.low, found.high) == pytest.approx((case["low"], case["high"]), rel=0.05)


def test_tuning_by_lambert_w_is_near_the_approximation_and_better():
    for case in FROZEN["sequential"]:
        units = case["tuning"]
        ours = standard_errors(units, mixture(units))
        theirs = standard_errors(units, case["rho_squared"])
        assert ours <= theirs <= 1.01 * ours


@pytest.mark.parametrize("case", FROZEN["sample_ratio"], ids=range(len(FROZEN["sample_ratio"])))
def test_the_sequential_sample_ratio_is_that_of_savvi(case):
    counts, shares = np.array(case["counts"], dtype=float), np.array(case["shares"])
    found = log_bayes_factor(counts, shares, case["concentration"])
    assert found == pytest.approx(case["log_odds"], rel=1e-6, abs=1e-6)
    names = [str(i) for i in range(shares.size)]
    told = sequential_sample_ratio(
        dict(zip(names, case["counts"], strict=True)),
        dict(zip(names, case["shares"], strict=True)),
        concentration=case["concentration"],
    )
    assert told == pytest.approx(min(1.0, np.exp(-case["log_odds"])), rel=1e-6)
