"""The list of experiments: what a row tells, and what is sent when one of many changes."""

from __future__ import annotations

import json

import msgspec
import pytest

from anabranch.web import Board
from anabranch.web import board as boards
from tests.web.records import KEY, MINUTE, NOW, RUN, VERSION, assignment, many_runs, results, window
from tests.web.test_scripts import NODE, run


def row(board: Board) -> dict:
    (found,) = board.experiments()
    return found


def alert(state: str, kind: str = "guardrail") -> bytes:
    return json.dumps(
        {"kind": kind, "state": state, "experiment": KEY, "version": VERSION, "metric": "Orders"}
    ).encode()


def test_a_change_of_one_of_a_thousand_sends_one_row():
    board = Board()
    many_runs(board, 1000)
    whole = board.snapshot(now=NOW)
    assert (whole["listed"], len(whole["experiments"])) == ("whole", 1000)
    assert len(msgspec.json.encode(whole)) < 400_000
    board.apply("assignments", b"k", assignment(experiment="shop.e0500"), (), NOW)
    news = board.snapshot(now=NOW, since=whole["version"])
    assert (news["listed"], [r["id"] for r in news["experiments"]]) == (
        "changed",
        [f"shop.e0500@{VERSION}"],
    )
    board.apply("assignments", b"k", assignment(experiment="new"), (), NOW)
    again = board.snapshot(now=NOW, since=news["version"])
    assert (again["listed"], len(again["experiments"])) == ("whole", 1001)


def test_a_run_began_with_its_oldest_window():
    board = Board()
    board.apply("results", *results(), (), NOW)
    assert row(board)["started"] is None
    for start in (NOW - MINUTE, NOW - 5 * MINUTE, NOW):
        board.apply("metric-windows", *window(start, 1.0), (), NOW)
    assert row(board)["started"] == NOW - 5 * MINUTE


def test_health_follows_alerts_until_they_are_resolved():
    board = Board()
    board.apply("assignments", b"k", assignment(), (), NOW)
    assert row(board)["health"] == "unknown"
    board.apply("results", *results(), (), NOW)
    assert row(board)["health"] == "good"
    seen = []
    for state, kind in [
        ("raised", "silence"),
        ("raised", "guardrail"),
        ("changed", "guardrail"),
        ("resolved", "guardrail"),
        ("resolved", "silence"),
    ]:
        board.apply("alerts", KEY.encode(), alert(state, kind), (), NOW)
        seen.append((row(board)["health"], row(board)["alerts"]))
    assert seen == [("alert", 1), ("harm", 2), ("harm", 2), ("alert", 1), ("good", 0)]


def test_windows_of_all_runs_are_bounded_together(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(boards, "WINDOWS_TOTAL", 100)
    board = Board()
    for n in range(130):
        board.apply("metric-windows", *window(NOW + n * MINUTE, float(n)), (), NOW)
    (series,) = board.snapshot(RUN, now=NOW)["run"]["windows"]
    kept = series["variants"]["control"]
    assert len(kept) <= 100
    assert kept[-1]["value"] == 129.0


LISTED = """
const row = (id, more) => ({id, title: "", experiment: id, owners: [], status: "running",
  health: "good", started: null, units: 1, alerts: 0, asOf: null, ...more});
const rows = [
  row("a@1", {title: "Checkout", units: null, started: 0, health: "harm"}),
  row("b@1", {owners: ["growth"], units: 5, status: "completed", started: 0,
    asOf: "1970-01-03T00:00:00Z"}),
  row("c@1", {units: 9, status: null}),
];
const asked = {words: "", status: "", health: "", by: "name", down: false};
const ids = (change) => list.chosen(rows, {...asked, ...change}, 4 * 86400000).map((r) => r.id[0]);
tell([ids({by: "units"}), ids({by: "units", down: true}), ids({words: "GROW b"}),
  ids({status: "unknown"}), ids({health: "harm"}), ids({by: "health"}),
  rows.map((r) => list.days(r, 4 * 86400000))]);
"""


@pytest.mark.skipif(NODE is None, reason="there is no Node.js")
def test_the_list_is_filtered_and_sorted():
    assert run(LISTED) == [
        ["b", "c", "a"],
        ["c", "b", "a"],
        ["b"],
        ["c"],
        ["a"],
        ["a", "b", "c"],
        [4, 2, None],
    ]
