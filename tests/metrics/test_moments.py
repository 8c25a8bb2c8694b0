"""Partial results merge in whatever order and grouping, and can be taken back again."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from anabranch.metrics.moments import Moments

counts = st.integers(-1_000, 1_000)
sums = st.decimals(-(10**9), 10**9, places=4)
sketches = st.dictionaries(
    st.sampled_from(["-3", "0", "17", "18"]), counts.filter(bool), max_size=4
)
moments = st.builds(
    Moments,
    counts,
    counts,
    sums,
    sums,
    sums,
    sketches,
    st.one_of(st.just(0), sums),
    st.one_of(st.just(0), sums),
    st.one_of(st.just(0), sums),
    st.one_of(st.just(0), sums),
    sketches,
    sketches,
    st.one_of(st.just(0), counts),
)


def merged(*parts: Moments) -> Moments:
    whole = Moments()
    for part in parts:
        whole.add(part)
    return whole


def figures(of: Moments) -> dict:
    """By value: 1 and 1.00 are the same."""
    told = {name: getattr(of, name) for name in Moments.__slots__}
    return {
        name: value if isinstance(value, dict) else Decimal(value) for name, value in told.items()
    }


@given(moments, moments)
def test_merging_is_commutative(a, b):
    assert figures(merged(a, b)) == figures(merged(b, a))


@given(moments, moments, moments)
def test_merging_is_associative(a, b, c):
    assert figures(merged(merged(a, b), c)) == figures(merged(a, merged(b, c)))


@given(moments)
def test_nothing_merged_in_changes_nothing(a):
    assert figures(merged(a, Moments())) == figures(a) == figures(merged(Moments(), a))


@given(moments, moments)
def test_what_was_merged_can_be_taken_back(a, b):
    whole = merged(a, b)
    whole.add(b, -1)
    assert figures(whole) == figures(a)
    whole.add(a, -1)
    assert not whole


@given(moments, moments)
def test_what_is_kept_is_what_was_there(a, b):
    both = figures(merged(a, b))
    kept = Moments.from_state(a.to_state())
    assert figures(kept) == figures(a)
    kept.add(b)
    assert figures(Moments.from_state(kept.to_state())) == both
