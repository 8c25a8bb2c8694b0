"""How long it takes: as notebooks say it, from what the topics hold."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from anabranch import analysis
from anabranch.processors.reports import EXPOSURES
from anabranch.specs import ExperimentSpec
from anabranch.web import Board, runs
from anabranch.web.outlook import LIFTS, outlook
from tests.web.records import KEY, MINUTE, NOW, RUN, assignment, results, window
from tests.web.test_scripts import NODE, run

UNITS = 400
PER_DAY = 50.0


@pytest.fixture(scope="module")
def found():
    table = {
        "arm": ["a", "b"] * (UNITS // 2),
        "ordered": [int(n % 7 < 2) for n in range(UNITS)],
        "spent": [float(n % 11 + 5) for n in range(UNITS)],
    }
    metrics = {
        "orders": analysis.UnitMetric("ordered", "unique"),
        "spent": "spent",
        "nothing": analysis.UnitMetric("nothing", "unique"),
    }
    return analysis.read_units(
        table | {"nothing": [0] * UNITS}, variant="arm", control="a", metrics=metrics
    )


@pytest.fixture(scope="module")
def told(found) -> dict:
    return msgspec.to_builtins(found.results[0])


def spec(**fields) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "meta": {"key": KEY, "version": "1.0.0"},
            "controlVariant": "a",
            "variants": [{"id": "a"}, {"id": "b"}],
            "allocation": {"type": "random"},
            "successMetrics": [
                {
                    "name": "orders",
                    "telemetryEvent": {"key": "order", "version": 1},
                    "aggregation": "unique",
                    "target": 0.5,
                }
            ],
        }
        | fields
    )


def of(metric: str, shown: dict | None) -> dict:
    assert shown is not None
    (one,) = (one for one in shown["comparisons"] if one["metric"] == metric)
    return one


@pytest.mark.parametrize("metric", ["orders", "spent"])
def test_it_says_what_notebooks_say(found, told, metric):
    here = of(metric, outlook(told, None, PER_DAY, NOW))
    for lift, days in zip(LIFTS, (one["days"] for one in here["lifts"]), strict=True):
        there = analysis_of(found, metric, lift)
        assert here["least"] == pytest.approx(there.least_difference)
        assert days == pytest.approx(max(0, there.needed - there.units) / PER_DAY)


def analysis_of(found, metric: str, lift: float):
    """Of two looks, since one tells nothing of traffic."""
    before, last = (
        msgspec.structs.replace(found.results[0], as_of=f"2026-01-0{day}T00:00:00.000Z")
        for day in (1, 3)
    )
    return analysis.Analysis([before, last]).outlook(metric, lift=lift)


def test_what_cannot_be_told_says_why(told):
    assert of("nothing", outlook(told, None, PER_DAY, NOW))["why"]


def test_without_new_units_it_never_comes(told):
    days = [one["days"] for one in of("orders", outlook(told, None, 0.0, NOW))["lifts"]]
    assert days[0] is None


def test_a_target_is_held_against_control(told):
    control = told["metrics"][0]["variants"][0]["rate"]
    target = of("orders", outlook(told, spec(), PER_DAY, NOW))["target"]
    assert target["value"] == 0.5
    assert 0 <= target["days"] < 30
    there = spec()
    there.success_metrics[0].__dict__["target"] = control / 2
    assert of("orders", outlook(told, there, PER_DAY, NOW))["target"]["days"] == 0


def test_by_its_end_smaller_differences_are_found(told):
    end = datetime.fromtimestamp(NOW / 1000, UTC) + timedelta(days=8)
    shown = outlook(told, spec(schedule={"end": end.isoformat()}), PER_DAY, NOW)
    assert shown is not None
    assert shown["endsIn"] == pytest.approx(8)
    one = of("orders", shown)
    # 8 days of 50 units are as many as there are: so a difference smaller by the root of two.
    assert one["atEnd"] == pytest.approx(one["least"] / 2**0.5, rel=0.01)


@pytest.mark.parametrize("status", ["draft", "completed", "retired"])
def test_what_takes_no_units_takes_no_time(told, status):
    assert outlook(told, spec(status=status), PER_DAY, NOW) is None


def test_the_rate_is_that_of_the_windows():
    board = Board()
    for n in range(10):
        for arm in ("control", "treatment"):
            board.apply(
                "metric-windows", *window(NOW - (10 - n) * MINUTE, 1, arm, EXPOSURES), (), NOW
            )
    board.apply("results", *results(), (), NOW)
    shown = board.snapshot(RUN, now=NOW)["run"]["outlook"]
    # Both arms, 4 events a minute; all there is within the first day.
    assert shown["perDay"] == 2 * 4 * 24 * 60
    assert [one["why"] for one in shown["comparisons"]] != []


def test_it_is_computed_once_for_all_who_look(monkeypatch):
    board = Board()
    board.apply("metric-windows", *window(NOW, 1, metric=EXPOSURES), (), NOW)
    board.apply("results", *results(), (), NOW)
    asked = []
    monkeypatch.setattr(runs, "outlook", lambda *given: asked.append(given) or {"n": len(asked)})
    look = lambda at=NOW: board.snapshot(RUN, now=at)["run"]["outlook"]["n"]  # noqa: E731
    assert [look(), look()] == [1, 1]
    board.apply("assignments", b"k", assignment(), (), NOW)
    assert look() == 1
    board.apply("results", *results(101), (), NOW)
    assert look() == 2
    board.apply("metric-windows", *window(NOW + MINUTE, 1, metric=EXPOSURES), (), NOW)
    assert look() == 3
    board.describe([spec()])
    assert look() == 4
    assert look(NOW + MINUTE) == 5, "the schedule's end comes nearer"


NOTHING = {
    "draft": {"spec": {"status": "draft"}, "results": None},
    "completed": {"spec": {"status": "completed"}, "results": {"metrics": [1]}},
    "there are no results": {"spec": None, "results": None},
    "no success metrics": {"results": {"metrics": []}},
    "no windows of first exposures": {"results": {"metrics": [1]}, "outlook": None},
    "no variant": {"results": {"metrics": [1]}, "outlook": {"comparisons": []}},
}


@pytest.mark.skipif(NODE is None, reason="there is no Node.js")
def test_where_nothing_can_be_said_it_says_why():
    said = run("tell(given.map(outlook.silent))", given=list(NOTHING.values()))
    for words, sentence in zip(NOTHING, said, strict=True):
        assert words in sentence
    there = {"results": {"metrics": [1]}, "outlook": {"comparisons": [1]}}
    assert run("tell(outlook.silent(given))", given=there) is None


@pytest.mark.skipif(NODE is None, reason="there is no Node.js")
def test_days_in_words():
    said = "tell([null, 0, 0.4, 1, 8.2, 366].map(outlook.takes))"
    assert run(said) == [
        "never at this rate",
        "enough units",
        "less than a day",
        "about 1 day",
        "about 9 days",
        "more than a year",
    ]
    assert run("tell([null, 0, 0.5, 3.1].map(outlook.ends))") == [
        None,
        "Its schedule is over.",
        "Its schedule ends within a day.",
        "Its schedule ends in 4 days.",
    ]


@pytest.mark.skipif(NODE is None, reason="there is no Node.js")
def test_which_windows_may_still_change_and_which_did():
    points = [
        {"start": 0, "final": True, "revision": 2},
        {"start": 60, "final": True, "revision": 0},
        {"start": 120, "final": False, "revision": 0},
    ]
    assert run("tell(traffic.openSince([given]))", given=points) == 120
    assert run("tell(traffic.openSince([given]))", given=points[:2]) is None
    assert run("tell(traffic.unfinished([given, given]))", given=points) == 1
    series = [{"variants": {"a": points, "b": points[:1]}}]
    assert run("tell(leftOut.revised(given))", given=series) == {"windows": 2, "times": 4, "of": 4}
    letters = [
        {"topic": "contexts", "count": 1, "reasons": {"MalformedEventError": 1}},
        {
            "topic": "deltas",
            "count": 1203,
            "reasons": {"LateEventError": 3, "MalformedEventError": 1200},
        },
    ]
    assert run("tell(leftOut.allLetters(given))", given=letters) == "1,203 of deltas, 1 of contexts"
    assert run("tell(leftOut.allLetters([]))") == ""
    assert run("tell(leftOut.lateLetters(given))", given=letters) == [["deltas", 3]]
