"""The token bucket, by a clock that the test holds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.web.limits import RateLimit


def test_a_burst_then_the_rate():
    limit = RateLimit(2, 3)
    assert [limit.take("a", 0) for _ in range(4)] == [0, 0, 0, 0.5]
    assert limit.take("a", 0.5) == 0
    assert limit.take("a", 0.75) == pytest.approx(0.25)


def test_each_name_has_its_own():
    limit = RateLimit(1, 1)
    assert (limit.take("a", 0), limit.take("b", 0)) == (0, 0)
    assert limit.take("a", 0) == 1


def test_a_clock_that_goes_back_gives_nothing():
    limit = RateLimit(1, 1)
    limit.take("a", 10)
    assert limit.take("a", 0) > 0


@given(
    rate=st.floats(0.1, 100),
    burst=st.integers(1, 20),
    steps=st.lists(st.floats(0, 2), max_size=60),
)
def test_never_more_than_the_burst_and_what_the_time_gave(rate, burst, steps):
    limit = RateLimit(rate, burst)
    now, taken = 0.0, 0
    for step in steps:
        now += step
        taken += limit.take("a", now) == 0
    assert taken <= burst + rate * now + 1e-6


@given(rate=st.floats(0.1, 100), burst=st.integers(1, 5))
def test_after_the_wait_there_is_one(rate, burst):
    limit = RateLimit(rate, burst)
    for _ in range(burst):
        assert limit.take("a", 0) == 0
    wait = limit.take("a", 0)
    assert limit.take("a", wait + 1e-6) == 0


def test_full_buckets_are_dropped_when_there_are_many():
    limit = RateLimit(1, 1)
    limit._MANY = 3
    for n in range(3):
        limit.take(f"old-{n}", 0)
    limit.take("new", 100)
    assert set(limit._buckets) == {"new"}


@pytest.mark.parametrize(("rate", "burst"), [(0, 1), (-1, 1), (1, 0)])
def test_bounds(rate, burst):
    with pytest.raises(ValueError, match="more than 0"):
        RateLimit(rate, burst)
