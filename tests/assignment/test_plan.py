"""What a compiled experiment gives whom."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.assignment import Evaluation, ExperimentContext, Plan, bucket
from anabranch.errors import SpecValidationError
from anabranch.specs import ExperimentSpec
from tests.assignment.specs import experiment, targeted

USERS = [ExperimentContext(user_id=str(i)) for i in range(10_000)]
user_ids = st.text(min_size=1)


def variants(spec: ExperimentSpec) -> list[str]:
    plan = Plan(spec)
    return [plan.evaluate(context).variant.id for context in USERS]


def evaluate(spec: ExperimentSpec, now: int | datetime | None = None, **fields) -> Evaluation:
    return Plan(spec).evaluate(ExperimentContext(**fields), now)


def near(count: int, share: float, of: int = len(USERS)) -> bool:
    """Within four standard deviations of a binomial."""
    return abs(count - of * share) <= 4 * (of * share * (1 - share)) ** 0.5


# -- the split --------------------------------------------------------------------------------


@given(user_ids)
def test_evaluation_is_a_function_of_the_unit(user: str) -> None:
    spec = experiment()
    first = evaluate(spec, user_id=user)
    assert first == evaluate(spec, user_id=user, session_id="s", attributes={"a": 1}, flags=["f"])
    assert first.unit == f"user:{user}"
    assert (first.reason, first.enrolled, first.detail) == ("random", True, ())
    assert (first.experiment, first.version, first.digest) == ("checkout", "1.0.0", spec.digest)


def test_assignments_never_change() -> None:
    """Frozen: a change here would reshuffle every running experiment."""
    found = [Plan(experiment()).evaluate(context).variant.id[0] for context in USERS[:24]]
    assert "".join(found) == "ctttctctctctttttcttctccc"


def test_weights_are_kept() -> None:
    counts = Counter(variants(experiment(weights={"control": 5, "a": 3, "none": 0, "b": 2})))
    assert near(counts["control"], 0.5)
    assert near(counts["a"], 0.3)
    assert near(counts["b"], 0.2)
    assert counts["none"] == 0


def test_experiments_are_independent_without_any_salt() -> None:
    one, other = variants(experiment("checkout")), variants(experiment("checkout.2"))
    assert near(sum(a == b for a, b in zip(one, other, strict=True)), 0.5)


def test_a_new_version_moves_nobody_and_a_new_salt_everybody() -> None:
    before = variants(experiment(version=1))
    assert variants(experiment(version="2.3.4")) == before
    salted = variants(experiment(allocation={"type": "random", "salt": "again"}))
    assert near(sum(a == b for a, b in zip(before, salted, strict=True)), 0.5)


def test_a_raised_weight_moves_only_those_it_must() -> None:
    before = variants(experiment(weights={"control": 90, "treatment": 10}))
    after = variants(experiment(weights={"control": 70, "treatment": 30}))
    moves = Counter((a, b) for a, b in zip(before, after, strict=True) if a != b)
    assert set(moves) == {("control", "treatment")}
    assert near(moves["control", "treatment"], 0.2)


def test_the_same_salt_gives_the_same_split() -> None:
    salted = {"type": "random", "salt": "shared"}
    assert variants(experiment("a", allocation=salted)) == variants(
        experiment("b", allocation=salted)
    )


# -- units ------------------------------------------------------------------------------------


def test_nobody_is_enrolled_without_a_unit() -> None:
    found = evaluate(experiment(unit=["userId", "organizationId"]), session_id="s", user_id="")
    assert found.variant.id == "control"
    assert (found.reason, found.enrolled, found.unit) == ("control", False, None)
    assert found.detail == ("no unit: the context has no userId nor organizationId",)


def test_a_sticky_unit_is_its_attribute_alone() -> None:
    spec = experiment(allocation={"type": "sticky", "attribute": "organizationId"})
    found = evaluate(spec, organization_id="acme", user_id="1")
    assert (found.unit, found.reason, found.enrolled) == ("organization:acme", "sticky", True)
    assert found.variant == evaluate(spec, organization_id="acme", user_id="2").variant
    without = evaluate(spec, user_id="1", session_id="s")
    assert (without.variant.id, without.reason, without.enrolled) == ("control", "control", False)


# -- coverage, schedule, status, forced -------------------------------------------------------


def test_coverage_enrols_its_share_and_gives_the_others_control() -> None:
    plan = Plan(experiment(coverage=0.3))
    found = [plan.evaluate(context) for context in USERS]
    inside = [evaluation for evaluation in found if evaluation.enrolled]
    assert near(len(inside), 0.3)
    assert near(sum(e.variant.id == "control" for e in inside), 0.5, len(inside))
    outside = {(e.variant.id, e.reason, e.detail) for e in found if not e.enrolled}
    assert outside == {("control", "control", ("outside the coverage of 0.3",))}


@given(st.floats(0, 1), st.floats(0, 1), user_ids)
def test_raising_coverage_moves_nobody(one: float, other: float, user: str) -> None:
    low, high = sorted([one, other])
    before = evaluate(experiment(coverage=low), user_id=user)
    after = evaluate(experiment(coverage=high), user_id=user)
    if before.enrolled:
        assert after.enrolled
        assert after.variant == before.variant


def test_no_coverage_enrols_nobody() -> None:
    assert not any(Plan(experiment(coverage=0)).evaluate(c).enrolled for c in USERS[:500])
    assert all(Plan(experiment(coverage=1)).evaluate(c).enrolled for c in USERS[:500])


START, END = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 4, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("now", "enrolled", "detail"),
    [
        (START - timedelta(milliseconds=1), False, ("the experiment has not started",)),
        (START, True, ()),
        (END - timedelta(milliseconds=1), True, ()),
        (END, False, ("the experiment has ended",)),
        (int(START.timestamp() * 1000), True, ()),
        (int(END.timestamp() * 1000), False, ("the experiment has ended",)),
        (
            None,
            False,
            (
                (
                    "the experiment has a schedule, and the evaluation was given no time: "
                    "pass now=, or give the evaluator a clock"
                ),
            ),
        ),
    ],
)
def test_schedule(now: int | datetime | None, enrolled: bool, detail: tuple[str, ...]) -> None:
    spec = experiment(schedule={"start": START, "end": END})
    found = evaluate(spec, now, user_id="1")
    assert (found.enrolled, found.detail) == (enrolled, detail)
    assert enrolled or (found.variant.id, found.reason) == ("control", "control")


def test_half_open_schedules() -> None:
    assert evaluate(experiment(schedule={"start": START}), END, user_id="1").enrolled
    assert evaluate(experiment(schedule={"end": END}), 0, user_id="1").enrolled


def test_a_moment_without_an_offset_is_refused() -> None:
    with pytest.raises(ValueError, match="tzinfo"):
        evaluate(experiment(schedule={"end": END}), datetime(2026, 3, 1), user_id="1")  # noqa: DTZ001


@pytest.mark.parametrize("status", ["draft", "paused", "completed", "retired"])
def test_what_is_not_running_gives_control_and_enrols_nobody(status: str) -> None:
    found = evaluate(experiment(status=status), user_id="1")
    assert (found.variant.id, found.reason, found.enrolled) == ("control", "control", False)
    assert found.detail == (f"the experiment is {status}",)


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        ("running", "forced"),
        ("draft", "forced"),
        ("paused", "control"),
        ("completed", "control"),
        ("retired", "control"),
    ],
)
def test_forced_units_do_not_count(status: str, reason: str) -> None:
    spec = experiment(
        weights={"control": 1, "treatment": 0},
        status=status,
        forced={"user:tester": "treatment"},
        coverage=0,
        schedule={"start": START},
    )
    found = evaluate(spec, START - timedelta(days=1), user_id="tester")
    assert (found.reason, found.enrolled) == (reason, False)
    assert found.variant.id == ("treatment" if reason == "forced" else "control")
    assert evaluate(spec, END, user_id="other").reason == "control"


# -- targeting --------------------------------------------------------------------------------

VIP = {"variantId": "treatment", "expression": "context.attributes?.segment === 'vip'"}


def test_the_first_matching_rule_decides() -> None:
    spec = targeted(
        {"variantId": "a", "expression": "context.attributes?.n > 1"},
        {"variantId": "b", "expression": "context.attributes?.n > 0"},
        weights={"control": 1, "a": 1, "b": 1},
    )
    for n, variant, reason in [
        (2, "a", "targeted"),
        (1, "b", "targeted"),
        (0, "control", "control"),
    ]:
        found = evaluate(spec, user_id="1", attributes={"n": n})
        assert (found.variant.id, found.reason, found.enrolled) == (variant, reason, True)


def test_a_rule_without_conditions_matches_everyone() -> None:
    assert set(variants(targeted({"variantId": "treatment"}))) == {"treatment"}


def test_fallback_to_the_split() -> None:
    spec = targeted(VIP, fallback="random")
    plan = Plan(spec)
    found = [plan.evaluate(context) for context in USERS]
    assert {evaluation.reason for evaluation in found} == {"random"}
    assert [e.variant.id for e in found] == variants(experiment()), "salted as a random allocation"


def test_percentage_takes_its_share() -> None:
    counts = Counter(variants(targeted({"variantId": "treatment", "percentage": 0.1})))
    assert near(counts["treatment"], 0.1)


@pytest.mark.parametrize(("percentage", "variant"), [(0, "control"), (1, "treatment")])
def test_none_and_all(percentage: float, variant: str) -> None:
    found = variants(targeted({"variantId": "treatment", "percentage": percentage}))
    assert set(found) == {variant}


@given(st.floats(0, 1), st.floats(0, 1), user_ids)
def test_raising_a_percentage_puts_nobody_out(one: float, other: float, user: str) -> None:
    low, high = sorted([one, other])
    before = evaluate(targeted({"variantId": "treatment", "percentage": low}), user_id=user)
    after = evaluate(targeted({"variantId": "treatment", "percentage": high}), user_id=user)
    assert before.reason == "control" or after.reason == "targeted"


@pytest.mark.parametrize("second", ["treatment", "other"])
def test_percentages_of_rules_are_independent(second: str) -> None:
    weights = {"control": 1, "treatment": 1, "other": 1}
    both = targeted(
        {"variantId": "treatment", "percentage": 0.5},
        {"variantId": second, "percentage": 0.5},
        weights=weights,
    )
    assert near(Counter(variants(both))["control"], 0.25)


def test_a_rule_for_another_variant_moves_nobody_inside_a_percentage() -> None:
    weights = {"control": 1, "treatment": 1, "other": 1}
    rule = {"variantId": "treatment", "percentage": 0.3}
    new = {"variantId": "other", "expression": "false"}
    assert variants(targeted(rule, weights=weights)) == variants(
        targeted(new, rule, weights=weights)
    )


def test_percentage_coverage_and_split_are_independent() -> None:
    plan = Plan(
        targeted({"variantId": "treatment", "percentage": 0.5}, fallback="random", coverage=0.5)
    )
    found = [plan.evaluate(context) for context in USERS]
    inside = [e for e in found if e.enrolled]
    by_rule = sum(e.reason == "targeted" for e in inside)
    assert near(by_rule, 0.5, len(inside))
    rest = [e for e in inside if e.reason == "random"]
    assert near(sum(e.variant.id == "treatment" for e in rest), 0.5, len(rest))


def test_an_expression_that_raises_does_not_match_and_is_told() -> None:
    spec = targeted(
        {"variantId": "treatment", "expression": "context.attributes.plan.name === 'pro'"},
        {"variantId": "treatment", "expression": "!context.attributes.plan.name"},
    )
    found = evaluate(spec, user_id="1", attributes={})
    assert (found.variant.id, found.reason, found.enrolled) == ("control", "control", True)
    assert found.expression_errors == 2
    assert "allocation.rules[0].expression" in found.detail[0]
    assert "cannot read 'name' of undefined" in found.detail[0]


def test_expressions_see_the_experiment_that_is_evaluated() -> None:
    rule = {"variantId": "treatment", "expression": "context.experiment === 'checkout'"}
    assert evaluate(targeted(rule), user_id="1").reason == "targeted"
    assert evaluate(targeted(rule), user_id="1", experiment="checkout").reason == "targeted"


def test_without_anybody_to_ask_a_policy_does_not_match() -> None:
    spec = targeted({**VIP, "policy": {"key": "privacy", "version": 1}}, VIP)
    assert Plan(spec).needs_policy
    found = evaluate(spec, user_id="1", attributes={"segment": "vip"})
    assert (found.reason, found.undecided) == ("targeted", ("privacy",))
    assert "allocation.rules[0].policy" in found.detail[0]


def test_a_wrong_expression_is_refused_when_compiled() -> None:
    spec = targeted(VIP, {"variantId": "treatment", "expression": "context.a = 1"})
    with pytest.raises(SpecValidationError, match=r"allocation\.rules\[1\]\.expression: line 1"):
        Plan(spec)


def test_whom_an_experiment_excludes_gets_control_and_does_not_count() -> None:
    spec = experiment(exclude="context.attributes?.staff || context.flags?.includes('bot')")
    for who in ({"attributes": {"staff": True}}, {"flags": ["bot"]}):
        found = evaluate(spec, user_id="1", **who)
        assert (found.variant.id, found.enrolled, found.excluded) == ("control", False, True)
    found = evaluate(spec, user_id="1", attributes={"staff": False})
    assert (found.enrolled, found.excluded) == (True, False)
    assert found.variant == evaluate(experiment(), user_id="1").variant


def test_a_wrong_exclusion_is_refused_when_compiled() -> None:
    with pytest.raises(SpecValidationError, match=r"^exclude: line 1"):
        Plan(experiment(exclude="context.a = 1"))


def test_the_draws_have_the_documented_salts() -> None:
    spec = targeted(
        {"variantId": "treatment", "percentage": 0.5},
        {"variantId": "treatment", "percentage": 0.5},
        coverage=0.5,
        fallback="random",
    )
    half = 1 << 31
    plan = Plan(spec)
    for context in USERS[:500]:
        found, unit = plan.evaluate(context), f"user:{context.user_id}"
        covered = bucket("checkout:coverage", unit) < half
        ruled = any(bucket(f"checkout:rule:treatment:{n}", unit) < half for n in (0, 1))
        assert found.enrolled == covered
        assert not covered or (found.reason == "targeted") == ruled
        if covered and not ruled:
            assert (found.variant.id == "control") == (bucket("checkout", unit) < half)
