"""What units may forget, and when they are forgotten themselves."""

from __future__ import annotations

import copy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import SettingsError
from anabranch.metrics.ledger import Ledger
from anabranch.metrics.retention import RetentionSettings, settled, shed


def columns(*arrivals: int):
    made = Ledger.empty()
    for number, arrival in enumerate(arrivals):
        Ledger(made).insert(number, arrival, arrival, "shop.order", {})
    return made


@pytest.mark.parametrize(
    ("runs", "arrivals", "useless", "left"),
    [
        ({}, [50], True, 0),
        ({}, [150], False, 1),
        ({}, [50, 150], False, 1),
        ({"a@1": [50, ["x"], {}]}, [], True, 0),
        ({"a@1": [50, ["x"], {}]}, [150], False, 1),
        ({"a@1": [150, ["x"], {}]}, [50], False, 0),
        ({"a@1": [50, ["x"], {}], "b@1": [150, ["x"], {}]}, [], False, 0),
    ],
)
def test_a_unit_is_of_use_while_it_was_exposed_or_heard_of_lately(runs, arrivals, useless, left):
    record = {"r": copy.deepcopy(runs)} | ({"l": columns(*arrivals)} if arrivals else {})
    assert shed(record, arrived_before=100, exposed_before=100) is useless
    assert record["r"] == runs
    assert len(record.get("l", [[], []])[1]) == left
    assert ("l" in record) is bool(left)


@pytest.mark.parametrize("name", ["units_ms", "every_ms", "slice"])
def test_settings_are_positive(name):
    with pytest.raises(SettingsError, match="positive"):
        RetentionSettings(**{name: 0})


def test_the_grace_may_be_none_but_not_less():
    assert RetentionSettings(grace_ms=0).grace_ms == 0
    with pytest.raises(SettingsError, match="positive"):
        RetentionSettings(grace_ms=-1)


def test_the_watermark_of_a_while_ago():
    marks: list[list[int]] = []
    told = [settled(marks, now, now * 10, 100) for now in range(0, 500, 50)]
    assert told == [None, None, 0, 0, 1000, 1000, 2000, 2000, 3000, 3000]


def test_a_clock_that_was_set_back_waits_anew():
    marks: list[list[int]] = []
    assert [settled(marks, now, 7, 100) for now in (1000, 1100, 500, 550, 600)] == [
        None, 7, None, None, 7,
    ]  # fmt: skip


@given(
    steps=st.lists(st.tuples(st.integers(0, 300), st.integers(0, 10**6)), min_size=1),
    grace=st.integers(0, 200),
)
def test_it_never_is_younger_than_the_grace_nor_goes_back(steps, grace):
    marks: list[list[int]] = []
    now = reached = 0
    history, before = [], None
    for elapsed, progress in steps:
        now, reached = now + elapsed, reached + progress
        history.append((now, reached))
        told = settled(marks, now, reached, grace)
        if told is not None:
            assert told <= max(level for at, level in history if at <= now - grace)
            assert before is None or told >= before
            before = told
        else:
            assert before is None
