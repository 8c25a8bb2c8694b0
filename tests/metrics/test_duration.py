from math import inf

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.metrics.duration import expected_duration, rate_of_late
from anabranch.metrics.power import power_of, variance_of_share
from anabranch.metrics.windows import DAY, HOUR

T = 1_700_000_000_000 // DAY * DAY


def days(*units, size=DAY):
    return {T + at * size: n for at, n in enumerate(units)}


@pytest.mark.parametrize(
    ("arrivals", "size", "now", "per_day"),
    [
        ({}, DAY, T, 0),
        (days(100), DAY, T + DAY, 100),
        (days(100), DAY, T + DAY - 1, 0),
        (days(9000, *[100] * 7), DAY, T + 8 * DAY, 100),
        (days(300, 100), DAY, T + 2 * DAY, 200),
        (days(300, 100, 7), DAY, T + 2 * DAY + 5, 200),
        (days(*[10] * 6, size=HOUR), HOUR, T + 6 * HOUR, 240),
        (days(*[99] * 10, *[10] * 24, size=HOUR), HOUR, T + 34 * HOUR, 240),
        ({T: 70, T + 6 * DAY: 70}, DAY, T + 7 * DAY, 20),
    ],
    ids=[
        "nobody yet",
        "a day",
        "a day that is not over",
        "the last week only",
        "two days",
        "today is not over",
        "some hours",
        "the last whole day of hours",
        "days without anybody",
    ],
)
def test_the_rate_is_that_of_the_last_whole_days(arrivals, size, now, per_day):
    assert rate_of_late(arrivals, size, now) == pytest.approx(per_day)


def test_a_rise_of_a_point_on_ten_percent():
    found = expected_duration(
        0.01,
        units=(5_000, 5_000),
        variances=(variance_of_share(0.11), variance_of_share(0.10)),
        per_day=1_000,
    )
    assert found.needed == 2 * 14_749
    assert found.days == pytest.approx((29_498 - 10_000) / 1_000)


@given(st.integers(1, 10**5), st.integers(1, 10**5), st.floats(0.05, 1), st.floats(0.5, 4))
def test_with_the_units_that_it_needs_at_its_split_the_power_is_there(ours, theirs, effect, var):
    found = expected_duration(effect, units=(ours, theirs), variances=(var, 1.0), per_day=10.0)
    shares = ours / (ours + theirs), theirs / (ours + theirs)
    units = tuple(max(2.0, share * found.needed) for share in shares)
    assert power_of(effect, units=units, variances=(var, 1.0)) >= 0.8 - 1e-6
    assert (found.days == 0) == (ours + theirs >= found.needed)


def test_without_traffic_it_never_ends_unless_it_has_enough():
    few = {"variances": (1.0, 1.0), "per_day": 0.0}
    assert expected_duration(0.1, units=(10, 10), **few).days == inf
    assert expected_duration(0.1, units=(5_000, 5_000), **few).days == 0


@pytest.mark.parametrize(("units", "per_day"), [((0, 5), 1.0), ((5, 5), -1.0)])
def test_what_makes_no_sense_is_refused(units, per_day):
    with pytest.raises(ValueError, match="both arms"):
        expected_duration(0.1, units=units, variances=(1.0, 1.0), per_day=per_day)


def test_windows_have_a_size():
    with pytest.raises(ValueError, match="positive size"):
        rate_of_late({}, 0, T)
