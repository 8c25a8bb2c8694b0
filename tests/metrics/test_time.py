from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import SettingsError
from anabranch.metrics.watermark import watermark
from anabranch.metrics.windows import (
    DAY,
    HOUR,
    Days,
    WindowSettings,
    size_name,
    window_bounds,
    window_start,
)


@pytest.mark.parametrize(
    ("clocks", "live", "before", "expected"),
    [
        ({}, (), None, None),
        ({}, (), 7, 7),
        ({"a": 50}, (), None, 50),
        ({"a": 50, "b": 70}, (), None, 50),
        ({"a": 50, "b": 150}, (), None, 50),
        ({"a": 50, "b": 151}, (), None, 151),
        ({"a": 50, "b": 151}, ("a",), None, 50),
        ({"a": 50, "b": 151}, ("a",), 120, 120),
        ({"a": 50, "b": 151, "c": 140}, (), None, 140),
    ],
    ids=[
        "nobody yet",
        "nobody, as before",
        "one",
        "the slower",
        "just not idle",
        "idle",
        "behind but live",
        "never back",
        "the slower of those that count",
    ],
)
def test_the_watermark_is_the_least_clock_of_sources_that_count(clocks, live, before, expected):
    assert watermark(clocks, 100, live=live, before=before) == expected


@pytest.mark.parametrize(
    ("size", "name"),
    [(60_000, "1m"), (90_000, "90s"), (3_600_000, "1h"), (86_400_000, "1d"), (250, "250ms")],
)
def test_sizes_are_named_in_the_largest_whole_unit(size, name):
    assert size_name(size) == name


def test_windows_are_aligned_to_the_epoch_on_both_sides_of_it():
    assert window_start(61_500, 60_000) == 60_000
    assert window_start(60_000, 60_000) == 60_000
    assert window_start(-1, 60_000) == -60_000


@pytest.mark.parametrize(
    "wrong",
    [
        {"sizes_ms": (0,)},
        {"sizes_ms": (60_000, 60_000)},
        {"lateness_ms": -1},
        {"lateness_ms": 2, "retention_ms": 1},
        {"time_zone": "Europe/Atlantis"},
        {"time_zone": "/etc"},
    ],
    ids=str,
)
def test_settings_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(SettingsError):
        WindowSettings(**wrong)


def ms(text):
    return int(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("zone", "at", "start", "hours"),
    [
        ("Europe/Berlin", "2026-03-28T12:00Z", "2026-03-28T00:00+01:00", 24),
        ("Europe/Berlin", "2026-03-29T12:00Z", "2026-03-29T00:00+01:00", 23),
        ("Europe/Berlin", "2026-10-25T00:30Z", "2026-10-25T00:00+02:00", 25),
        ("Europe/Berlin", "2026-10-25T22:59Z", "2026-10-25T00:00+02:00", 25),
        ("Europe/Berlin", "2026-10-25T23:00Z", "2026-10-26T00:00+01:00", 24),
        ("America/Sao_Paulo", "2018-11-04T12:00Z", "2018-11-04T01:00-02:00", 23),
        ("America/Havana", "2026-11-01T12:00Z", "2026-11-01T00:00-04:00", 25),
        ("Australia/Lord_Howe", "2026-04-05T00:00Z", "2026-04-05T00:00+11:00", 24.5),
        ("Asia/Kolkata", "2026-01-01T18:30Z", "2026-01-02T00:00+05:30", 24),
    ],
)
def test_a_day_of_a_time_zone_runs_from_midnight_to_midnight(zone, at, start, hours):
    found = window_bounds(ms(at.replace("Z", "+00:00")), Days(DAY, ZoneInfo(zone)))
    assert found == (ms(start), ms(start) + hours * HOUR)


@given(
    st.integers(-(10**14), 4 * 10**12),
    st.sampled_from(["Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Africa/Casablanca"]),
    st.sampled_from([DAY, 7 * DAY]),
)
def test_days_leave_no_gap_and_never_overlap(time, zone, size):
    size = Days(size, ZoneInfo(zone))
    start, end = window_bounds(time, size)
    assert start <= time < end
    if time >= ms("1901-01-01T00:00+00:00"):
        assert window_bounds(start, size) == window_bounds(end - 1, size) == (start, end)
        assert window_bounds(end, size)[0] == end
        assert window_bounds(start - 1, size)[1] == start


def test_only_whole_days_are_those_of_the_time_zone():
    found = WindowSettings(sizes_ms=(60_000, HOUR, DAY), time_zone="Europe/Berlin").sizes
    assert found == (60_000, HOUR, DAY)
    assert [type(size) for size in found] == [int, int, Days]
    assert size_name(found[2]) == "1d"
    assert all(type(size) is int for size in WindowSettings(sizes_ms=(DAY,)).sizes)
    noon = datetime(2026, 7, 1, 12, tzinfo=UTC)
    opens = window_start(int(noon.timestamp() * 1000), found[2])
    assert opens == int((noon - timedelta(hours=14)).timestamp() * 1000)
