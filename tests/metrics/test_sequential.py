"""The sequential interval. Oracles: the papers' own formulas, and numerical integration by scipy."""

from fractions import Fraction
from math import exp, inf, log, pi, sqrt

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import integrate, optimize, stats

from anabranch.metrics.sequential import (
    mixture,
    p_value,
    sequential,
    squared_error,
    standard_errors,
)
from anabranch.metrics.welch import Sample, welch


def sample(values):
    exact = [Fraction(str(v)) for v in values]
    return Sample(len(exact), sum(exact), sum(v * v for v in exact))


def share(units, converted):
    return Sample(units, Fraction(converted), Fraction(converted))


arms = st.lists(st.integers(-1000, 1000).map(lambda v: v / 8), min_size=2, max_size=40)
counts = st.integers(2, 10**9).map(float)
levels = st.floats(1e-6, 0.5)


@given(counts, st.floats(1e-9, 10), levels)
def test_the_boundary_is_the_papers(units, rho_squared, alpha):
    """Waudby-Smith et al., the interval of their Theorem 2.2, for a variance of one."""
    t, rho2 = units, rho_squared
    paper = sqrt(2 * (t * rho2 + 1) / (t**2 * rho2) * log(sqrt(t * rho2 + 1) / alpha))
    reach = standard_errors(units, rho_squared, alpha)
    assert reach * sqrt(1 / t) == pytest.approx(paper, rel=1e-12)


@pytest.mark.parametrize("z", [0.0, 0.5, 2.0, 3.5])
@pytest.mark.parametrize("units", [10.0, 5_000.0, 200_000.0])
def test_the_martingale_is_the_likelihood_ratio_averaged_over_a_normal_of_variance_rho_squared(
    z, units
):
    """Robbins' mixture, integrated by numbers: M = E[exp(l S - l² N / 2)], l ~ N(0, rho²)."""
    rho_squared = mixture()
    score = z * sqrt(units)
    width = sqrt(rho_squared)

    def integrand(slope):
        return exp(slope * score - slope**2 * units / 2 - slope**2 / (2 * rho_squared)) / (
            width * sqrt(2 * pi)
        )

    peak = score * rho_squared / (units * rho_squared + 1)
    spread = 12 * sqrt(rho_squared / (units * rho_squared + 1))
    found, _ = integrate.quad(integrand, peak - spread, peak + spread, epsrel=1e-12)
    assert p_value(z, units, rho_squared) == pytest.approx(min(1.0, 1 / found), rel=1e-9)


@given(st.floats(-4, 4), st.integers(100, 10**5), st.integers(1, 10**5))
def test_whatever_is_known_so_far_the_martingale_is_not_expected_to_change(z, units, more):
    """The property that Ville's inequality needs, over the next observations' normal sum."""
    rho_squared = mixture()
    nodes, weights = np.polynomial.hermite_e.hermegauss(180)

    def martingale(score, at):
        x = at * rho_squared
        return np.exp(score**2 / at / 2 * x / (1 + x)) / np.sqrt(1 + x)

    score = z * sqrt(units)
    later = martingale(score + sqrt(more) * nodes, float(units + more))
    expected = float(np.sum(weights * later) / sqrt(2 * pi))
    # The tails of the quadrature suffice where the mixture has not grown steep.
    assume(more * rho_squared < 4)
    assert expected == pytest.approx(float(martingale(score, float(units))), rel=1e-6)


@given(st.floats(0, 30), counts, st.floats(1e-9, 10), levels)
def test_the_p_value_is_at_most_alpha_just_where_the_interval_excludes_zero(
    z, units, rho_squared, alpha
):
    reach = float(standard_errors(units, rho_squared, alpha))
    assume(abs(z - reach) > 1e-9 * max(1.0, reach))
    assert (p_value(z, units, rho_squared) <= alpha) == (z > reach)


@pytest.mark.parametrize(
    ("units", "reach"),
    [
        # x = 8.21197 at the tightest: sqrt(1 + x), which is 1.549 times 1.96.
        (5_000.0, 3.03512),
        (500.0, 3.82322),
        (50_000.0, 3.24631),
        (1_000_000.0, 3.66117),
    ],
)
def test_standard_errors_by_hand(units, reach):
    # sqrt((1 + 1/x) (log(1 + x) + 2 log 20)) with x = 8.21197 N / 5000
    assert standard_errors(units, mixture()) == pytest.approx(reach, abs=1e-5)


@given(st.integers(1, 10**8), levels)
def test_the_mixture_is_tightest_where_it_was_told(units, alpha):
    rho_squared = mixture(units, alpha)
    x = units * rho_squared
    assert x == pytest.approx(np.log1p(x) - 2 * log(alpha), rel=1e-9)
    best = optimize.minimize_scalar(
        lambda at: float(standard_errors(float(units), exp(at) / units, alpha)),
        bounds=(log(x) - 3, log(x) + 3),
        method="bounded",
    )
    assert standard_errors(float(units), rho_squared, alpha) <= best.fun * (1 + 1e-9)


def test_the_paper_gives_an_approximation_to_the_mixture():
    """Its equation for rho: sqrt((-2 log a + log(-2 log a + 1)) / t)."""
    for alpha in (0.05, 0.01, 0.001):
        approximate = (-2 * log(alpha) + log(-2 * log(alpha) + 1)) / 5_000
        assert mixture(5_000, alpha) == pytest.approx(approximate, rel=0.05)


@pytest.mark.parametrize(("units", "alpha"), [(0, 0.05), (-5, 0.05), (10, 0.0), (10, 1.0)])
def test_a_mixture_that_makes_no_sense_is_refused(units, alpha):
    with pytest.raises(ValueError, match="1 unit or more"):
        mixture(units, alpha)


def test_how_much_is_lost_away_from_the_tightest():
    """As TIGHTEST_UNITS promises: a fifth at most, from a fifth of it to a hundred times as many."""
    for units in np.geomspace(1_000, 500_000, 50):
        best = standard_errors(float(units), mixture(round(units)))
        assert standard_errors(float(units), mixture()) <= 1.2 * best


@given(arms, arms)
def test_the_interval_by_numpy(ours, theirs):
    found = sequential(sample(ours), sample(theirs))
    a, b = np.array(ours), np.array(theirs)
    both = np.concatenate([a, b])
    if np.all(both == both[0]):
        assert found is None
        return
    separate = a.var(ddof=1) / a.size + b.var(ddof=1) / b.size
    pooled = both.var(ddof=1) * (1 / a.size + 1 / b.size)
    error = sqrt(max(separate, pooled))
    x = both.size * mixture()
    reach = sqrt((1 + 1 / x) * (log(1 + x) + 2 * log(20))) * error
    difference = a.mean() - b.mean()
    assert found.low == pytest.approx(difference - reach, rel=1e-9, abs=1e-9)
    assert found.high == pytest.approx(difference + reach, rel=1e-9, abs=1e-9)
    assert 0 <= found.p_value <= 1
    assert (found.p_value <= 0.05) == (found.low > 0 or found.high < 0) or found.low == 0


@given(arms, arms)
def test_it_is_never_narrower_than_the_large_sample_fixed_interval(ours, theirs):
    found = sequential(sample(ours), sample(theirs))
    if found is None:
        return
    a, b = np.array(ours), np.array(theirs)
    fixed = 1.96 * sqrt(a.var(ddof=1) / a.size + b.var(ddof=1) / b.size)
    assert (found.high - found.low) / 2 >= fixed


@given(arms, arms, st.integers(-100, 100), st.integers(1, 50))
def test_it_moves_and_stretches_with_the_data_and_turns_with_the_arms(ours, theirs, shift, factor):
    found = sequential(sample(ours), sample(theirs))
    moved = sequential(
        sample([factor * v + shift for v in ours]), sample([factor * v + shift for v in theirs])
    )
    turned = sequential(sample(theirs), sample(ours))
    if found is None:
        assert moved is None
        assert turned is None
        return
    assert (moved.low, moved.high) == pytest.approx(
        (factor * found.low, factor * found.high), rel=1e-9, abs=1e-9
    )
    assert moved.p_value == pytest.approx(found.p_value, rel=1e-6)
    assert (turned.low, turned.high) == pytest.approx((-found.high, -found.low), rel=1e-9)
    assert turned.p_value == pytest.approx(found.p_value)


@given(st.integers(2, 5000), st.integers(2, 5000), st.data())
def test_the_p_value_of_shares_is_that_of_any_affine_outcome(units, others, data):
    a = share(units, data.draw(st.integers(0, units)))
    b = share(others, data.draw(st.integers(0, others)))
    found = sequential(a, b)
    if found is None:
        assert a.mean == b.mean in {0, 1}
        return
    assert found.low <= float(a.mean - b.mean) <= found.high


@pytest.mark.parametrize(
    ("ours", "theirs"), [([1], [1, 2]), ([1, 2], []), ([3, 3], [3, 3, 3])], ids=str
)
def test_too_little_or_nothing_that_varies_has_no_interval(ours, theirs):
    assert sequential(sample(ours), sample(theirs)) is None


def test_arms_that_do_not_vary_but_differ_have_an_interval():
    """The fixed test has none: it knows the arms by their own variances alone."""
    ours, theirs = sample([1] * 50), sample([0] * 50)
    assert welch(ours, theirs) is None
    found = sequential(ours, theirs)
    assert found.low < 1 < found.high


def test_the_pooled_variance_serves_a_small_arm_that_has_seen_no_buyer():
    small, large = share(50, 0), share(450, 9)
    alone = float(small.variance / 50 + large.variance / 450)
    pooled = float(share(500, 9).variance) * (1 / 50 + 1 / 450)
    found = squared_error(
        (50.0, 450.0),
        (float(small.variance), float(large.variance)),
        float(share(500, 9).variance),
    )
    assert found == pytest.approx(pooled)
    assert pooled > 8 * alone


def test_a_far_away_difference_has_a_p_value_of_zero_and_no_overflow():
    assert p_value(1e200, 1e9, mixture()) == 0.0
    assert p_value(0.0, 1e9, mixture()) == 1.0
    assert p_value(inf, 10.0, mixture()) == 0.0


def test_the_tightest_moment_can_be_planned():
    a, b = share(50_000, 500), share(50_000, 560)
    planned, default = sequential(a, b, tightest_units=100_000), sequential(a, b)
    assert planned.high - planned.low < default.high - default.low
    fixed = stats.norm.ppf(0.975) * 2
    error = sqrt(float(share(100_000, 1_060).variance) * 2 / 50_000)
    assert (planned.high - planned.low) / error / fixed == pytest.approx(1.549, abs=1e-3)


def test_many_at_once_give_what_one_gives():
    units = np.array([10.0, 5e3, 1e6])
    z = np.array([0.1, 3.5, -4.0])
    rho_squared = mixture()
    assert list(standard_errors(units, rho_squared)) == [
        standard_errors(float(u), rho_squared) for u in units
    ]
    assert list(p_value(z, units, rho_squared)) == [
        p_value(float(a), float(u), rho_squared) for a, u in zip(z, units, strict=True)
    ]
