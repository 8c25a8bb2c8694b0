"""Layers, holdouts, prerequisites and ramps: who is enrolled at all."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.assignment import (
    Evaluation,
    ExperimentContext,
    ExperimentEvaluator,
    Plan,
    bucket,
)
from anabranch.errors import SpecReferenceError
from anabranch.specs import ExperimentRegistry, ExperimentSpec, PolicyRef
from tests.assignment.specs import experiment, targeted
from tests.assignment.test_plan import USERS, evaluate, near, user_ids

shares = st.integers(0, 100).map(lambda n: n / 100)
HALF = 1 << 31


def outcome(found: Evaluation) -> tuple[str, str, bool, tuple[str, ...]]:
    return found.variant.id, found.reason, found.enrolled, found.detail


def layer(start: float, end: float, key: str = "line") -> dict[str, Any]:
    return {"key": key, "start": start, "end": end}


# -- layers -----------------------------------------------------------------------------------


@given(st.lists(shares, min_size=1, max_size=4, unique=True), user_ids)
def test_layers_exclude(cuts: list[float], user: str) -> None:
    """However a line is cut, every unit is in exactly one of its experiments."""
    edges = sorted({0, *cuts, 1})
    specs = [
        experiment(f"e{i}", layer=layer(low, high)) for i, (low, high) in enumerate(pairwise(edges))
    ]
    assert sum(evaluate(spec, user_id=user).enrolled for spec in specs) == 1


@given(shares, shares, shares, shares, user_ids)
def test_parts_that_do_not_overlap_share_no_unit(
    a: float, b: float, c: float, d: float, user: str
) -> None:
    a, b, c, d = sorted([a, b, c, d])
    if a < b and c < d:
        one, other = experiment("one", layer=layer(a, b)), experiment("other", layer=layer(c, d))
        assert not (evaluate(one, user_id=user).enrolled and evaluate(other, user_id=user).enrolled)


def test_outside_its_part_a_unit_gets_control() -> None:
    plan = Plan(experiment(layer=layer(0.25, 0.5)))
    found = [plan.evaluate(context) for context in USERS]
    assert near(sum(e.enrolled for e in found), 0.25)
    assert {outcome(e) for e in found if not e.enrolled} == {
        ("control", "control", False, ("outside 0.25 to 0.5 of the layer line",))
    }
    for context, evaluation in zip(USERS, found, strict=True):
        place = bucket("layer|line", f"user:{context.user_id}")
        assert evaluation.enrolled == (HALF // 2 <= place < HALF)


# -- holdouts ---------------------------------------------------------------------------------


@given(shares, user_ids)
def test_held_out_units_are_never_enrolled(share: float, user: str) -> None:
    holdout = {"key": "all", "share": share}
    found = [evaluate(experiment(key, holdout=holdout), user_id=user) for key in "abcde"]
    assert len({e.enrolled for e in found}) == 1, "held out of all or of none"
    assert found[0].enrolled == (bucket("holdout|all", f"user:{user}") >= share * 2**32)
    if not found[0].enrolled:
        assert outcome(found[0]) == ("control", "control", False, ("held out by all",))


@given(shares, shares, user_ids)
def test_a_larger_holdout_holds_the_smaller_one(one: float, other: float, user: str) -> None:
    low, high = sorted([one, other])
    before = evaluate(experiment(holdout={"key": "all", "share": low}), user_id=user)
    after = evaluate(experiment(holdout={"key": "all", "share": high}), user_id=user)
    assert before.enrolled or not after.enrolled


def test_several_holdouts_are_independent() -> None:
    spec = experiment(holdout=[{"key": "all", "share": 0.5}, {"key": "layer", "share": 0.5}])
    plan = Plan(spec)
    details = Counter(plan.evaluate(context).detail for context in USERS)
    assert near(details[()], 0.25)
    assert near(details["held out by all",], 0.5)
    assert near(details["held out by layer",], 0.25)


# -- ramps ------------------------------------------------------------------------------------

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)


def ramp(*steps: float) -> list[dict[str, Any]]:
    return [{"from": MONDAY + timedelta(days=i), "share": s} for i, s in enumerate(steps)]


@pytest.mark.parametrize(
    ("now", "share"),
    [
        (MONDAY - timedelta(milliseconds=1), 0),
        (MONDAY, 0.1),
        (MONDAY + timedelta(hours=23), 0.1),
        (MONDAY + timedelta(days=1), 0.5),
        (MONDAY + timedelta(days=99), 1),
    ],
)
def test_the_step_that_holds_decides(now: datetime, share: float) -> None:
    plan = Plan(experiment(coverage=ramp(0.1, 0.5, 1)))
    found = [plan.evaluate(context, now) for context in USERS]
    assert near(sum(e.enrolled for e in found), share)
    fixed = Plan(experiment(coverage=share))
    assert [outcome(e) for e in found] == [outcome(fixed.evaluate(context)) for context in USERS]


def test_a_ramp_needs_a_time() -> None:
    found = evaluate(experiment(coverage=ramp(1)), user_id="1")
    assert outcome(found)[2:] == (
        False,
        (
            (
                "the coverage is a ramp, and the evaluation was given no time: "
                "pass now=, or give the evaluator a clock"
            ),
        ),
    )


@given(
    st.lists(shares, min_size=1, max_size=5).map(sorted),
    st.integers(-2, 6),
    st.integers(0, 6),
    user_ids,
    st.sampled_from(["mmh3", "growthbook-v2", "unleash"]),
)
def test_nobody_leaves_a_ramp(
    steps: list[float], day: int, later: int, user: str, algorithm: str
) -> None:
    allocation = {"type": "random", "hash": algorithm}
    spec = experiment(coverage=ramp(*steps), allocation=allocation)
    before = evaluate(spec, MONDAY + timedelta(days=day), user_id=user)
    after = evaluate(spec, MONDAY + timedelta(days=day + later), user_id=user)
    if before.enrolled:
        assert (after.enrolled, after.variant) == (True, before.variant)


# -- all of them ------------------------------------------------------------------------------


def test_every_draw_is_independent_of_the_others() -> None:
    """Half by layer, half by holdout, half by coverage: an eighth, split in halves."""
    spec = experiment(layer=layer(0, 0.5), holdout={"key": "all", "share": 0.5}, coverage=0.5)
    plan = Plan(spec)
    counts = Counter(e.variant.id for e in map(plan.evaluate, USERS) if e.enrolled)
    assert near(sum(counts.values()), 1 / 8)
    assert near(counts["treatment"], 1 / 16)
    other = Plan(experiment("other", coverage=0.5))
    both = sum(plan.evaluate(c).enrolled and other.evaluate(c).enrolled for c in USERS)
    assert near(both, 1 / 16)


def test_forced_beats_all_but_status() -> None:
    fields: dict[str, Any] = {
        "layer": layer(0, 1e-9),
        "holdout": {"key": "all", "share": 1},
        "coverage": ramp(0),
        "prerequisites": [{"experiment": "gone"}],
        "forced": {"user:tester": "treatment"},
    }
    assert outcome(evaluate(experiment(**fields), user_id="tester"))[:3] == (
        "treatment",
        "forced",
        False,
    )
    paused = evaluate(experiment(status="paused", **fields), user_id="tester")
    assert outcome(paused)[:3] == ("control", "control", False)


# -- prerequisites ----------------------------------------------------------------------------


def registry(*specs: ExperimentSpec) -> ExperimentEvaluator:
    return ExperimentEvaluator(ExperimentRegistry(specs))


def requiring(*needed: dict[str, Any], key: str = "second", **fields: Any) -> ExperimentSpec:
    return experiment(key, prerequisites=list(needed), **fields)


async def test_only_who_is_enrolled_there_is_enrolled_here() -> None:
    first = experiment("first", coverage=0.5)
    evaluator = registry(first, requiring({"experiment": "first"}))
    split: Counter[tuple[str, str]] = Counter()
    for context in USERS[:4000]:
        there = await evaluator.choose_variant(context.asking_for("first"))
        here = await evaluator.choose_variant(context.asking_for("second"))
        assert there is not None
        assert here is not None
        assert here.enrolled == there.enrolled
        if here.enrolled:
            split[there.variant.id, here.variant.id] += 1
        else:
            assert outcome(here)[3] == (
                "requires first 1.0.0: not enrolled there: outside the coverage of 0.5",
            )
    assert all(near(count, 0.25, split.total()) for count in split.values()), "independent splits"


async def test_a_variant_may_be_required() -> None:
    evaluator = registry(
        experiment("first"), requiring({"experiment": "first", "variant": "treatment"})
    )
    for context in USERS[:300]:
        there = await evaluator.choose_variant(context.asking_for("first"))
        here = await evaluator.choose_variant(context.asking_for("second"))
        assert there is not None
        assert here is not None
        assert here.enrolled == (there.variant.id == "treatment")
        assert here.enrolled or here.detail == (
            "requires 'treatment' of first 1.0.0: has 'control' there",
        )


async def test_forced_there_is_not_enrolled_there() -> None:
    first = experiment("first", forced={"user:tester": "treatment"})
    evaluator = registry(first, requiring({"experiment": "first", "variant": "treatment"}))
    found = await evaluator.choose_variant({"experiment": "second", "userId": "tester"})
    assert found is not None
    assert not found.enrolled


@pytest.mark.parametrize(
    ("needed", "specs", "enrolled"),
    [
        ({"experiment": "gone"}, [], False),
        ({"experiment": "first"}, [experiment("first")], True),
        ({"experiment": "first", "version": 2}, [experiment("first")], False),
        (
            {"experiment": "first", "version": 1},
            [experiment("first"), experiment("first", 2, status="paused")],
            True,
        ),
        (
            {"experiment": "first"},
            [experiment("first"), experiment("first", 2, status="paused")],
            False,
        ),
        (
            {"experiment": "first"},
            [experiment("first"), experiment("first", 2, status="draft")],
            True,
        ),
        ({"experiment": "first"}, [experiment("first", status="retired")], False),
    ],
)
async def test_the_version_that_holds_is_asked(
    needed: dict[str, Any], specs: list[ExperimentSpec], enrolled: bool
) -> None:
    evaluator = registry(requiring(needed), *specs)
    found = await evaluator.choose_variant({"experiment": "second", "userId": "1"})
    assert found is not None
    assert found.enrolled == enrolled
    if not specs:
        assert found.detail == ("requires gone, which is not there",)


async def test_prerequisites_registered_later_are_found() -> None:
    evaluator = registry(requiring({"experiment": "first"}))
    context = {"experiment": "second", "userId": "1"}
    before = await evaluator.choose_variant(context)
    evaluator.registry.register(experiment("first"))
    after = await evaluator.choose_variant(context)
    evaluator.registry.register(experiment("first", 2, status="completed"))
    over = await evaluator.choose_variant(context)
    assert [e is not None and e.enrolled for e in (before, after, over)] == [False, True, False]
    assert evaluator.plan(evaluator.registry.require("second")) is evaluator.plan(
        evaluator.registry.require("second")
    ), "compiled once while nothing changes"


async def test_circles_are_refused() -> None:
    evaluator = registry(
        requiring({"experiment": "b"}, key="a"), requiring({"experiment": "a"}, key="b")
    )
    with pytest.raises(SpecReferenceError, match="lead in a circle, a > b > a: take one away"):
        await evaluator.choose_variant({"experiment": "a", "userId": "1"})


async def test_policies_of_prerequisites_are_asked_about_their_own_experiment() -> None:
    asked: list[tuple[str, str | None]] = []

    async def checker(ref: PolicyRef, context: ExperimentContext) -> bool:
        asked.append((ref.key, context.experiment))
        return True

    rule = {"variantId": "treatment", "expression": "context.experiment === 'first'"}
    first = targeted({**rule, "policy": {"key": "p1"}}, key="first")
    second = targeted(
        {"variantId": "treatment", "policy": {"key": "p2"}},
        key="second",
        prerequisites=[{"experiment": "first", "variant": "treatment"}],
    )
    evaluator = ExperimentEvaluator(ExperimentRegistry([first, second]), checker)
    found = await evaluator.choose_variant({"experiment": "second", "userId": "1"})
    assert found is not None
    assert (found.enrolled, found.variant.id) == (True, "treatment")
    assert asked == [("p1", "first"), ("p2", "second")]
    without = Plan(second, [Plan(first)]).evaluate(ExperimentContext(user_id="1"))
    assert (without.enrolled, without.undecided) == (False, ("p1",))
