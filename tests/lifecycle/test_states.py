"""The machine of an experiment's states, told as a table."""

from __future__ import annotations

import pytest

from anabranch.errors import IllegalTransitionError, LifecycleError
from anabranch.lifecycle import Action, legal, transition
from anabranch.lifecycle.changes import check_change
from anabranch.lifecycle.states import TRANSITIONS, move
from anabranch.specs import Status
from tests.lifecycle.records import experiment, metric, telemetry

TABLE = {
    # state: {action: the state it leads to}
    "draft": {"start": "running"},
    "running": {
        "pause": "paused",
        "ramp": "running",
        "stop": "completed",
        "promote": "completed",
    },
    "paused": {
        "resume": "running",
        "ramp": "paused",
        "stop": "completed",
        "promote": "completed",
    },
    "completed": {"promote": "completed", "retire": "retired"},
    "retired": {},
}


@pytest.mark.parametrize("status", Status)
@pytest.mark.parametrize("action", Action)
def test_every_state_and_action(status, action):
    spec = experiment("a", status=status)
    expected = TABLE[status].get(action)
    if expected is not None:
        assert transition(spec, action) == expected
        return
    with pytest.raises(IllegalTransitionError) as caught:
        transition(spec, action)
    message = str(caught.value)
    assert "Experiment a 1.0.0" in message
    assert f"{action} is not possible" in message
    for possible in TABLE[status]:
        assert possible in message.split(":", 1)[1]


def test_every_state_is_reached_and_only_retirement_ends():
    assert {status for status in Status if not legal(status)} == {Status.RETIRED}
    assert set(TRANSITIONS.values()) == set(Status) - {Status.DRAFT}


@pytest.mark.parametrize("before", Status)
@pytest.mark.parametrize("after", Status)
def test_publishing_over_a_version_takes_the_same_ways(before, after):
    specs = experiment("a", status=before), experiment("a", status=after)
    if before is after or after in TABLE[before].values():
        move(*specs)
        return
    with pytest.raises(IllegalTransitionError, match=f"cannot become {after}"):
        move(*specs)


CHANGES_WHO_GETS_WHAT = {
    "keep": {"keep": "unit"},
    "controlVariant": {"controlVariant": "b"},
    "variants": {"variants": [{"id": "a", "weight": 2}, {"id": "b"}]},
    "allocation": {"allocation": {"type": "random", "salt": "another"}},
    "unit": {"unit": ["userId"]},
}
CHANGES_NOTHING_OF_THAT = [
    {"coverage": 0.5},
    {"title": "another"},
    {"forced": {"user:1": "b"}},
    {"variants": [{"id": "a", "name": "A"}, {"id": "b"}]},
    {"schedule": {"end": "2030-01-01T00:00:00Z"}},
    {"successMetrics": [metric("order") | {"target": 0.2}]},
]


@pytest.mark.parametrize("field", CHANGES_WHO_GETS_WHAT)
def test_who_gets_what_stays_within_a_version(field):
    after = experiment("a", **CHANGES_WHO_GETS_WHAT[field])
    with pytest.raises(LifecycleError, match=f"and {field} would .* higher meta.version"):
        check_change(experiment("a"), after)


REDEFINED = [
    {"telemetryEvent": {"key": "refund", "version": 1}},
    {"aggregation": "unique"},
    {"aggregation": "sum", "property": "price"},
    {"window": 60},
]


@pytest.mark.parametrize("change", REDEFINED, ids=lambda c: next(iter(c)))
def test_what_a_metric_of_one_name_adds_up_stays_within_a_version(change):
    before = experiment("a", successMetrics=[metric("order")])
    after = experiment("a", successMetrics=[metric("order") | change, metric("refund")])
    with pytest.raises(LifecycleError, match="and metric 'orders' would"):
        check_change(before, after)
    check_change(before, experiment("a", successMetrics=[metric("refund")]))


@pytest.mark.parametrize("fields", CHANGES_NOTHING_OF_THAT, ids=lambda f: next(iter(f)))
def test_the_rest_may_change(fields):
    check_change(experiment("a"), experiment("a", **fields))


def test_a_draft_may_change_as_it_likes():
    before = experiment("a", status="draft")
    for fields in CHANGES_WHO_GETS_WHAT.values():
        check_change(before, experiment("a", **fields))


def test_other_kinds_have_no_states():
    check_change(telemetry("t", "one"), telemetry("t", "two"))
