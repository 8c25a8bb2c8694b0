"""Units and sample ratio over time from windows, and segments."""

from __future__ import annotations

import pytest

from anabranch.events.cloudevents import format_time
from anabranch.metrics.sample_ratio import sequential_sample_ratio
from anabranch.processors.reports import EXPOSURES
from anabranch.web import Board
from anabranch.web.course import course
from anabranch.web.runs import SEGMENTS_KEPT
from tests.web.records import KEY, MINUTE, NOW, RUN, VERSION, results, window
from tests.web.test_scripts import NODE, run

HALVES = {"a": 0.5, "b": 0.5}


def points(*events: int) -> list[dict[str, int]]:
    return [{"end": (n + 1) * MINUTE, "events": count} for n, count in enumerate(events)]


def test_units_are_counted_back_from_the_results():
    found = course({"a": points(10, 20, 30), "b": points(12, 18, 31)}, {"a": 60, "b": 61}, HALVES)
    assert [point["units"] for point in found] == [
        {"a": 10, "b": 12},
        {"a": 30, "b": 30},
        {"a": 60, "b": 61},
    ]
    assert [point["at"] for point in found] == [MINUTE, 2 * MINUTE, 3 * MINUTE]
    assert [point["pValue"] for point in found] == [
        sequential_sample_ratio(point["units"], HALVES) for point in found
    ]


def test_windows_that_are_gone_leave_a_later_beginning():
    found = course({"a": points(5)}, {"a": 1000, "b": 900}, HALVES)
    assert [point["units"] for point in found] == [{"a": 1000, "b": 900}]
    assert course({}, {"a": 1}, HALVES) == []


def test_a_mismatch_is_seen_to_grow():
    found = course({"a": points(*[100] * 9), "b": points(*[60] * 9)}, {"a": 900, "b": 540}, HALVES)
    told = [point["pValue"] for point in found]
    assert told == sorted(told, reverse=True)
    assert told[-1] < 0.001


def test_a_board_that_reads_the_topics_again_has_it_again():
    def read() -> Board:
        board = Board()
        for n in range(3):
            board.apply("metric-windows", *window(NOW + n * MINUTE, 4.0, metric=EXPOSURES), (), NOW)
        board.apply("results", *results(units=100), (), NOW)
        return board

    shown = read().snapshot(RUN, now=NOW)["run"]["course"]
    assert [point["units"]["control"] for point in shown] == [92, 96, 100]
    assert shown == read().snapshot(RUN, now=NOW)["run"]["course"]


def test_windows_that_come_after_the_results_are_news():
    board = Board()
    board.apply("results", *results(units=100), (), NOW)
    seen = board.version
    board.apply("metric-windows", *window(NOW, 4.0, metric=EXPOSURES), (), NOW)
    news = board.snapshot(RUN, now=NOW, since=seen)["run"]
    assert "results" not in news
    assert [point["units"]["control"] for point in news["course"]] == [100]


def segment(board: Board, value: str, units: int | None) -> None:
    key = f"{KEY}|{VERSION}|country|{value}".encode()
    board.apply("segments", key, None if units is None else results(units)[1], (), NOW)


def test_segments_are_shown_replaced_and_taken_away():
    board = Board()
    board.apply("results", *results(), (), NOW)
    for value, units in [("de", 5), ("a|b", 7), ("de", 6)]:
        segment(board, value, units)
    seen = board.version

    def shown(since: int = 0) -> list:
        found = board.snapshot(RUN, now=NOW, since=since)["run"]["segments"]
        return [(s["attribute"], s["value"], s["variants"][0]["units"]) for s in found]

    assert shown() == [("country", "a|b", 7), ("country", "de", 6)]
    segment(board, "fr", 1)
    assert shown(seen) == [("country", "fr", 1)]
    segment(board, "de", None)
    assert shown(seen) == [("country", "a|b", 7), ("country", "fr", 1)]
    for n in range(SEGMENTS_KEPT + 5):
        segment(board, f"v{n}", n)
    assert len(shown()) == SEGMENTS_KEPT
    assert board.snapshot(RUN, now=NOW)["run"]["results"]["asOf"] == format_time(NOW)


@pytest.mark.skipif(NODE is None, reason="there is no Node.js")
def test_p_values_as_powers_of_ten_and_segments_by_attribute():
    assert run(
        "tell([course.magnitude(0.001), course.magnitude(0), course.magnitude(null), "
        "course.byAttribute([{attribute: 'b', value: 1}, {attribute: 'a', value: 2}])"
        ".map(([name]) => name)])"
    ) == [-3, -12, None, ["a", "b"]]
