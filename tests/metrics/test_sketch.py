import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.metrics.sketch import RELATIVE_ERROR, add_bins, bin_of, quantile
from tests.metrics.strategies import AMOUNTS

SLACK = 1e-9
values = st.lists(AMOUNTS, min_size=1, max_size=60)


def sketch(values):
    bins = {}
    for value in values:
        add_bins(bins, {bin_of(value): 1})
    return bins


@given(values, st.sampled_from([0, 0.5, 0.75, 0.9, 0.95, 0.99, 1]))
def test_a_quantile_is_within_one_percent_of_the_one_that_occurred(values, q):
    # The same rank, computed as the sketch documents it: numpy's own may differ by float rounding.
    expected = sorted(values)[int(q * (len(values) - 1))]
    assert quantile(sketch(values), q) == pytest.approx(expected, rel=RELATIVE_ERROR + SLACK, abs=0)


@pytest.mark.parametrize("q", [0.5, 0.75, 0.9, 0.95, 0.99])
def test_many_log_normal_values_agree_with_numpy(q):
    values = np.random.default_rng(1).lognormal(3, 2, 10_000)
    found = quantile(sketch(values.tolist()), q)
    assert found == pytest.approx(
        np.quantile(values, q, method="lower"), rel=RELATIVE_ERROR + SLACK
    )


@given(values, values)
def test_merging_is_sketching_both_and_subtracting_leaves_no_trace(some, more):
    merged = sketch(some)
    add_bins(merged, sketch(more))
    assert merged == sketch([*more, *some])
    add_bins(merged, sketch(more), -1)
    assert merged == sketch(some)


def test_nothing_has_no_quantile():
    assert quantile({}, 0.5) is None
