"""Planning. Oracles: R's and G*Power's published figures, scipy's noncentral t, and trying it."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy import special, stats

from anabranch.metrics.power import (
    least_difference,
    least_difference_of_shares,
    power_of,
    units_per_arm,
    variance_of_share,
)

EVEN = (1.0, 1.0)


@pytest.mark.parametrize(
    ("difference", "units", "power"),
    [
        # R: power.t.test(n = 20, delta = 1, sd = 1), which leaves the far tail of 2e-7 out.
        (1.0, 20, 0.8689528),
        # G*Power's and Cohen's standing example: d = 0.5 takes 64 in each arm.
        (0.5, 64, 0.8014596),
    ],
)
def test_power_as_published(difference, units, power):
    assert power_of(difference, units=(units, units), variances=EVEN) == pytest.approx(
        power, abs=3e-7
    )


@pytest.mark.parametrize(
    ("difference", "power", "units"),
    [(0.2, 0.8, 394), (0.5, 0.8, 64), (0.8, 0.8, 26), (0.5, 0.95, 105), (1.0, 0.9, 23)],
)
def test_units_as_published(difference, power, units):
    """Cohen 1988, table 2.4.1 (its entries are rounded down from these by one at most)."""
    assert units_per_arm(difference, variances=EVEN, power=power) == (units, units)


@given(
    st.floats(0, 10),
    st.tuples(st.integers(2, 400), st.integers(2, 400)),
    st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
)
@example(3.0, (2, 2), (0.125, 0.125))
def test_power_is_the_normal_tail_averaged_over_the_chi_distribution(difference, units, variances):
    """Student's t by its definition, integrated by numbers; scipy's own nct knows no tails."""
    a, b = (v / n for v, n in zip(variances, units, strict=True))
    freedom = (a + b) ** 2 / (a**2 / (units[0] - 1) + b**2 / (units[1] - 1))
    shift = difference / sqrt(a + b)
    reach = stats.t.ppf(0.975, freedom) / sqrt(freedom)
    chi = stats.chi(freedom)

    def tails(quantile):
        at = reach * chi.ppf(quantile)
        return special.ndtr(shift - at) + special.ndtr(-shift - at)

    nodes, weights = np.polynomial.legendre.leggauss(400)
    expected = float(np.sum(weights / 2 * tails((nodes + 1) / 2)))
    assert power_of(difference, units=units, variances=variances) == pytest.approx(
        expected, abs=1e-4
    )


def test_no_difference_is_found_as_often_as_the_level_says():
    assert power_of(0.0, units=(50, 70), variances=(1.0, 4.0)) == pytest.approx(0.05)


@given(
    st.floats(0.02, 3),
    st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
    st.sampled_from([0.5, 0.8, 0.95]),
    st.sampled_from([0.25, 1.0, 3.0]),
)
def test_one_unit_fewer_would_not_do(difference, variances, power, ratio):
    variant, control = units_per_arm(difference, variances=variances, power=power, ratio=ratio)
    assert variant == -(-ratio * control // 1)
    assert power_of(difference, units=(variant, control), variances=variances) >= power
    fewer = (int(-(-ratio * (control - 1) // 1)), control - 1)
    if min(fewer) >= 2:
        assert power_of(difference, units=fewer, variances=variances) < power


@given(
    st.tuples(st.integers(5, 10**6), st.integers(5, 10**6)),
    st.tuples(st.floats(0.1, 10), st.floats(0.1, 10)),
)
def test_the_least_difference_has_just_that_power(units, variances):
    least = least_difference(units=units, variances=variances, power=0.8)
    assert power_of(least, units=units, variances=variances) == pytest.approx(0.8, abs=1e-6)


def test_the_least_difference_shrinks_with_the_root_of_the_units():
    small = least_difference(units=(1_000, 1_000), variances=EVEN)
    large = least_difference(units=(100_000, 100_000), variances=EVEN)
    assert small / large == pytest.approx(10, rel=1e-3)


def test_shares_lehrs_rule_of_sixteen():
    """16 p (1 - p) / d² in each arm for 80 % power; Lehr, Statistics in Medicine 11, 1992."""
    units, _ = units_per_arm(0.01, variances=(variance_of_share(0.105),) * 2)
    assert units == pytest.approx(16 * 0.105 * 0.895 / 0.01**2, rel=0.02)


def test_the_least_rise_of_a_share():
    rise = least_difference_of_shares(0.1, units=(15_000, 15_000))
    variances = (variance_of_share(0.1 + rise), variance_of_share(0.1))
    assert power_of(rise, units=(15_000, 15_000), variances=variances) == pytest.approx(0.8)
    assert 0.0098 < rise < 0.01


def test_no_rise_is_found_by_three_units_or_above_one():
    assert least_difference_of_shares(0.9, units=(3, 3)) is None
    assert least_difference_of_shares(1.0, units=(30, 30)) is None


def test_power_by_trying():
    rng = np.random.default_rng(5)
    ours = rng.normal(0.3, 2, (4_000, 120))
    theirs = rng.normal(0, 1, (4_000, 300))
    found = stats.ttest_ind(ours, theirs, axis=1, equal_var=False).pvalue <= 0.05
    expected = power_of(0.3, units=(120, 300), variances=(4.0, 1.0))
    assert found.mean() == pytest.approx(expected, abs=4 * sqrt(expected * (1 - expected) / 4_000))


@pytest.mark.parametrize(
    "call",
    [
        lambda: variance_of_share(1.2),
        lambda: power_of(1, units=(1, 5), variances=EVEN),
        lambda: power_of(1, units=(5, 5), variances=(0.0, 0.0)),
        lambda: power_of(1, units=(5, 5), variances=(-1.0, 2.0)),
        lambda: power_of(1, units=(5, 5), variances=EVEN, alpha=0),
        lambda: units_per_arm(0, variances=EVEN),
        lambda: units_per_arm(float("nan"), variances=EVEN),
        lambda: units_per_arm(1, variances=EVEN, ratio=0),
        lambda: units_per_arm(1, variances=EVEN, power=0.04),
        lambda: units_per_arm(1e-9, variances=EVEN),
        lambda: least_difference_of_shares(-0.1, units=(5, 5)),
    ],
)
def test_what_makes_no_sense_is_refused(call):
    with pytest.raises(ValueError):
        call()
