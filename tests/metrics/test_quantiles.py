"""Intervals of quantiles: each against its definition, and how often they miss."""

from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binom

from anabranch.metrics.moments import Moments
from anabranch.metrics.pairs import count_pairs, retract_pairs
from anabranch.metrics.quantiles import EventQuantiles, UnitQuantiles, fixed, sequential
from anabranch.metrics.results import contrast
from anabranch.metrics.sketch import add_bins, bin_of, bounds_of, ordered, quantile, with_idle

AMOUNTS = st.floats(-1e6, 1e6).filter(lambda value: value == 0 or abs(value) > 1e-6)
UNITS = st.lists(st.lists(AMOUNTS, max_size=5), min_size=2, max_size=30)


def sketch(values):
    return dict(Counter(map(bin_of, values)))


def events_of(units):
    """What attribution adds up over units, event by event."""
    bins, pairs, others = {}, {}, {}
    for values in units:
        own = {}
        for value in values:
            name = bin_of(value)
            count_pairs(own, name, pairs, others, 1)
            add_bins(own, {name: 1})
        add_bins(bins, own)
    return bins, pairs, others


@given(st.lists(AMOUNTS, min_size=1, max_size=40))
def test_a_value_lies_within_the_bounds_of_its_bin_and_bins_are_in_the_order_of_values(values):
    for value in values:
        low, high = bounds_of(bin_of(value))
        assert low - abs(low) * 1e-9 <= value <= high + abs(high) * 1e-9
    in_order = ordered(set(map(bin_of, values)))
    assert in_order == list(dict.fromkeys(bin_of(value) for value in sorted(values)))


@given(UNITS)
def test_pairs_give_the_squares_and_products_of_every_units_events(units):
    bins, pairs, others = events_of(units)
    arm = EventQuantiles.of(len(units), bins, pairs, others)
    names = ordered(bins)
    for at in range(len(names) + 1):
        first = set(names[:at])
        ys = [sum(bin_of(value) in first for value in values) for values in units]
        assert arm.below[at] == sum(ys)
        assert arm.squares[at] == sum(y * y for y in ys)
        assert arm.products[at] == sum(y * len(values) for y, values in zip(ys, units, strict=True))


@given(UNITS, st.randoms())
def test_pairs_do_not_depend_on_the_order_and_leave_no_trace(units, random):
    bins, pairs, others = events_of(units)
    shuffled = [random.sample(values, len(values)) for values in units]
    assert events_of(shuffled) == (bins, pairs, others)
    for values in units:
        one = sketch(values)
        if random.random() < 0.5:
            retract_pairs(one, pairs, others)
            continue
        for value in random.sample(values, len(values)):
            add_bins(one, {bin_of(value): 1}, -1)
            count_pairs(one, bin_of(value), pairs, others, -1)
    assert (pairs, others) == ({}, {})


@pytest.mark.parametrize("q", [0.5, 0.9, 0.99])
def test_fixed_ranks_of_units_are_those_of_the_binomial(q):
    n = 400
    arm = UnitQuantiles.of(n, {str(i): 1 for i in range(1, n + 1)})
    rises, falls = arm.fixed(q)
    ranks = np.arange(n + 1)
    assert rises == pytest.approx(binom.cdf(ranks, n, q), rel=1e-9, abs=1e-300)
    assert falls == pytest.approx(binom.sf(ranks - 1, n, q), rel=1e-9, abs=1e-300)


def mixture_by_hand(few, n, q, a, b):
    """Likelihood ratios against q averaged over a Beta cut off at q, by quadrature."""
    rates = (np.arange(200_000) + 0.5) / 200_000 * q
    weights = np.exp((a - 1) * np.log(rates) + (b - 1) * np.log1p(-rates))
    ratios = few * np.log(rates / q) + (n - few) * np.log((1 - rates) / (1 - q))
    return float(np.sum(weights * np.exp(ratios)) / np.sum(weights))


@pytest.mark.parametrize(("few", "n", "q"), [(35, 100, 0.5), (860, 1000, 0.9), (20, 30, 0.75)])
def test_sequential_evidence_of_units_is_the_beta_binomial_mixture(few, n, q):
    from anabranch.metrics.sequential import TIGHTEST_UNITS, mixture

    s = 1 / mixture(TIGHTEST_UNITS // 2, 0.0125)
    arm = UnitQuantiles.of(n, {"1": few, "2": n - few})
    expected = mixture_by_hand(few, n, q, s * q, s * (1 - q))
    assert arm.sequential(q)[0][1] == pytest.approx(min(1, 1 / expected), rel=1e-4)
    mirrored = UnitQuantiles.of(n, {"1": n - few, "2": few})
    assert mirrored.sequential(1 - q)[1][1] == pytest.approx(min(1, 1 / expected), rel=1e-4)


def test_at_any_number_of_units_the_evidence_misleads_no_oftener_than_it_says():
    for n in (7, 60, 300):
        arm_p = [
            UnitQuantiles.of(n, {"1": k, "2": n - k} if 0 < k < n else {("1" if k else "2"): n})
            for k in range(n + 1)
        ]
        p = [arm.sequential(0.5)[0][1 if k else 0] for k, arm in enumerate(arm_p)]
        chance_of_ten = sum(binom.pmf(k, n, 0.5) for k in range(n + 1) if p[k] <= 0.1)
        assert chance_of_ten <= 0.1


@given(
    st.lists(st.integers(0, 30), min_size=30, max_size=120),
    st.lists(st.integers(0, 30), min_size=30, max_size=120),
    st.sampled_from([0.5, 0.75, 0.9]),
)
def test_an_interval_excludes_zero_just_where_its_p_value_is_at_most_five_percent(ones, more, q):
    arms = [UnitQuantiles.of(len(v), sketch(v)) for v in (ones, more)]
    estimates = tuple(quantile(sketch(v), q) for v in (ones, more))
    for found in (fixed(*arms, q, estimates), sequential(*arms, q)):
        if found is not None:
            assert (found.low > 0 or found.high < 0) == (found.p_value <= 0.05)
            assert found.low <= estimates[0] - estimates[1] <= found.high


@given(UNITS, UNITS, st.sampled_from(["p50", "p90"]))
def test_exchanging_the_arms_turns_the_interval_around(ours, theirs, aggregation):
    arms = []
    for units in (ours, theirs):
        bins, pairs, others = events_of(units)
        arms.append((len(units), Moments(bins=bins, pairs=pairs, others=others)))
    here, there = contrast(aggregation, *arms), contrast(aggregation, *reversed(arms))
    for one, other in ((here.fixed, there.fixed), (here.sequential, there.sequential)):
        assert (one is None) == (other is None)
        if one is not None:
            assert (one.low, one.high) == pytest.approx((-other.high, -other.low))
            assert one.p_value == pytest.approx(other.p_value)


def test_units_that_did_nothing_have_a_total_of_zero():
    bins = {bin_of(5.0): 10}
    assert with_idle(100, bins) == {bin_of(5.0): 10, "z": 90}
    assert with_idle(10, bins) == bins
    found = contrast("p50", (100, Moments(bins=bins)), (100, Moments(bins=bins)), per_unit=True)
    assert (found.difference, found.fixed.low, found.fixed.high) == (0, 0, 0)
    assert (found.sequential.low, found.sequential.high) == (0, 0)
    assert found.fixed.p_value == found.sequential.p_value == 1


def misses(draw, q, truth, *, watched, streams=200, looks=(100, 200, 400, 800)):
    """The share of streams whose interval excludes the truth at the end, or at some look."""
    missed = 0
    for stream in range(streams):
        rng = np.random.default_rng([stream, 5])
        arms = [draw(rng, max(looks)), draw(rng, max(looks))]
        for look in looks if watched else looks[-1:]:
            made = [_arm(units[:look]) for units in arms]
            estimates = tuple(quantile(made_bins, q) for _, made_bins in made)
            pair = [arm for arm, _ in made]
            found = sequential(*pair, q) if watched else fixed(*pair, q, estimates)
            if found is not None and not found.low <= truth <= found.high:
                missed += 1
                break
    return missed / streams


def _arm(units):
    if isinstance(units, np.ndarray):
        bins = sketch(units.tolist())
        return UnitQuantiles.of(len(units), bins), bins
    bins, pairs, others = events_of(units)
    return EventQuantiles.of(len(units), bins, pairs, others), bins


def spend(rng, n):
    return rng.lognormal(3, 1, n) * (rng.random(n) < 0.6)


def visits(rng, n):
    """Each unit has a pace of its own, shared by all of its events."""
    return [
        (np.exp(rng.normal(0, 1)) * rng.lognormal(0, 0.3, k)).tolist()
        for k in rng.integers(0, 4, n)
    ]


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_fixed_intervals_of_totals_miss_as_often_as_they_say(q):
    assert 0.01 <= misses(spend, q, 0.0, watched=False) <= 0.09


@pytest.mark.parametrize("q", [0.5, 0.9])
def test_sequential_intervals_of_totals_seldom_miss_at_any_look(q):
    assert misses(spend, q, 0.0, watched=True) <= 0.05


def test_intervals_over_events_know_that_events_of_a_unit_are_alike():
    few = {"streams": 150, "looks": (100, 300)}
    assert 0.01 <= misses(visits, 0.5, 0.0, watched=False, **few) <= 0.10
    assert misses(visits, 0.5, 0.0, watched=True, **few) <= 0.05


def test_a_true_difference_is_found():
    rng = np.random.default_rng(3)
    fast, slow = rng.lognormal(0, 1, 4000), rng.lognormal(0.3, 1, 4000)
    found = contrast(
        "p50",
        (4000, Moments(bins=sketch(slow.tolist()))),
        (4000, Moments(bins=sketch(fast.tolist()))),
        per_unit=True,
    )
    truth = np.exp(0.3) - 1
    assert 0 < found.sequential.low < found.fixed.low < truth
    assert truth < found.fixed.high < found.sequential.high
    assert found.fixed.p_value < found.sequential.p_value < 0.01


def test_all_pairs_of_one_unit():
    values = [3.0, 1.0, 3.0, -2.0]
    _, pairs, _ = events_of([values])
    assert pairs == Counter(bin_of(max(pair)) for pair in combinations(values, 2))
