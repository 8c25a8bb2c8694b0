"""Ratios, winsorized metrics and covariates. Oracles: numpy over the units themselves."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy import stats

from anabranch.metrics.moments import Moments
from anabranch.metrics.results import arm_figures, contrast, value_of
from anabranch.metrics.samples import RatioSample, Sample, adjust

units = st.lists(
    st.tuples(st.integers(0, 400).map(lambda v: v / 4), st.integers(0, 60).map(float)),
    min_size=3,
    max_size=40,
)


def exact(values):
    return sum((Fraction(float(v)) for v in values), Fraction(0))


def moments(y, x, capped=None):
    """Of units whose totals are y, within bounds ``capped``, and whose second totals are x."""
    worth = y if capped is None else capped
    return Moments(
        converted=int(np.count_nonzero(y)),
        events=int(np.count_nonzero(y)),
        sum=exact(y),
        sum_squares=exact(worth**2),
        capped=0 if capped is None else exact(capped),
        beside=exact(x),
        beside_squares=exact(x**2),
        cross=exact(worth * x),
    )


def split(arm):
    return np.array([y for y, _ in arm]), np.array([x for _, x in arm])


@given(units, units)
def test_a_ratios_variance_is_that_of_its_linearisation(ours, theirs):
    arms = [split(arm) for arm in (ours, theirs)]
    assume(all(x.sum() > 0 for _, x in arms))
    found = contrast("ratio", *((len(y), moments(y, x)) for y, x in arms))
    ratios = [y.sum() / x.sum() for y, x in arms]
    assert found.difference == pytest.approx(ratios[0] - ratios[1], abs=1e-9)
    influence = [(y - r * x) / x.mean() for (y, x), r in zip(arms, ratios, strict=True)]
    if any(np.allclose(i, 0, atol=1e-12) for i in influence):
        return
    # Welch's test of the influences, which have mean zero, moved to the ratios.
    moved = [i + r for i, r in zip(influence, ratios, strict=True)]
    reference = stats.ttest_ind(*moved, equal_var=False)
    interval = reference.confidence_interval(0.95)
    assert found.fixed.p_value == pytest.approx(reference.pvalue, rel=1e-6, abs=1e-12)
    assert (found.fixed.low, found.fixed.high) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-9)
    assert found.sequential.low <= found.difference <= found.sequential.high


def test_the_delta_method_agrees_with_resampling():
    rng = np.random.default_rng(11)
    views = rng.poisson(4, 4_000) + 1.0
    clicks = rng.binomial(views.astype(int), rng.beta(2, 18, 4_000)).astype(float)
    sample = RatioSample(4_000, *map(exact, (clicks, clicks**2, views, views**2, clicks * views)))
    again = []
    for _ in range(1_000):
        drawn = rng.integers(0, 4_000, 4_000)
        again.append(clicks[drawn].sum() / views[drawn].sum())
    assert float(sample.variance / 4_000) ** 0.5 == pytest.approx(np.std(again), rel=0.08)


def test_a_ratio_over_a_denominator_of_one_is_the_mean():
    y = np.array([3.0, 0, 5, 1])
    ones = np.ones(4)
    ratio = RatioSample(4, *map(exact, (y, y**2, ones, ones, y)))
    mean = Sample(4, exact(y), exact(y**2))
    assert (ratio.mean, ratio.variance) == (mean.mean, mean.variance)


def test_figures_of_a_ratio():
    y, x = np.array([3.0, 0, 5]), np.array([2.0, 1, 1])
    found = arm_figures("ratio", 3, moments(y, x))
    assert (found.sum, found.denominator, found.value) == (8.0, 4.0, 2.0)
    assert value_of("ratio", units=0, events=0, total=0, bins={}, beside=5) == 0.0
    assert value_of("ratio", units=1, events=1, total=3, bins={}, beside=0) is None


@pytest.mark.parametrize("x", [[0.0, 0, 0], [-1.0, -1, 0]])
def test_a_ratio_over_nothing_is_not_compared(x):
    y = np.array([1.0, 2, 3])
    found = contrast("ratio", (3, moments(y, np.array(x))), (3, moments(y, np.ones(3))))
    assert (found.difference, found.fixed, found.sequential) == (None, None, None)


def test_a_winsorized_metric_compares_the_totals_within_their_bounds():
    y = np.array([1.0, 2, 900, 0, 4])
    others = np.array([2.0, 1, 3, 0, 0])
    bounded = np.minimum(y, 10)
    none = np.zeros(5)
    arms = (5, moments(y, none, bounded)), (5, moments(others, none, others))
    found = contrast("sum", *arms, winsorized=True)
    reference = stats.ttest_ind(bounded, others, equal_var=False)
    assert found.difference == pytest.approx(bounded.mean() - others.mean())
    assert found.fixed.p_value == pytest.approx(reference.pvalue)
    figures = arm_figures("sum", *arms[0], winsorized=True)
    assert (figures.sum, figures.mean) == (907.0, 3.4)


@given(units, units)
def test_a_covariate_is_taken_out_as_by_hand(ours, theirs):
    arms = [split(arm) for arm in (ours, theirs)]
    (ya, xa), (yb, xb) = arms
    spread = sum(((x - x.mean()) ** 2).sum() for _, x in arms)
    found = contrast("sum", *((len(y), moments(y, x)) for y, x in arms), adjusted=True)
    if spread < 1e-9:
        assert found.adjustment is None
        assert found.difference == pytest.approx(ya.mean() - yb.mean(), abs=1e-9)
        return
    theta = sum(((x - x.mean()) * (y - y.mean())).sum() for y, x in arms) / spread
    middle = np.concatenate([xa, xb]).mean()
    left = [y - theta * (x - middle) for y, x in arms]
    assert found.adjustment.theta == pytest.approx(theta, rel=1e-9, abs=1e-12)
    assert found.adjustment.difference == pytest.approx(ya.mean() - yb.mean(), abs=1e-9)
    assert found.difference == pytest.approx(left[0].mean() - left[1].mean(), abs=1e-8)
    if any(np.var(v) < 1e-9 for v in left):
        return
    reference = stats.ttest_ind(*left, equal_var=False)
    assert found.fixed.p_value == pytest.approx(reference.pvalue, rel=1e-5, abs=1e-12)
    before, after = (sum(v.var(ddof=1) / v.size for v in vs) for vs in ((ya, yb), left))
    assert found.adjustment.variance_reduction == pytest.approx(1 - after / before, abs=1e-6)


def test_a_covariate_takes_away_the_share_of_the_variance_that_it_explains():
    rng = np.random.default_rng(4)
    arms = []
    for shift in (0.1, 0.0):
        before = rng.normal(5, 1, 5_000)
        arms.append((0.8 * before + rng.normal(shift, 0.6, 5_000), before))
    plain, found = (
        contrast("sum", *((5_000, moments(y, x)) for y, x in arms), adjusted=adjusted)
        for adjusted in (False, True)
    )
    # The correlation is 0.8: 64 % go.
    assert found.adjustment.variance_reduction == pytest.approx(0.64, abs=0.03)
    assert found.adjustment.theta == pytest.approx(0.8, abs=0.03)
    widths = [c.sequential.high - c.sequential.low for c in (found, plain)]
    assert widths[0] / widths[1] == pytest.approx(0.6, abs=0.03)
    assert found.fixed.low < 0.1 < found.fixed.high


def test_a_covariate_that_tells_nothing_leaves_the_comparison_as_it_is():
    y, x = np.array([1.0, 0, 2, 5]), np.zeros(4)
    arms = ((4, moments(y, x)), (4, moments(y[::-1] * 2, x)))
    assert contrast("sum", *arms, adjusted=True) == contrast("sum", *arms)


@given(units, units)
def test_adjusting_keeps_the_middle_of_both_arms_together(ours, theirs):
    arms = [split(arm) for arm in (ours, theirs)]
    samples = [RatioSample(len(y), *map(exact, (y, y**2, x, x**2, y * x))) for y, x in arms]
    made = adjust(*samples)
    if made is None:
        return
    assert made[0].total + made[1].total == samples[0].total + samples[1].total


def test_coverage_of_an_adjusted_difference():
    """Of 400 experiments without a difference the adjusted fixed test rejects about 5 %."""
    rng = np.random.default_rng(6)
    rejected = 0
    for _ in range(400):
        arms = []
        for _ in range(2):
            before = rng.poisson(3, 150).astype(float)
            arms.append((before * 2 + rng.normal(0, 2, 150), before))
        found = contrast("sum", *((150, moments(y, x)) for y, x in arms), adjusted=True)
        rejected += found.fixed.p_value <= 0.05
    assert 8 <= rejected <= 34
