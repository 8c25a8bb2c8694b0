"""Intervals over time: what is kept of them, and what is sent."""

from __future__ import annotations

import msgspec

from anabranch.events.models import Results
from anabranch.web import Board
from anabranch.web.trends import POINTS_KEPT, Trends
from tests.web.records import MINUTE, NOW, RUN, results

decode = msgspec.json.Decoder(Results).decode


def said(at: int, difference: float | None = 0.0) -> Results:
    return decode(results(at=at, difference=difference)[1])


def points(trends: Trends, since: int = 0) -> list[dict]:
    return [point for trend in trends.since(since) for point in trend["points"]]


def test_a_moment_holds_the_difference_and_both_intervals():
    trends = Trends()
    assert trends.put(said(NOW, 0.25), NOW, 1) is False
    assert list(trends.since(0)) == [
        {
            "metric": "Orders",
            "variant": "treatment",
            "points": [
                {
                    "n": 0,
                    "at": NOW,
                    "difference": 0.25,
                    "sequential": None,
                    "fixed": [-0.1, 0.1],
                }
            ],
        }
    ]


def test_without_a_difference_there_is_nothing_to_draw():
    trends = Trends()
    trends.put(said(NOW, None), NOW, 1)
    assert list(trends.since(0)) == []


def test_only_news_are_sent():
    trends = Trends()
    for version in (1, 2, 3):
        trends.put(said(NOW + version), NOW + version, version)
    assert [point["n"] for point in points(trends, since=2)] == [2]
    assert points(trends, since=3) == []


def test_results_of_the_same_moment_take_its_place():
    trends = Trends()
    trends.put(said(NOW), NOW, 1)
    trends.put(said(NOW + 5, 0.1), NOW + 5, 2)
    trends.put(said(NOW + 5, 0.2), NOW + 5, 3)
    assert [point["difference"] for point in points(trends)] == [0.0, 0.1, 0.2]
    trends.put(said(NOW + 5, 0.3), NOW + 5, 4)
    assert [point["difference"] for point in points(trends)][-1] == 0.3


def test_all_of_its_time_is_kept_in_bounded_memory():
    trends = Trends()
    taken = [
        trends.put(said(NOW + i * MINUTE, i), NOW + i * MINUTE, i + 1)
        for i in range(5 * POINTS_KEPT)
    ]
    kept = points(trends)
    assert len(kept) <= POINTS_KEPT
    assert kept[0]["at"] == NOW
    assert kept[-1]["difference"] == 5 * POINTS_KEPT - 1
    assert [point["at"] for point in kept] == sorted(point["at"] for point in kept)
    assert 1 <= sum(taken) < 6


def test_results_that_begin_anew_begin_a_new_trend():
    trends = Trends()
    for at in (NOW, NOW + 1, NOW + 2):
        trends.put(said(at), at, 1)
    assert trends.put(said(NOW - MINUTE), NOW - MINUTE, 2) is True
    assert [point["at"] for point in points(trends)] == [NOW - MINUTE]


def test_the_board_sends_everything_again_when_moments_were_taken_away():
    board = Board()
    board.apply("results", *results(at=NOW), (), NOW)
    seen = board.version
    board.apply("results", *results(at=NOW - MINUTE), (), NOW)
    run = board.snapshot(RUN, now=NOW, since=seen)["run"]
    assert run["whole"] is True
    assert [point["at"] for point in run["trends"][0]["points"]] == [NOW - MINUTE]


def test_results_that_were_deleted_leave_no_trend():
    board = Board()
    key, value = results()
    board.apply("results", key, value, (), NOW)
    board.apply("results", key, None, (), NOW)
    run = board.snapshot(RUN, now=NOW)["run"]
    assert (run["results"], run["trends"]) == (None, [])
