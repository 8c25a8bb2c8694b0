"""Which records of several sources may be processed now."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.engine.ordering import in_step


def records(*times: int) -> list[SimpleNamespace]:
    return [SimpleNamespace(timestamp=t) for t in times]


def times(by_source) -> dict[str, list[int]]:
    return {source: [r.timestamp for r in records] for source, records in by_source.items()}


@pytest.mark.parametrize(
    ("left", "right", "now_left", "now_right"),
    [
        ([1, 2, 9], [3, 4], [1, 2], [3, 4]),
        ([1, 2], [3, 4], [1, 2], []),
        ([5], [5], [5], [5]),
        ([1, 9], [], [1, 9], []),
        ([], [], [], []),
        ([1, 9, 2], [4], [1], [4]),
    ],
)
def test_no_source_runs_ahead_of_what_the_others_have_reached(left, right, now_left, now_right):
    now, later = in_step({"left": records(*left), "right": records(*right)})
    assert times(now) == {"left": now_left, "right": now_right}
    assert times(later) == {"left": left[len(now_left) :], "right": right[len(now_right) :]}


@given(st.lists(st.lists(st.integers(0, 20), max_size=8), min_size=1, max_size=3))
def test_there_is_always_something_to_do_and_nothing_is_lost(sources):
    polled = {str(n): records(*found) for n, found in enumerate(sources)}
    taken = dict.fromkeys(polled, ())
    while any(polled.values()):
        now, later = in_step(polled)
        assert any(now.values())
        taken = {source: [*taken[source], *now[source]] for source in polled}
        polled = later
    assert times(taken) == {str(n): found for n, found in enumerate(sources)}
