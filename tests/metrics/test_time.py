import pytest

from anabranch.errors import SettingsError
from anabranch.metrics.watermark import watermark
from anabranch.metrics.windows import WindowSettings, size_name, window_start


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
    ],
    ids=str,
)
def test_settings_that_contradict_themselves_are_refused(wrong):
    with pytest.raises(SettingsError):
        WindowSettings(**wrong)
