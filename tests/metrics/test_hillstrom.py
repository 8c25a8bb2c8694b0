"""A real experiment's lifts, intervals and p-values beside those that scipy computes."""

from decimal import Decimal

import pytest

from anabranch.metrics.moments import Moments
from anabranch.metrics.results import contrast
from anabranch.metrics.sample_ratio import sample_ratio, sequential_sample_ratio
from tests.support.hillstrom import expected, needs_data, outcomes

pytestmark = needs_data


def moments(values):
    """As attribution adds them up: exact decimals of the values as they are written."""
    exact = [Decimal(repr(float(v))) for v in values if v]
    squares = sum(v * v for v in exact)
    return Moments(len(exact), len(exact), sum(exact), squares, squares)


@pytest.mark.parametrize("arm", ["mens", "womens"])
@pytest.mark.parametrize("metric", ["visits", "conversions", "spend"])
def test_comparisons_are_those_of_scipy(metric, arm):
    arms = outcomes()[metric]
    aggregation = "avg" if metric == "spend" else "count"
    found = contrast(
        aggregation,
        *((arms[name].size, moments(arms[name])) for name in (arm, "control")),
    )
    by_scipy = expected(metric, arm)
    assert found.difference == pytest.approx(by_scipy.difference, rel=1e-9)
    assert found.relative_lift == pytest.approx(by_scipy.lift, rel=1e-9)
    for ours, theirs in ((found.fixed, by_scipy.fixed), (found.sequential, by_scipy.sequential)):
        assert (ours.low, ours.high, ours.p_value) == pytest.approx(theirs, rel=1e-6)


@pytest.mark.parametrize(
    ("metric", "arm", "lift", "low", "high", "p_value"),
    [
        ("visits", "mens", 0.7214, 0.06560, 0.08757, 4.8e-108),
        ("visits", "womens", 0.4261, 0.03477, 0.05569, 1.9e-41),
        ("conversions", "mens", 1.1884, 0.003833, 0.009777, 1.8e-11),
        ("conversions", "womens", 0.5433, 0.000456, 0.005766, 0.0074),
        ("spend", "mens", 1.1793, 0.3013, 1.2384, 8.2e-6),
        ("spend", "womens", 0.6502, 0.0038, 0.8450, 0.0456),
    ],
)
def test_the_figures_of_the_documentation(metric, arm, lift, low, high, p_value):
    found = expected(metric, arm)
    assert found.lift == pytest.approx(lift, abs=5e-5)
    assert found.sequential == pytest.approx((low, high, p_value), rel=0.02, abs=5e-5)


def test_the_split_is_as_promised():
    units = {arm: values.size for arm, values in outcomes()["visits"].items()}
    thirds = dict.fromkeys(units, 1 / 3)
    assert sample_ratio(units, thirds) == pytest.approx(0.9037, abs=1e-4)
    assert sequential_sample_ratio(units, thirds) == 1.0
