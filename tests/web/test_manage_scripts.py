"""The scripts of actions and explanations, by Node.js: words, and what is asked."""

from __future__ import annotations

import pytest

from anabranch.lifecycle import Action, legal
from anabranch.specs import Status
from anabranch.web.lifecycle import OFFERED
from tests.web.test_scripts import NODE, run

pytestmark = pytest.mark.skipif(NODE is None, reason="there is no Node.js")

RUN = {"experiment": "plans", "version": "1.0.0"}
EMPTY = dict.fromkeys(("userId", "sessionId", "organizationId", "json", "flags"), "")


def test_every_action_that_is_offered_has_its_words():
    assert set(run("tell(Object.keys(manage.ACTIONS))")) == {str(action) for action in OFFERED}


def test_every_state_has_an_action_or_words():
    silent = [status for status in Status if not set(legal(status)) & set(OFFERED)]
    assert {str(status) for status in silent} == {"draft", "retired"}
    said = run("tell(given.map(manage.nothing))", given=[str(status) for status in silent])
    assert said == [
        "A draft: publish it with status running to start it.",
        "It is retired: nothing more can be done to this version.",
    ]
    assert Action.START not in OFFERED


@pytest.mark.parametrize(
    ("moved", "end"), [(0, "none changes variant."), (1200, "1,200 change variant.")]
)
def test_what_becomes_of_units(moved, end):
    impact = {
        "units": 10_000,
        "before": 10_000,
        "after": 2_500,
        "joined": 0,
        "left": 7_500,
        "moved": moved,
    }
    assert run("tell(manage.units(impact))", impact=impact) == (
        "Of 10,000 made-up units 2,500 take part, 10,000 before: 0 join, 7,500 leave, " + end
    )


@pytest.mark.parametrize(
    ("fields", "wish"),
    [
        ({}, {}),
        ({"userId": " ada "}, {"userId": "ada"}),
        ({"json": '{"plan": "pro"}'}, {"attributes": {"plan": "pro"}}),
        ({"flags": "beta, ,staff"}, {"flags": ["beta", "staff"]}),
        ({"sessionId": "s", "organizationId": "o"}, {"sessionId": "s", "organizationId": "o"}),
    ],
)
def test_a_form_asks_for_what_was_filled_in(fields, wish):
    asked = run("tell(explainer.asked(fields, given))", fields=EMPTY | fields, given=RUN)
    assert asked == {"wish": RUN | wish}


@pytest.mark.parametrize("text", ["[1]", "null", '"x"', "{plan"])
def test_attributes_are_an_object(text):
    asked = run("tell(explainer.asked(fields, given))", fields=EMPTY | {"json": text}, given=RUN)
    assert "wish" not in asked
    assert "JSON" in asked["error"]


@pytest.mark.parametrize(
    ("read", "words"),
    [
        ({"path": "context.plan", "value": "pro", "defined": True}, 'context.plan is "pro"'),
        ({"path": "context.plan", "value": None, "defined": False}, "context.plan is undefined"),
        ({"path": "context.plan", "value": None, "defined": True}, "context.plan is null"),
        ({"path": "context.plan", "error": "too deep"}, "context.plan: too deep"),
    ],
)
def test_what_an_expression_saw(read, words):
    assert run("tell(explainer.readIn(read))", read=read) == words


def test_where_a_hash_fell():
    place = {"text": "x:user:ada", "place": 1 << 30, "space": 1 << 32, "ranges": [[0, 1 << 31]]}
    assert run("tell(explainer.drawn(place))", place=place) == (
        "hash of \u201cx:user:ada\u201d is 0.25; inside is 0 to 0.5"
    )
