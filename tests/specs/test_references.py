"""What experiments of one catalog say of each other."""

import pytest

from anabranch.specs import Catalog
from tests.specs.examples import spec


def running(key, **changes):
    return spec(meta={"key": key, "version": 1}, **changes)


def problems(*specs):
    return [str(problem) for problem in Catalog.of(specs).problems()]


def layer(start, end, key="line"):
    return {"key": key, "start": start, "end": end}


# -- layers and holdouts ----------------------------------------------------------------------


def test_parts_of_a_layer_that_do_not_overlap():
    assert problems(running("a", layer=layer(0, 0.5)), running("b", layer=layer(0.5, 1))) == []


def test_a_part_held_twice():
    found = problems(running("a", layer=layer(0, 0.6)), running("b", layer=layer(0.5, 1)))
    expected = (
        "Experiment b 1.0.0: layer holds 0.5 to 0.6 of line, which Experiment a 1.0.0 holds too: "
        "give each a part of its own, or schedules that do not overlap"
    )
    assert found == [expected]


@pytest.mark.parametrize(
    "changes",
    [
        {"layer": layer(0, 1, key="another")},
        {"status": "paused"},
        {"status": "draft"},
        {"status": "completed"},
        {"schedule": {"start": "2026-02-01T00:00:00Z"}},
    ],
)
def test_whole_lines_that_nobody_shares(changes):
    first = running("a", layer=layer(0, 1), schedule={"end": "2026-02-01T00:00:00Z"})
    assert problems(first, running("b", **{"layer": layer(0, 1), **changes})) == []


def test_one_layer_has_one_kind_of_unit():
    found = problems(
        running("a", layer=layer(0, 0.5)),
        running("b", layer=layer(0.5, 1), unit=["sessionId"]),
    )
    assert len(found) == 1
    assert "b 1.0.0: unit is sessionId, and that of Experiment a 1.0.0 in the same lay" in found[0]


def test_a_holdout_has_one_share_and_one_kind_of_unit():
    held = {"key": "all", "share": 0.05}
    assert problems(running("a", holdout=held), running("b", holdout=held)) == []
    [found] = problems(running("a", holdout=held), running("b", holdout={**held, "share": 0.1}))
    assert "b 1.0.0: holdout[0].share is 0.1, and 0.05 for the same holdout all" in found
    [found] = problems(running("a", holdout=held), running("b", holdout=held, unit=["userId"]))
    assert "b 1.0.0: unit is userId, and userId, sessionId, organizationId in Exp" in found


# -- prerequisites ----------------------------------------------------------------------------


def requiring(key, *needed, **changes):
    return running(key, prerequisites=list(needed), **changes)


def test_prerequisites_that_hold():
    needed = {"experiment": "a", "version": "1", "variant": "green"}
    assert problems(running("a"), requiring("b", needed)) == []
    assert problems(running("a", status="paused"), requiring("b", {"experiment": "a"})) == []


@pytest.mark.parametrize(
    ("first", "needed", "expected"),
    [
        ({}, {"experiment": "aa"}, "prerequisites[0] names Experiment aa, which is not there: did"),
        (
            {},
            {"experiment": "a", "version": 2},
            "names Experiment a 2.0.0, which is not there: its versions are 1.0.0",
        ),
        (
            {},
            {"experiment": "a", "variant": "gren"},
            "[0].variant requires 'gren', which Experiment a 1.0.0 does not have: did you mean",
        ),
        (
            {"status": "draft"},
            {"experiment": "a"},
            "requires Experiment a, which is a draft, so no",
        ),
        (
            {"keep": "unit"},
            {"experiment": "a", "variant": "green"},
            "[0].variant requires 'green' of Experiment a 1.0.0, whose units keep what they were",
        ),
        ({"status": "completed"}, {"experiment": "a"}, "which is completed, so nobody is enrolled"),
        (
            {"layer": layer(0, 0.5)},
            {"experiment": "a"},
            "requires Experiment a 1.0.0, which holds another part of the layer line",
        ),
    ],
)
def test_prerequisites_that_do_not_hold(first, needed, expected):
    [found] = problems(running("a", **first), requiring("b", needed, layer=layer(0.5, 1)))
    assert found.startswith("Experiment b 1.0.0: prerequisites[0]")
    assert expected in found


def test_drafts_may_require_drafts():
    needed = {"experiment": "a"}
    assert problems(running("a", status="draft"), requiring("b", needed, status="draft")) == []


def test_a_circle_is_told_once():
    found = problems(
        requiring("a", {"experiment": "b"}),
        requiring("b", {"experiment": "c"}),
        requiring("c", {"experiment": "a"}),
        requiring("d", {"experiment": "c"}),
    )
    assert found == [
        "Experiment a 1.0.0: prerequisites lead in a circle, a > b > c > a: take one away"
    ]


def test_two_ways_to_one_experiment_are_no_circle():
    one, other = {"experiment": "b"}, {"experiment": "c"}
    assert (
        problems(
            requiring("a", one, other), requiring("b", other), running("c"), requiring("d", other)
        )
        == []
    )
