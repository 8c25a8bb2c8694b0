"""Probabilities to be the best, against what they are the limit of."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import beta, norm

from anabranch.metrics.best import probabilities_to_be_best
from anabranch.metrics.samples import Sample


def arm(units, mean, variance):
    mean, variance = Fraction(str(mean)), Fraction(str(variance))
    return Sample(units, units * mean, (units - 1) * variance + units * mean * mean)


def test_of_two_arms_it_is_the_chance_that_a_normal_difference_is_positive():
    ours, theirs = arm(400, 10.3, 9), arm(900, 10, 4)
    expected = norm.cdf(0.3 / (9 / 400 + 4 / 900) ** 0.5)
    assert probabilities_to_be_best([ours, theirs]) == pytest.approx(
        [expected, 1 - expected], abs=1e-4
    )
    assert probabilities_to_be_best([ours, theirs], increase=False) == pytest.approx(
        [1 - expected, expected], abs=1e-4
    )


def test_of_conversions_it_is_what_beta_posteriors_give():
    counts = [(1_000, 10_000), (1_060, 10_000), (1_090, 10_000)]
    rng = np.random.default_rng(1)
    draws = np.array(
        [beta.rvs(1 + k, 1 + n - k, size=200_000, random_state=rng) for k, n in counts]
    )
    expected = np.bincount(draws.argmax(axis=0), minlength=3) / draws.shape[1]
    found = probabilities_to_be_best([Sample(n, Fraction(k), Fraction(k)) for k, n in counts])
    assert found == pytest.approx(expected.tolist(), abs=0.006)


@given(
    st.lists(
        st.tuples(st.integers(2, 10**6), st.floats(-5, 5), st.floats(1e-6, 1e3)),
        min_size=2,
        max_size=6,
    ),
    st.randoms(),
)
def test_they_add_up_to_one_and_belong_to_the_arms_in_whatever_order(arms, random):
    made = [arm(*one) for one in arms]
    found = probabilities_to_be_best(made)
    assert sum(found) == pytest.approx(1)
    assert all(0 <= share <= 1 for share in found)
    order = random.sample(range(len(made)), len(made))
    again = probabilities_to_be_best([made[i] for i in order])
    assert again == pytest.approx([found[i] for i in order], abs=1e-9)


def test_arms_that_are_alike_share_it_however_uncertain_they_are():
    assert probabilities_to_be_best([arm(50, 1, 4)] * 5) == pytest.approx([0.2] * 5)


def test_it_is_not_told_without_anything_to_tell_it_by():
    assert probabilities_to_be_best([arm(50, 1, 4)]) is None
    assert probabilities_to_be_best([arm(50, 1, 4), arm(50, 1, 0)]) is None
    assert probabilities_to_be_best([Sample(1, Fraction(1), Fraction(1)), arm(50, 1, 4)]) is None
