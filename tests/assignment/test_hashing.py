"""One hash, compared in integers."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from anabranch.assignment.hashing import SPACE, bucket, choose, cumulative, threshold

UNITS = [f"user:{i}" for i in range(20_000)]
weights = st.lists(
    st.integers(0, 1000) | st.floats(0, 100, allow_nan=False), min_size=1, max_size=6
).filter(any)
buckets = st.integers(0, SPACE - 1)


@pytest.mark.parametrize(
    ("salt", "unit", "expected"),
    [
        ("checkout", "user:1", 4023484067),
        ("", "user:1", 839481795),
        ("sigil.onboarding.split_form", "user:123", 2141125377),
        ("é", "session:😀", 3221268054),
    ],
)
def test_buckets_never_change(salt: str, unit: str, expected: int) -> None:
    """murmur3 x86_32 of "salt:unit": a changed value would reshuffle every running experiment."""
    assert bucket(salt, unit) == expected


def test_half_a_character_has_a_bucket_too() -> None:
    assert bucket("s", "user:\ud83d") != bucket("s", "user:\ud83e")


@given(weights, buckets)
def test_the_choice_is_the_exact_range(given_weights: list[float], hash_: int) -> None:
    sums = cumulative(given_weights)
    index = choose(hash_, sums)
    low = sums[index - 1] if index else 0
    # low / total <= hash / SPACE < high / total, without any division
    assert low * SPACE <= hash_ * sums[-1] < sums[index] * SPACE


@given(weights, buckets)
@example([0, 1], 0)
@example([1, 0], SPACE - 1)
@example([0.0, 1e-300, 0], 0)
def test_weight_zero_is_never_chosen(given_weights: list[float], hash_: int) -> None:
    assert given_weights[choose(hash_, cumulative(given_weights))] > 0


@pytest.mark.parametrize("count", [1, 2, 3, 7, 1000])
def test_equal_weights_split_the_space_to_within_one_bucket(count: int) -> None:
    sums = cumulative([1] * count)
    firsts = [-(-SPACE * i // count) for i in range(count + 1)]
    for i, (first, after) in enumerate(pairwise(firsts)):
        assert choose(first, sums) == i
        assert choose(after - 1, sums) == i


@pytest.mark.parametrize(
    ("given_weights", "sums"),
    [
        ([1, 1], (1, 2)),
        ([50, 50], (1, 2)),
        ([0.5, 0.5], (1, 2)),
        ([33.3, 33.3, 33.4], (333, 666, 1000)),
        ([0.1, 0.2], (1, 3)),
        ([0, 5, 0], (0, 1, 1)),
    ],
)
def test_weights_are_taken_as_written(given_weights: list[float], sums: tuple[int, ...]) -> None:
    assert cumulative(given_weights) == sums


@pytest.mark.parametrize("wrong", [[], [0, 0], [-1, 2]])
def test_weights_that_choose_nothing_are_refused(wrong: list[float]) -> None:
    with pytest.raises(ValueError, match="weight"):
        cumulative(wrong)


def test_shares_are_exact() -> None:
    assert threshold(0) == 0
    assert threshold(1) == SPACE
    assert threshold(0.5) == SPACE // 2
    assert threshold(1e-12) == 1  # bucket 0 only
    assert (threshold(0.1) - 1) * 10 < SPACE <= threshold(0.1) * 10


@given(st.floats(0, 1), st.floats(0, 1), buckets)
def test_raising_a_share_puts_nobody_out(one: float, other: float, hash_: int) -> None:
    low, high = sorted([one, other])
    assert not hash_ < threshold(low) or hash_ < threshold(high)


def test_the_split_is_even() -> None:
    sums = cumulative([1, 1, 2])
    counts = Counter(choose(bucket("a", unit), sums) for unit in UNITS)
    for index, expected in enumerate([5000, 5000, 10_000]):
        assert abs(counts[index] - expected) < 4 * (expected * 0.75) ** 0.5


@pytest.mark.parametrize(
    ("one", "other"),
    [("checkout", "checkout2"), ("a", "b"), ("exp", "exp:coverage"), ("x:rule:a:0", "x:rule:a:1")],
)
def test_similar_salts_are_independent(one: str, other: str) -> None:
    sums = cumulative([1, 1])
    agreeing = sum(
        choose(bucket(one, unit), sums) == choose(bucket(other, unit), sums) for unit in UNITS
    )
    assert abs(agreeing - 10_000) < 4 * (20_000 * 0.25) ** 0.5


def test_a_changed_weight_moves_only_what_it_must() -> None:
    before, after = cumulative([90, 10]), cumulative([80, 20])
    moved = sum(choose(h, before) != choose(h, after) for h in (bucket("s", u) for u in UNITS))
    assert abs(moved - 2000) < 4 * (20_000 * 0.1 * 0.9) ** 0.5
