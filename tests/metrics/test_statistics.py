import warnings
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anabranch.metrics.moments import Moments
from anabranch.metrics.results import arm_figures, contrast, expected_shares
from anabranch.metrics.sample_ratio import sample_ratio
from anabranch.metrics.welch import Sample, welch
from anabranch.specs import TargetedAllocation, TargetingRule
from tests.metrics.shop import CHECKOUT


def sample(values):
    exact = [Fraction(str(v)) for v in values]
    return Sample(len(exact), sum(exact), sum(v * v for v in exact))


arms = st.lists(st.integers(-1000, 1000).map(lambda v: v / 8), min_size=2, max_size=40)


@given(arms, arms)
def test_welch_is_scipys(ours, theirs):
    found = welch(sample(ours), sample(theirs))
    a, b = np.array(ours), np.array(theirs)
    if np.all(a == a[0]) and np.all(b == b[0]):
        assert found is None
        return
    expected = stats.ttest_ind_from_stats(
        a.mean(), a.std(ddof=1), a.size, b.mean(), b.std(ddof=1), b.size, equal_var=False
    )
    assert found.p_value == pytest.approx(expected.pvalue, rel=1e-6)
    with warnings.catch_warnings():  # scipy warns of an arm in which nothing varies
        warnings.simplefilter("ignore", RuntimeWarning)
        interval = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert (found.low, found.high) == pytest.approx(tuple(interval), rel=1e-6, abs=1e-9)


def test_variance_survives_a_large_mean():
    values = [10**15 + v for v in (0, 1, 2)]
    assert sample(values).variance == 1


@pytest.mark.parametrize(
    ("ours", "theirs"), [([1], [1, 2]), ([1, 2], []), ([3, 3], [3, 3])], ids=str
)
def test_too_little_or_nothing_that_varies_has_no_interval(ours, theirs):
    assert welch(sample(ours), sample(theirs)) is None


def test_sample_ratio_is_scipys_chi_square():
    units = {"control": 5100, "short": 4900, "long": 10200}
    expected = expected_shares(CHECKOUT)
    assert expected == {"control": 0.25, "short": 0.25, "long": 0.5}
    total = sum(units.values())
    reference = stats.chisquare(
        list(units.values()), [share * total for share in expected.values()]
    )
    assert sample_ratio(units, expected) == pytest.approx(reference.pvalue, rel=1e-12)


@pytest.mark.parametrize(
    ("units", "expected", "p_value"),
    [
        ({"a": 5, "b": 5}, {"a": 0.5, "b": 0.5}, 1.0),
        ({"a": 4, "b": 5}, {"a": 0.5, "b": 0.5}, None),
        ({"a": 0, "b": 1}, {"a": 0.99, "b": 0.01}, None),
        ({"a": 10, "b": 0}, {"a": 1.0, "b": 0.0}, None),
        ({"a": 10, "b": 1}, {"a": 1.0, "b": 0.0}, 0.0),
        ({"a": 10, "b": 10}, {}, None),
        ({}, {"a": 0.5, "b": 0.5}, None),
    ],
    ids=["even", "too few", "a rare arm", "one arm", "an arm of no weight", "unknown", "nothing"],
)
def test_sample_ratio_at_the_edges(units, expected, p_value):
    assert sample_ratio(units, expected) == p_value


def test_targeting_rules_leave_the_expected_shares_unknown():
    targeted = TargetedAllocation(rules=[TargetingRule(variant_id="short")], fallback="random")
    assert expected_shares(CHECKOUT.model_copy(update={"allocation": targeted})) == {}


# Four units: 3 and 4 by one, 5 by another, and two that bought nothing.
BOUGHT = Moments(2, 3, Decimal(12), Decimal(49 + 25), Decimal(50), {"70": 3})


@pytest.mark.parametrize(
    ("aggregation", "total", "mean", "event_mean", "value"),
    [
        ("sum", 12.0, 3.0, 4.0, 12.0),
        ("avg", 12.0, 3.0, 4.0, 4.0),
        ("unique", 2.0, 0.5, 2 / 3, 2.0),
    ],
)
def test_figures_of_an_arm(aggregation, total, mean, event_mean, value):
    found = arm_figures(aggregation, 4, BOUGHT)
    assert (found.units, found.events, found.converted, found.rate) == (4, 3, 2, 0.5)
    assert (found.sum, found.mean, found.event_mean, found.value) == (
        total,
        mean,
        event_mean,
        value,
    )


@pytest.mark.parametrize("aggregation", ["count", "sum", "avg", "unique", "p95"])
def test_an_arm_without_data_has_no_figures(aggregation):
    found = arm_figures(aggregation, 0, Moments())
    assert (found.rate, found.mean, found.event_mean, found.value) == (None, None, None, None)
    assert found.sum == 0.0
    nothing = contrast(aggregation, (0, Moments()), (0, Moments()))
    assert (nothing.difference, nothing.relative_lift, nothing.fixed) == (None, None, None)


def test_means_are_compared_per_unit():
    control = Moments(1, 1, Decimal(8), Decimal(64), Decimal(64))
    found = contrast("avg", (4, BOUGHT), (4, control))
    assert found.difference == 1.0
    assert found.relative_lift == 0.5
    reference = stats.ttest_ind([7, 5, 0, 0], [8, 0, 0, 0], equal_var=False)
    assert found.fixed.p_value == pytest.approx(reference.pvalue)


def test_shares_are_compared_for_unique():
    control = Moments(1, 9, Decimal(9), Decimal(81), Decimal(9))
    found = contrast("unique", (4, BOUGHT), (4, control))
    assert (found.difference, found.relative_lift) == (0.25, 1.0)
    reference = stats.ttest_ind([1, 1, 0, 0], [1, 0, 0, 0], equal_var=False)
    assert found.fixed.p_value == pytest.approx(reference.pvalue)


def test_there_is_no_lift_over_nothing():
    found = contrast("sum", (4, BOUGHT), (4, Moments()))
    assert (found.difference, found.relative_lift) == (3.0, None)


def test_quantiles_are_compared_without_an_interval():
    low = Moments(1, 1, bins={"0": 1})
    high = Moments(1, 1, bins={"35": 1})
    found = contrast("p90", (1, high), (1, low))
    assert found.relative_lift == pytest.approx(1, rel=0.02)
    assert found.fixed is None
