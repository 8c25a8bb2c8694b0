"""Units keep the variant they were given first, and users that of their session."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch import ExperimentSpec
from anabranch.assignment import (
    Evaluation,
    ExperimentContext,
    ExperimentEvaluator,
    MemoryAssignmentStore,
    StickyEvaluator,
)
from anabranch.specs import ExperimentRegistry
from tests.assignment.specs import experiment, targeted

VIP = {"variantId": "treatment", "expression": "context.attributes?.vip"}


class Shop:
    """One store under specs that change."""

    def __init__(self) -> None:
        self.store = MemoryAssignmentStore()

    async def ask(self, spec: ExperimentSpec, now: Any = None, **fields: Any) -> Evaluation:
        chooser = StickyEvaluator(ExperimentEvaluator(ExperimentRegistry([spec])), self.store)
        found = await chooser.choose_variant(ExperimentContext(experiment=spec.key, **fields), now)
        assert found is not None
        return found


async def test_a_unit_keeps_its_variant_when_its_attributes_change() -> None:
    shop, spec = Shop(), targeted(VIP)
    first = await shop.ask(spec, user_id="1", attributes={"vip": True})
    assert (first.variant.id, first.reason, first.detail) == ("treatment", "targeted", ())
    later = await shop.ask(spec, user_id="1")
    assert (later.variant.id, later.reason, later.enrolled) == ("treatment", "sticky", True)
    assert later.detail == (
        "keeps 'treatment', which it was given before; now it would get 'control'",
    )
    assert (await shop.ask(spec, user_id="2")).variant.id == "control"


async def test_changed_weights_move_nobody() -> None:
    shop = Shop()
    before = [await shop.ask(experiment(), user_id=str(i)) for i in range(100)]
    changed = experiment(version=2, weights={"control": 1, "treatment": 99})
    after = [await shop.ask(changed, user_id=str(i)) for i in range(100)]
    assert [e.variant.id for e in after] == [e.variant.id for e in before]
    assert {e.version for e in after} == {"2.0.0"}
    new = [await shop.ask(changed, user_id=f"new{i}") for i in range(100)]
    assert sum(e.variant.id == "treatment" for e in new) > 90


async def test_a_new_salt_starts_anew() -> None:
    shop = Shop()
    salted = experiment(version=2, allocation={"type": "random", "salt": "again"})
    before = [(await shop.ask(experiment(), user_id=str(i))).variant.id for i in range(200)]
    after = [(await shop.ask(salted, user_id=str(i))).variant.id for i in range(200)]
    assert 60 < sum(a != b for a, b in zip(before, after, strict=True)) < 140


async def test_a_variant_that_is_gone_is_given_up() -> None:
    shop = Shop()
    only = experiment(weights={"control": 0, "treatment": 1})
    assert (await shop.ask(only, user_id="1")).variant.id == "treatment"
    without = experiment(version=2, weights={"control": 1, "other": 0})
    assert (await shop.ask(without, user_id="1")).variant.id == "control"
    back = experiment(version=3, weights={"control": 0, "treatment": 1})
    assert (await shop.ask(back, user_id="1")).variant.id == "control"


@pytest.mark.parametrize(
    "fields",
    [
        {"status": "paused"},
        {"coverage": 0},
        {"holdout": {"key": "all", "share": 1}},
        {"schedule": {"start": "2030-01-01T00:00:00Z"}},
        {"forced": {"user:1": "control"}},
    ],
)
async def test_who_is_not_let_in_gets_control_and_stays_remembered(fields: Any) -> None:
    shop = Shop()
    only = {"control": 0, "treatment": 1}
    assert (await shop.ask(experiment(weights=only), user_id="1")).variant.id == "treatment"
    out = await shop.ask(experiment(weights=only, **fields), now=0, user_id="1")
    assert (out.variant.id, out.enrolled) == ("control", False)
    again = await shop.ask(experiment(weights={"control": 1, "treatment": 1}), user_id="1")
    assert again.variant.id == "treatment"


async def test_who_was_never_let_in_is_not_remembered() -> None:
    shop = Shop()
    await shop.ask(experiment(status="paused"), user_id="1")
    assert len(shop.store) == 0


# -- sessions that become users ---------------------------------------------------------------


async def test_a_user_takes_over_what_the_session_was_given() -> None:
    shop, spec = Shop(), experiment()
    moved = 0
    for i in range(50):
        anonymous = await shop.ask(spec, session_id=f"s{i}")
        logged_in = await shop.ask(spec, session_id=f"s{i}", user_id=f"u{i}")
        elsewhere = await shop.ask(spec, session_id=f"other{i}", user_id=f"u{i}")
        by_name = await shop.ask(spec, user_id=f"u{i}")
        found = {e.variant.id for e in (anonymous, logged_in, elsewhere, by_name)}
        assert len(found) == 1
        assert logged_in.unit == f"user:u{i}"
        moved += logged_in.reason == "sticky"
    assert moved > 10  # those that the hash alone would have moved


async def test_of_two_that_differ_the_users_own_holds() -> None:
    """Two people at one computer: neither takes the other's."""
    shop, spec = Shop(), targeted(VIP)
    await shop.ask(spec, user_id="ada", attributes={"vip": True})
    await shop.ask(spec, session_id="desk")
    assert (await shop.ask(spec, user_id="ada", session_id="desk")).variant.id == "treatment"
    assert (await shop.ask(spec, session_id="desk", attributes={"vip": True})).variant.id == (
        "control"
    )


async def test_an_organization_is_not_taken_for_its_members() -> None:
    shop, spec = Shop(), targeted(VIP)
    await shop.ask(spec, organization_id="acme", attributes={"vip": True})
    member = await shop.ask(spec, organization_id="acme", user_id="ada")
    assert member.variant.id == "control"
    assert (await shop.ask(spec, organization_id="acme")).variant.id == "treatment"


async def test_only_identities_that_the_experiment_is_run_on_are_stitched() -> None:
    shop, spec = Shop(), targeted(VIP, unit=["userId"])
    await shop.ask(spec, user_id="ada", session_id="desk", attributes={"vip": True})
    assert (await shop.ask(spec, user_id="bob", session_id="desk")).variant.id == "control"


async def test_who_keeps_is_a_setting_of_the_spec_or_else_of_the_evaluator() -> None:
    store = MemoryAssignmentStore()

    async def ask(spec: ExperimentSpec, default: Any, **who: str) -> str:
        evaluator = ExperimentEvaluator(ExperimentRegistry([spec]))
        found = await StickyEvaluator(evaluator, store, keep=default).choose_variant(
            {"experiment": spec.key, **who}
        )
        assert found is not None
        return found.variant.id

    before, after = ({"control": 0, "treatment": 1}, {"control": 1, "treatment": 0})
    for keep, default, user, session in (
        (None, None, "control", "control"),
        (None, "unit", "control", "treatment"),
        ("unit", "person", "control", "treatment"),
        ("unit", None, "control", "treatment"),
        (None, "person", "treatment", "treatment"),
        ("person", None, "treatment", "treatment"),
    ):
        key = f"shop.{keep}-{default}".lower()
        await ask(experiment(key=key, keep=keep, weights=before), default, sessionId="s")
        changed = experiment(key=key, keep=keep, weights=after, version=2)
        assert await ask(changed, default, sessionId="s", userId="ada") == user
        assert await ask(changed, default, sessionId="s") == session


# -- the store --------------------------------------------------------------------------------

names = st.sampled_from(["user:1", "user:2", "session:a", "session:b"])
variants = st.sampled_from(["control", "green", "red"])
asked = st.tuples(st.lists(names, min_size=1, max_size=2, unique=True), variants)


@given(st.lists(asked, max_size=20))
async def test_once_settled_a_unit_never_changes(questions: list[tuple[list[str], str]]) -> None:
    store = MemoryAssignmentStore()
    held: dict[str, str] = {}
    for units, variant in questions:
        found = await store.settle("run", units, variant, {"control", "green", "red"})
        expected = next((held[unit] for unit in units if unit in held), variant)
        assert found == expected
        for unit in units:
            held.setdefault(unit, found)


async def test_the_store_is_bounded_by_forgetting_the_least_asked_for() -> None:
    store = MemoryAssignmentStore(most=2)
    for unit in ("user:1", "user:2", "user:1", "user:3"):
        await store.settle("run", [unit], "green", {"green", "red"})
    assert len(store) == 2
    assert await store.settle("run", ["user:1"], "red", {"green", "red"}) == "green"
    assert await store.settle("run", ["user:2"], "red", {"green", "red"}) == "red"
    with pytest.raises(ValueError, match="at least one unit"):
        MemoryAssignmentStore(most=0)


async def test_a_unit_can_be_forgotten() -> None:
    store = MemoryAssignmentStore()
    await store.settle("run", ["user:1"], "green", {"green", "red"})
    await store.forget("user:1")
    await store.forget("user:1")
    assert await store.settle("run", ["user:1"], "red", {"green", "red"}) == "red"


async def test_an_unknown_experiment_is_none() -> None:
    chooser = StickyEvaluator(ExperimentEvaluator(ExperimentRegistry()), MemoryAssignmentStore())
    assert await chooser.choose_variant({"experiment": "gone", "userId": "1"}) is None
