"""The sequential test of the split. Oracle: scipy's Dirichlet-multinomial over its multinomial."""

from math import exp, factorial, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from anabranch.metrics.sample_ratio import (
    CONCENTRATION,
    log_bayes_factor,
    sample_ratio,
    sequential_sample_ratio,
)


@st.composite
def splits(draw):
    """Counts of two to five arms, their shares, and a concentration."""
    weights = draw(st.lists(st.integers(1, 20), min_size=2, max_size=5))
    units = draw(
        st.lists(st.integers(0, 3000), min_size=len(weights), max_size=len(weights)).filter(any)
    )
    shares = np.array(weights) / sum(weights)
    return np.array(units, dtype=float), shares, draw(st.floats(0.5, 10_000))


@given(splits())
def test_it_is_scipys_dirichlet_multinomial_over_its_multinomial(split):
    units, shares, concentration = split
    total = int(units.sum())
    whole = units.astype(int)
    reference = stats.dirichlet_multinomial.logpmf(
        whole, concentration * shares, total
    ) - stats.multinomial.logpmf(whole, total, shares)
    assert log_bayes_factor(units, shares, concentration) == pytest.approx(
        reference, rel=1e-7, abs=1e-6
    )


@given(splits())
def test_one_unit_more_is_not_expected_to_change_it(split):
    """A martingale, exactly: so Ville's inequality holds at any number of units."""
    units, shares, concentration = split
    now = float(log_bayes_factor(units, shares, concentration))
    next_ones = log_bayes_factor(units + np.eye(len(units)), shares, concentration)
    assert float(np.sum(shares * np.exp(next_ones - now))) == pytest.approx(1, abs=1e-7)


def test_it_starts_at_even_odds():
    assert log_bayes_factor(np.zeros(3), np.full(3, 1 / 3)) == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("units", "odds"),
    [
        # A flat prior over two arms: a! b! / (a + b + 1)! * 2^(a + b).
        ((10, 0), 1024 / 11),
        ((3, 1), 6 / 120 * 16),
        ((5, 5), 120 * 120 / factorial(11) * 1024),
        # Over three: 2! a! b! c! / (n + 2)! * 3^n.
        ((4, 0, 0), 2 * 24 / 720 * 81),
        ((2, 2, 2), 2 * 8 / factorial(8) * 729),
    ],
)
def test_by_hand(units, odds):
    arms = {f"arm {i}": n for i, n in enumerate(units)}
    shares = dict.fromkeys(arms, 1 / len(arms))
    found = sequential_sample_ratio(arms, shares, concentration=len(arms))
    assert found == pytest.approx(min(1.0, 1 / odds))


@given(splits(), st.randoms())
def test_the_order_of_arms_does_not_matter(split, random):
    units, shares, concentration = split
    arms = {f"arm {i}": int(n) for i, n in enumerate(units)}
    expected = dict(zip(arms, map(float, shares), strict=True))
    turned = list(arms)
    random.shuffle(turned)
    found = sequential_sample_ratio(arms, expected, concentration=concentration)
    assert found == pytest.approx(
        sequential_sample_ratio(
            {arm: arms[arm] for arm in turned},
            {arm: expected[arm] for arm in reversed(turned)},
            concentration=concentration,
        ),
        rel=1e-6,
    )
    assert 0 <= found <= 1


@pytest.mark.parametrize(
    ("units", "expected", "p_value"),
    [
        ({"a": 5, "b": 5}, {"a": 0.5, "b": 0.5}, 1.0),
        ({}, {"a": 0.5, "b": 0.5}, 1.0),
        ({"a": 10, "b": 0}, {"a": 1.0, "b": 0.0}, None),
        ({"a": 10, "b": 1}, {"a": 1.0, "b": 0.0}, 0.0),
        ({"a": 10, "b": 10, "stray": 1}, {"a": 0.5, "b": 0.5}, 0.0),
        ({"a": 10, "b": 10}, {}, None),
    ],
    ids=["even", "nothing yet", "one arm", "an arm of no weight", "an unknown arm", "unknown"],
)
def test_at_the_edges(units, expected, p_value):
    found = sequential_sample_ratio(units, expected)
    assert found == (None if p_value is None else pytest.approx(p_value))


def test_it_sees_what_the_chi_square_sees_later_and_stays_calm_where_that_is_calm():
    even = {"a": 0.5, "b": 0.5}
    slight = {"a": 10_200, "b": 9_800}
    assert sample_ratio(slight, even) < 0.005
    assert sequential_sample_ratio(slight, even) > 0.05
    gross = {"a": 10_500, "b": 9_500}
    assert sequential_sample_ratio(gross, even) < 1e-6


@pytest.mark.parametrize(("alpha", "units"), [(0.05, 8_000), (0.001, 17_000)])
def test_the_concentration_is_sharpest_where_it_says(alpha, units):
    """The least z score at which an even split is doubted, compared with that of a best choice."""

    def doubted_at(concentration):
        low, high = 0.0, 20.0
        for _ in range(50):
            z = (low + high) / 2
            off = z * np.sqrt(units) / 2
            counts = np.array([units / 2 + off, units / 2 - off])
            odds = float(log_bayes_factor(counts, np.array([0.5, 0.5]), concentration))
            low, high = (low, z) if odds >= -log(alpha) else (z, high)
        return high

    best = min(doubted_at(c) for c in np.geomspace(50, 50_000, 60))
    assert doubted_at(CONCENTRATION) <= best * 1.001


def test_billions_of_units_lose_no_digits_that_matter():
    half = np.array([0.5, 0.5])
    units = np.array([1e9, 1e9])
    # Stirling: at n units split evenly B is about sqrt(c / (c + n)).
    expected = 0.5 * log(CONCENTRATION / (CONCENTRATION + 2e9))
    assert float(log_bayes_factor(units, half)) == pytest.approx(expected, abs=1e-3)
    assert exp(expected) < 1e-3
