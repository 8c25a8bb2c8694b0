"""Intervals of relative lifts and of arms' own means."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.optimize import brentq
from scipy.stats import t

from anabranch.metrics.lift import fieller, fixed_lift, sequential_lift, sequential_mean
from anabranch.metrics.samples import RatioSample, Sample
from anabranch.metrics.sequential import sequential
from anabranch.metrics.welch import welch


def sample(values):
    exact = [Fraction(str(round(float(v), 6))) for v in values]
    return Sample(len(exact), sum(exact), sum(v * v for v in exact))


@pytest.fixture
def arms():
    rng = np.random.default_rng(4)
    return sample(rng.gamma(2, 1.2, 400)), sample(rng.gamma(2, 1, 600))


def test_the_ends_are_where_the_test_of_m1_minus_r_m0_stops_rejecting(arms):
    variant, control = arms
    errors = [float(arm.variance / arm.units) for arm in arms]
    freedom = sum(errors) ** 2 / sum(
        e * e / (arm.units - 1) for e, arm in zip(errors, arms, strict=True)
    )
    critical = t.ppf(0.975, freedom)

    def test(lift):
        r = 1 + lift
        distance = abs(float(variant.mean) - r * float(control.mean))
        return distance / (errors[0] + r * r * errors[1]) ** 0.5 - critical

    found = fixed_lift(variant, control)
    lift = float(variant.mean / control.mean) - 1
    assert found.low == pytest.approx(brentq(test, lift - 1, lift), rel=1e-9)
    assert found.high == pytest.approx(brentq(test, lift, lift + 1), rel=1e-9)


means = st.floats(-100, 100).filter(lambda m: abs(m) > 1e-3)
errors = st.floats(1e-6, 100)


@given(means, means, errors, errors, st.floats(0.5, 6))
def test_it_holds_the_lift_and_excludes_zero_just_where_the_difference_does(m1, m0, e1, e0, reach):
    found = fieller((m1, m0), (e1, e0), reach)
    assert (found is None) == (m0 * m0 - reach * reach * e0 <= 0)
    assume(found is not None)
    lift = m1 / m0 - 1
    slack = 1e-9 * (1 + abs(lift))
    assert found.low - slack <= lift <= found.high + slack
    z = abs(m1 - m0) / (e1 + e0) ** 0.5
    assume(abs(z - reach) > 1e-6)
    assert (found.low > 0 or found.high < 0) == (z > reach)


def test_both_kinds_exclude_zero_where_the_differences_do(arms):
    for of_lift, of_difference in ((fixed_lift, welch), (sequential_lift, sequential)):
        lift, difference = of_lift(*arms), of_difference(*arms)
        assert lift.low > 0 < difference.low
        assert of_lift(arms[1], arms[0]).high < 0 > of_difference(arms[1], arms[0]).high
        # A divisor that is uncertain too makes it wider than the difference's, divided.
        mean = float(arms[1].mean)
        assert lift.high > difference.high / mean
    assert sequential_lift(*arms).high > fixed_lift(*arms).high


def test_there_is_none_while_controls_mean_is_not_told_from_zero():
    variant, control = sample([1, 2, 3, 2]), sample([-1, 1, -1, 1.1])
    assert fixed_lift(variant, control) is sequential_lift(variant, control) is None
    assert fixed_lift(sample([1]), sample([2, 3])) is None
    assert fixed_lift(sample([1, 1]), sample([2, 2])) is None
    assert sequential_mean(sample([1, 1])) is None


def test_a_ratio_has_a_lift_too():
    rng = np.random.default_rng(5)
    made = []
    for rate in (0.4, 0.2):
        views = rng.poisson(5, 2_000) + 1
        clicks = rng.binomial(views, rate)
        y, x = ([Fraction(int(v)) for v in column] for column in (clicks, views))
        made.append(
            RatioSample(
                2_000,
                sum(y),
                sum(v * v for v in y),
                sum(x),
                sum(v * v for v in x),
                sum(v * w for v, w in zip(x, y, strict=True)),
            )
        )
    found = sequential_lift(*made)
    assert 0.8 < found.low < 1 < found.high < 1.3


def watched(looks, streams, call):
    return sum(any(call(np.random.default_rng([s, 9]), looks)) for s in range(streams)) / streams


def test_watched_lifts_and_means_seldom_exclude_the_truth():
    def lifts(rng, looks):
        ours, theirs = rng.gamma(2, 1.5, looks[-1]), rng.gamma(2, 1, looks[-1])
        for n in looks:
            found = sequential_lift(sample(ours[:n]), sample(theirs[:n]))
            yield found is not None and not found.low <= 0.5 <= found.high

    def arm_means(rng, looks):
        values = rng.gamma(2, 1, looks[-1])
        for n in looks:
            found = sequential_mean(sample(values[:n]))
            yield not found.low <= 2 <= found.high

    looks = (50, 100, 200, 400)
    assert watched(looks, 80, lifts) <= 0.05
    assert watched(looks, 80, arm_means) <= 0.05
