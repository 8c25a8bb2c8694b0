"""Bounded memories: counts per second and windows of a series."""

from __future__ import annotations

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from anabranch.web.rings import HISTORY_SECONDS, WINDOWS_KEPT, SecondCounts, WindowSeries


def test_counts_seconds():
    counts = SecondCounts()
    for second in (10, 10, 12):
        counts.add(second)
    assert counts.between(9, 14) == [0, 2, 0, 1, 0]
    assert counts.total == 3


def test_forgets_what_lies_before_its_history():
    counts = SecondCounts()
    counts.add(10, 5)
    counts.add(10 + HISTORY_SECONDS)
    assert counts.between(10, 11) == [0]
    assert counts.total == 6


def test_an_addition_before_the_history_counts_for_the_total_only():
    counts = SecondCounts()
    counts.add(5000)
    counts.add(5000 - HISTORY_SECONDS)
    assert counts.total == 2
    assert sum(counts.between(0, 6000)) == 1


@given(st.lists(st.integers(0, 3 * HISTORY_SECONDS), max_size=60))
def test_agrees_with_a_plain_count_whatever_the_order(seconds):
    counts = SecondCounts()
    plain: Counter[int] = Counter()
    latest = None
    for second in seconds:
        counts.add(second)
        if latest is None or second > latest - HISTORY_SECONDS:
            plain[second] += 1
        latest = second if latest is None else max(latest, second)
    end = (latest or 0) + 1
    expected = [plain[s] for s in range(max(0, end - HISTORY_SECONDS), end)]
    assert counts.between(max(0, end - HISTORY_SECONDS), end) == expected
    assert counts.total == len(seconds)


def test_a_series_keeps_the_latest_windows_in_order():
    series = WindowSeries()
    for start in reversed(range(WINDOWS_KEPT + 10)):
        series.put(start, {"start": start}, version=1)
    kept = [point["start"] for point in series.since(0)]
    assert len(kept) == WINDOWS_KEPT
    assert kept == sorted(kept)
    assert kept[-1] == WINDOWS_KEPT + 9


def test_a_series_tells_what_changed_since():
    series = WindowSeries()
    series.put(1, {"value": 1}, version=1)
    series.put(2, {"value": 1}, version=2)
    series.put(1, {"value": 5}, version=3)
    assert series.since(1) == [{"value": 5}, {"value": 1}]
    assert series.since(2) == [{"value": 5}]
    assert series.since(3) == []
