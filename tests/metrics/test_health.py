"""Judges of health, and when their verdicts are told."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.metrics.alarms import follow
from anabranch.metrics.health import (
    LEAST_EXPECTED_EVENTS,
    Kind,
    Quiet,
    Verdict,
    harm,
    hour_of,
    imbalance,
    sample_ratio_mismatch,
    silence,
)
from anabranch.metrics.windows import DAY, HOUR, MINUTE

HALVES = {"control": 0.5, "short": 0.5}


def judged(low, high, *, direction="increase", tolerance=0.0):
    return harm(
        "revenue",
        "short",
        "control",
        direction=direction,
        tolerance=tolerance,
        difference=(low + high) / 2,
        low=low,
        high=high,
        p_value=0.01,
    ).word


@pytest.mark.parametrize(
    ("interval", "options", "word"),
    [
        ((-3.0, -1.0), {}, "breach"),
        ((-3.0, 1.0), {}, "between"),
        ((-1.0, 3.0), {}, "over"),
        ((1.0, 3.0), {}, "over"),
        ((1.0, 3.0), {"direction": "decrease"}, "breach"),
        ((-1.0, 3.0), {"direction": "decrease"}, "between"),
        ((-3.0, -1.0), {"direction": "decrease"}, "over"),
        ((-3.0, -1.0), {"tolerance": 1.0}, "between"),
        ((-3.0, -1.1), {"tolerance": 1.0}, "breach"),
        ((-1.5, -0.1), {"tolerance": 1.0}, "over"),
    ],
)
def test_harm_is_an_interval_wholly_beyond_what_is_tolerated(interval, options, word):
    assert judged(*interval, **options) == word


@pytest.mark.parametrize(
    ("p_value", "word"), [(0.001, "breach"), (0.002, "between"), (0.05, "over"), (1.0, "over")]
)
def test_a_mismatch_is_judged_by_the_sequential_p_value(p_value, word):
    found = sample_ratio_mismatch({"control": 400, "short": 600}, HALVES, p_value)
    assert found is not None
    assert found.word == word
    assert found.figure == pytest.approx(0.1)
    assert found.evidence["pValue"] == p_value


def test_where_no_shares_are_planned_there_is_no_mismatch_and_no_imbalance():
    assert sample_ratio_mismatch({"control": 400}, {}, None) is None
    assert imbalance({0: {"control": 400}}, {}) is None


FAIR = {"control": 500, "short": 500}
BROKEN = {"control": 500, "short": 20}


@pytest.mark.parametrize(
    ("hours", "word"),
    [
        ([FAIR], "between"),  # not complete yet
        ([FAIR, FAIR], "over"),
        ([BROKEN], "breach"),
        ([FAIR, BROKEN], "breach"),
        ([BROKEN, FAIR], "breach"),  # the fair hour may yet turn out otherwise
        ([BROKEN, FAIR, {}], "over"),
        ([BROKEN, {"control": 10, "short": 10}, {}], "breach"),  # too few to end it
        ([BROKEN, FAIR, BROKEN], "breach"),
        ([{"control": 5, "short": 0}], "between"),
    ],
)
def test_an_hour_out_of_balance_by_itself(hours, word):
    found = imbalance({n * HOUR: units for n, units in enumerate(hours)}, HALVES)
    assert found is not None
    assert found.word == word


def test_an_hour_that_units_left_again_counts_none():
    found = imbalance({0: {"control": -3, "short": 0}}, HALVES)
    assert found is None or found.word != "breach"


@pytest.mark.parametrize(
    ("minutes", "exposures", "word"),
    [(59, 10_000, "over"), (60, 139, "between"), (60, 140, "breach"), (600, 140, "breach")],
)
def test_silence_is_long_enough_and_of_enough_expected_events(minutes, exposures, word):
    quiet = Quiet(last=HOUR, exposed=HOUR + minutes * MINUTE, since=exposures)
    found = silence("revenue", quiet, rate=LEAST_EXPECTED_EVENTS / 140, longest_ms=HOUR)
    assert found.word == word
    assert found.figure == minutes * MINUTE


def test_hours_begin_where_hours_begin_and_days_are_their_own():
    assert hour_of(HOUR + 3 * MINUTE, MINUTE) == HOUR
    assert hour_of(DAY - 3 * HOUR, DAY) == DAY - 3 * HOUR


# -- telling ----------------------------------------------------------------------------------


def verdict(word, figure=1.0):
    return Verdict(Kind.SILENCE, word, figure, metric="revenue")


def told(*verdicts):
    """What is told after each verdict, one a second."""
    kept = {}
    found = [follow(kept, one, 1000 * n) for n, one in enumerate(verdicts)]
    return [None if one is None else (one.change, one.episode, one.number) for one in found]


def test_an_alarm_is_told_when_it_begins_gets_worse_and_ends():
    assert told(
        verdict("between"),
        verdict("breach"),
        verdict("breach"),
        verdict("breach", 1.9),
        verdict("breach", 2.0),
        verdict("between", 9.0),
        verdict("over"),
        verdict("over"),
        verdict("between"),
        verdict("breach"),
    ) == [
        None,
        ("raised", 1, 1),
        None,
        None,
        ("changed", 1, 2),
        None,
        ("resolved", 1, 3),
        None,
        None,
        ("raised", 2, 1),
    ]


def test_since_is_when_the_episode_began():
    kept = {}
    follow(kept, verdict("breach"), 1000)
    worse = follow(kept, verdict("breach", 5.0), 2000)
    assert worse is not None
    assert worse.since == 1000


words = st.sampled_from(["breach", "between", "over"])


@given(st.lists(st.tuples(words, st.floats(0, 1e6))))
def test_raised_and_resolved_take_turns_and_nothing_is_told_twice(steps):
    found = [t for t in told(*(verdict(word, figure) for word, figure in steps)) if t is not None]
    turns = [change for change, _, _ in found if change != "changed"]
    assert turns == ["raised", "resolved"] * (len(turns) // 2) + ["raised"] * (len(turns) % 2)
    assert len({(episode, number) for _, episode, number in found}) == len(found)
