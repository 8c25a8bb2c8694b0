"""The board: what each topic's records change, what is shown, and that memory is bounded."""

from __future__ import annotations

import json

import pytest

from anabranch.demo import EXPERIMENT, demo_catalog
from anabranch.web import Board
from anabranch.web.board import ALERTS_KEPT, DEAD_LETTERS_KEPT, REASONS_KEPT, RUNS_KEPT
from anabranch.web.rings import HISTORY_SECONDS, WINDOWS_KEPT
from tests.web.records import (
    KEY,
    MINUTE,
    NOW,
    RUN,
    VERSION,
    assignment,
    exposure,
    reasons,
    results,
    window,
)


def shown(board: Board, since: int = 0, now: int = NOW, experiment: str = RUN):
    """Through JSON, as a client sees it."""
    return json.loads(json.dumps(board.snapshot(experiment, now=now, since=since)))


def test_nothing_yet():
    snapshot = Board().snapshot(None, now=NOW)
    assert snapshot["experiments"] == []
    assert snapshot["run"] is None
    assert snapshot["alerts"] == []
    assert snapshot["deadLetters"] == {"total": 0, "topics": [], "latest": []}


def test_assignments_are_counted_in_their_second_however_late_they_arrive():
    board = Board()
    for timestamp in (NOW - 3000, NOW - 1000, NOW - 3000):
        board.apply("assignments", b"k", assignment(), (), timestamp, arrived=NOW)
    run = shown(board)["run"]
    assert run["rates"]["start"] == NOW // 1000 - 3
    assert run["rates"]["assignments"] == [2, 0, 1]
    assert run["totals"]["assignments"] == {"control": 3}


@pytest.mark.parametrize("timestamp", [NOW - HISTORY_SECONDS * 1000, NOW + 5000])
def test_what_no_chart_can_show_at_its_time_counts_on_arrival(timestamp):
    board = Board()
    board.apply("assignments", b"k", assignment(), (), timestamp, arrived=NOW)
    rates = shown(board, now=NOW + 1000)["run"]["rates"]
    assert (rates["start"], rates["assignments"]) == (NOW // 1000, [1])


def test_the_second_that_runs_is_not_shown_yet():
    board = Board()
    board.apply("assignments", b"k", assignment(), (), NOW)
    assert shown(board, now=NOW + 999)["run"]["rates"]["assignments"] == []
    assert shown(board, now=NOW + 1000)["run"]["rates"]["assignments"] == [1]


def test_rates_reach_back_fifteen_minutes():
    board = Board()
    for second in range(2 * HISTORY_SECONDS):
        board.apply("assignments", b"k", assignment(), (), NOW + second * 1000)
    rates = shown(board, now=NOW + 2 * HISTORY_SECONDS * 1000)["run"]["rates"]
    assert rates["assignments"] == [1] * (HISTORY_SECONDS - 1)


def test_exposures_per_variant_whoever_wrote_them():
    board = Board()
    board.apply("exposures", b"user:1", exposure("control"), (), NOW)
    board.apply("exposures", b"user:1", exposure("treatment", version=1), (), NOW)
    event = {"specversion": "1.0", "id": "1", "data": json.loads(exposure("treatment"))}
    structured = [("content-type", b"application/cloudevents+json; charset=utf-8")]
    board.apply("exposures", b"user:1", json.dumps(event).encode(), structured, NOW)
    run = shown(board, now=NOW + 1000)["run"]
    assert run["totals"]["exposures"] == {"control": 1, "treatment": 2}
    assert run["rates"]["exposures"] == {"control": [1], "treatment": [2]}


def test_the_latest_windows_of_each_metric_and_variant():
    board = Board()
    for i in range(WINDOWS_KEPT + 5):
        for variant in ("control", "treatment"):
            board.apply("metric-windows", *window(NOW + i * MINUTE, i, variant), (), NOW)
    board.apply("metric-windows", *window(NOW + MINUTE * 9, 99.0), (), NOW)
    (series,) = shown(board)["run"]["windows"]
    assert (series["metric"], series["size"], series["aggregation"]) == ("Orders", "1m", "count")
    assert len(series["variants"]["control"]) == WINDOWS_KEPT
    point = series["variants"]["control"][9 - 5]
    assert point == {
        "start": NOW + MINUTE * 9,
        "end": NOW + MINUTE * 10,
        "value": 99.0,
        "units": 3,
        "events": 4,
        "sum": 4.0,
        "revision": 0,
        "final": True,
    }


def test_a_deleted_window_is_gone_whatever_its_metric_is_called():
    board = Board()
    key, value = window(NOW, 1.0, metric="Orders | per visit")
    board.apply("metric-windows", key, value, (), NOW)
    board.apply("metric-windows", *window(NOW, 2.0), (), NOW)
    seen = board.version
    board.apply("metric-windows", key, None, (), NOW)
    run = shown(board, since=seen)["run"]
    assert run["whole"], "clients must drop what they have"
    assert [series["metric"] for series in run["windows"]] == ["Orders"]


def test_results_are_shown_as_they_are_with_fields_of_the_future():
    board = Board()
    key, value = results()
    later = json.loads(value) | {"decision": {"ship": False}}
    board.apply("results", key, json.dumps(later).encode(), (), NOW)
    assert shown(board)["run"]["results"] == later
    (summary,) = shown(board)["experiments"]
    assert summary["units"] == 200
    board.apply("results", key, None, (), NOW)
    assert shown(board)["run"]["results"] is None


def test_alerts_latest_first():
    board = Board()
    for i in range(ALERTS_KEPT + 5):
        alert = {"kind": "anomaly", "metric": "price", "value": i, "nested": {"left": "out"}}
        board.apply("alerts", b"k", json.dumps(alert).encode(), (), NOW + i)
    alerts = shown(board)["alerts"]
    assert len(alerts) == ALERTS_KEPT
    assert alerts[0]["kind"] == "anomaly"
    assert alerts[0]["data"] == {"kind": "anomaly", "metric": "price", "value": ALERTS_KEPT + 4}


def test_an_alert_that_came_twice_is_shown_once_with_its_words():
    board = Board()
    for state in ("raised", "raised", "resolved"):
        alert = {
            "id": f"alert-{state}",
            "kind": "guardrail",
            "state": state,
            "experiment": KEY,
            "version": VERSION,
            "message": "b is worse",
            "evidence": {"low": -1},
        }
        board.apply("alerts", KEY.encode(), json.dumps(alert).encode(), (), NOW)
    alerts = shown(board)["alerts"]
    assert [(a["experiment"], a["message"], a["data"]["state"]) for a in alerts] == [
        (KEY, "b is worse", "resolved"),
        (KEY, "b is worse", "raised"),
    ]


def test_an_alert_of_an_event_that_was_sent_twice_is_shown_once():
    board = Board()
    for event in ("1", "1", "2"):
        alert = {"kind": "anomaly", "metric": "price", "eventId": event, "eventSource": "/shop"}
        board.apply("alerts", b"k", json.dumps(alert).encode(), (), NOW)
    board.apply("alerts", b"k", b'{"kind": "other"}', (), NOW)
    board.apply("alerts", b"k", b'{"kind": "other"}', (), NOW)
    kinds = [alert["kind"] for alert in shown(board)["alerts"]]
    assert kinds == ["other", "other", "anomaly", "anomaly"]


def test_dead_letters_with_reasons_and_place_but_not_their_content():
    board = Board()
    board.apply("telemetry.dlq", b"k", b"secret", reasons("MalformedEventError", "not JSON"), NOW)
    for i in range(DEAD_LETTERS_KEPT + 5):
        board.apply("contexts.dlq", b"k", b"{}", reasons("MissingUnitError", offset=i), NOW)
    dead = shown(board)["deadLetters"]
    assert dead["total"] == DEAD_LETTERS_KEPT + 6
    assert dead["topics"] == [
        {
            "topic": "contexts",
            "count": DEAD_LETTERS_KEPT + 5,
            "reasons": {"MissingUnitError": DEAD_LETTERS_KEPT + 5},
        },
        {"topic": "telemetry", "count": 1, "reasons": {"MalformedEventError": 1}},
    ]
    assert len(dead["latest"]) == DEAD_LETTERS_KEPT
    assert dead["latest"][0]["offset"] == DEAD_LETTERS_KEPT + 4
    assert "secret" not in json.dumps(dead)


def test_dead_letters_of_others_have_a_place_too():
    board = Board()
    board.apply("telemetry.dlq", None, None, (), NOW)
    (letter,) = shown(board)["deadLetters"]["latest"]
    assert (letter["reason"], letter["partition"], letter["offset"]) == ("unknown", None, None)


def test_different_reasons_are_bounded():
    board = Board()
    for i in range(REASONS_KEPT + 30):
        board.apply("telemetry.dlq", None, None, reasons(f"Error{i}"), NOW)
    (topic,) = shown(board)["deadLetters"]["topics"]
    assert len(topic["reasons"]) == REASONS_KEPT + 1
    assert topic["reasons"]["other"] == 30


def test_runs_are_bounded_and_the_longest_silent_leaves():
    board = Board()
    for i in range(RUNS_KEPT + 3):
        board.apply("assignments", b"k", assignment(experiment=f"e{i}"), (), NOW)
    listed = {experiment["experiment"] for experiment in board.experiments()}
    assert len(listed) == RUNS_KEPT
    assert "e2" not in listed
    assert "e3" in listed


def test_variants_are_bounded():
    board = Board()
    for i in range(500):
        board.apply("exposures", b"k", exposure(f"v{i}"), (), NOW)
        board.apply("assignments", b"k", assignment(f"v{i}"), (), NOW)
        board.apply("metric-windows", *window(NOW, 1.0, f"v{i}"), (), NOW)
    run = shown(board)["run"]
    assert len(run["totals"]["exposures"]) == 64
    assert len(run["totals"]["assignments"]) == 64
    assert len(run["windows"][0]["variants"]) == 400
    assert board.find(RUN).assignments.total == 500


@pytest.mark.parametrize(
    ("topic", "key", "value"),
    [
        ("assignments", b"k", None),
        ("assignments", b"k", b"not JSON"),
        ("assignments", b"k", b'{"experiment": "e", "version": "x.y", "variant": "v"}'),
        ("exposures", b"k", b'{"experiment": 1}'),
        ("metric-windows", b"too|short", None),
        ("metric-windows", *window(NOW, 1.0)[:1], b"{}"),
        ("results", b"k", b'{"experiment": "e"}'),
        ("results", None, None),
        ("alerts", b"k", b"[]"),
    ],
)
def test_an_unreadable_record_is_counted_and_nothing_else(topic, key, value):
    board = Board()
    board.apply(topic, key, value, (), NOW)
    snapshot = shown(board)
    assert snapshot["unreadable"] == {topic: 1}
    assert snapshot["experiments"] == []
    assert snapshot["alerts"] == []


def test_a_window_with_a_time_that_is_none_is_unreadable():
    board = Board()
    key, value = window(NOW, 1.0)
    start = json.loads(value)["window"]["start"]
    board.apply("metric-windows", key, value.replace(start.encode(), b"yesterday"), (), NOW)
    assert shown(board)["unreadable"] == {"metric-windows": 1}


def test_an_input_topic_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match=r"does not show the topic 'contexts'.*results"):
        Board().apply("contexts", b"k", b"{}", (), NOW)


def test_only_what_changed_is_told():
    board = Board()
    board.apply("results", *results(), (), NOW)
    board.apply("metric-windows", *window(NOW, 1.0), (), NOW)
    board.apply("alerts", b"k", b"{}", (), NOW)
    seen = board.version
    board.apply("metric-windows", *window(NOW + MINUTE, 2.0), (), NOW)
    news = shown(board, since=seen)
    assert not {"alerts", "deadLetters"} & news.keys()
    assert not {"spec", "results"} & news["run"].keys()
    ((point,),) = [s["variants"]["control"] for s in news["run"]["windows"]]
    assert point["value"] == 2.0
    board.apply("results", *results(units=101), (), NOW)
    assert shown(board, since=seen)["run"]["results"]["variants"][0]["units"] == 101


def test_a_run_that_is_new_since_is_told_whole():
    board = Board()
    board.apply("alerts", b"k", b"{}", (), NOW)
    seen = board.version
    board.apply("results", *results(), (), NOW)
    run = shown(board, since=seen)["run"]
    assert run["whole"]
    assert run["results"] is not None


def test_a_key_alone_means_the_latest_version():
    board = Board()
    for version in ("1.9.0", "1.10.0", "1.2.0"):
        board.apply("assignments", b"k", assignment(version=version), (), NOW)
    assert shown(board, experiment=KEY)["run"]["version"] == "1.10.0"
    assert shown(board, experiment=f"{KEY}@1.2.0")["run"]["version"] == "1.2.0"
    assert shown(board, experiment="unheard.of")["run"] is None
    assert [e["version"] for e in board.experiments()] == ["1.10.0", "1.9.0", "1.2.0"]


def test_specs_give_titles_names_and_directions():
    board = Board()
    board.describe(demo_catalog().experiments)
    run = shown(board, experiment=EXPERIMENT)["run"]
    assert run["spec"]["title"] == "Split onboarding form"
    assert [v["name"] for v in run["spec"]["variants"]] == ["Single-step form", "Multi-step form"]
    assert [m["direction"] for m in run["spec"]["metrics"]] == ["increase", "decrease", "decrease"]
    assert run["version"] == VERSION
