"""Explanations agree with evaluations, and show what decided."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.assignment import (
    ExperimentContext,
    ExperimentEvaluator,
    Explanation,
    Plan,
    PolicyEngine,
    compile_expression,
    explain,
)
from anabranch.assignment.expressions import reads
from anabranch.assignment.plan import Undecided
from anabranch.errors import PolicyError
from anabranch.specs import ExperimentRegistry, ExperimentSpec, PolicyRef, PolicyRegistry
from tests.assignment.specs import experiment, policy, targeted

DAY = datetime(2026, 3, 2, tzinfo=UTC)
UNREADABLE = "cannot read 'name' of undefined: write ?. before it where that may happen"
VIP = {"variantId": "treatment", "expression": "context.attributes?.segment === 'vip'"}


def told(spec: ExperimentSpec, now: datetime | None = None, **fields: Any) -> Explanation:
    return explain(Plan(spec), ExperimentContext(**fields), now)


# -- agreement --------------------------------------------------------------------------------

shares = st.sampled_from([0, 0.25, 0.5, 0.9, 1])
algorithms = st.sampled_from(["mmh3", "mmh3", "contractspec", "growthbook-v2", "unleash", "flagd"])
expressions = st.sampled_from(
    [
        "context.attributes?.segment === 'vip'",
        "context.attributes.plan.name === 'pro'",
        "context.flags?.includes('beta')",
        "context.experiment === 'checkout'",
        "true",
    ]
)
rules = st.fixed_dictionaries(
    {"variantId": st.sampled_from(["control", "treatment"])},
    optional={
        "expression": expressions,
        "percentage": shares,
        "policy": st.sampled_from([{"key": k} for k in ("allows", "denies", "fails", "gone")]),
    },
)
allocations = st.one_of(
    st.fixed_dictionaries({"type": st.just("random"), "hash": algorithms}),
    st.fixed_dictionaries(
        {"type": st.just("sticky"), "attribute": st.sampled_from(["userId", "sessionId"])},
        optional={"hash": algorithms, "salt": st.sampled_from(["", "s"])},
    ),
    st.fixed_dictionaries(
        {
            "type": st.just("targeted"),
            "hash": algorithms,
            "rules": st.lists(rules, min_size=1, max_size=3),
            "fallback": st.sampled_from(["control", "random"]),
        }
    ),
)
coverages = st.one_of(
    shares,
    st.lists(shares, min_size=1, max_size=3).map(
        lambda found: [
            {"from": DAY + timedelta(days=i), "share": share}
            for i, share in enumerate(sorted(found))
        ]
    ),
)
fields = {
    "allocation": allocations,
    "exclude": expressions,
    "coverage": coverages,
    "layer": st.sampled_from([None, {"key": "line", "end": 0.5}]),
    "holdout": st.sampled_from([[], {"key": "all", "share": 0.5}]),
    "status": st.sampled_from(["running", "running", "running", "paused", "draft"]),
    "forced": st.sampled_from([{}, {"user:1": "treatment", "session:s": "control"}]),
    "schedule": st.sampled_from([None, {"start": DAY}, {"end": DAY + timedelta(days=1)}]),
}
specs = st.fixed_dictionaries({}, optional=fields)
needed = st.sampled_from(
    [[], [{"experiment": "first"}], [{"experiment": "first", "variant": "treatment"}]]
)
contexts = st.builds(
    ExperimentContext,
    experiment=st.sampled_from([None, "checkout"]),
    user_id=st.sampled_from([None, "1", "2", "3", "é", "long-user-id"]),
    session_id=st.sampled_from([None, "s", "t"]),
    attributes=st.sampled_from([None, {}, {"segment": "vip"}, {"plan": {"name": "pro"}}]),
    flags=st.sampled_from([None, ["beta"]]),
)
moments = st.sampled_from([None, DAY - timedelta(days=1), DAY, DAY + timedelta(days=5)])


def ask(ref: PolicyRef, context: ExperimentContext) -> bool:
    if ref.key == "fails":
        raise PolicyError("it fails")
    return ref.key == "allows"


def evaluated(plan: Plan, context: ExperimentContext, now: datetime | None) -> Any:
    """The evaluator's own walk, with the same answers."""
    deliberation = plan.deliberate(context, now)
    try:
        ref, about = next(deliberation)
        while True:
            verdict = Undecided("PolicyError: it fails") if ref.key == "fails" else ask(ref, about)
            ref, about = deliberation.send(verdict)
    except StopIteration as done:
        return done.value


@given(specs, needed, specs, contexts, moments)
def test_an_explanation_always_agrees_with_the_evaluation(
    given_fields: dict[str, Any],
    prerequisites: list[dict[str, Any]],
    first: dict[str, Any],
    context: ExperimentContext,
    now: datetime | None,
) -> None:
    before = Plan(experiment("first", **first))
    spec = experiment(**given_fields, prerequisites=prerequisites)
    plan = Plan(spec, [before] * len(prerequisites))
    found = explain(plan, context, now, ask)
    evaluation = evaluated(plan, context, now)
    assert found.evaluation == evaluation
    # What the steps alone say:
    by = found.decided_by
    if by == "forced":
        says = (plan.forced[evaluation.unit], "forced", False)
    elif by in {step.name for step in found.steps}:
        says = ("control", "control", False)
    elif by == "fallback":
        says = ("control", "control", True)
    elif found.split is not None:
        says = (
            found.split.variant,
            "sticky" if spec.allocation.type == "sticky" else "random",
            True,
        )
    else:
        rule = next(rule for rule in found.rules if rule.name == by)
        says = (rule.variant, "targeted", True)
    assert says == (evaluation.variant.id, evaluation.reason, evaluation.enrolled)
    json.dumps(found.as_dict(), allow_nan=False)


# -- what it shows ----------------------------------------------------------------------------


def test_rules_show_what_their_expressions_saw() -> None:
    spec = targeted(
        {"variantId": "treatment", "expression": "context.attributes.plan.name === 'pro'"},
        VIP,
        {"variantId": "control"},
    )
    found = told(spec, user_id="1", attributes={"segment": "vip"})
    assert [rule.outcome for rule in found.rules] == ["raised", "matched", "not reached"]
    assert found.decided_by == "allocation.rules[1]"
    assert [str(read) for rule in found.rules for read in rule.reads] == [
        f"context.attributes.plan.name raises {UNREADABLE}",
        'context.attributes?.segment = "vip"',
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("context.a === 1", ["context.a = 1"]),
        ("context.a && context.a > context.b", ["context.a = 1", "context.b is undefined"]),
        ("context.c?.includes('x') ? 1 : 2", ['context.c = "xyz"']),
        ("['x'].includes(context.c)", ['context.c = "xyz"']),
        ("context.d['e'][0] === context.d.f", ['context.d["e"][0] = 7', "context.d.f = null"]),
        ("true", []),
    ],
)
def test_reads(expression: str, expected: list[str]) -> None:
    context = {"a": 1, "c": "xyz", "d": {"e": [7], "f": None}}
    assert [str(read) for read in reads(compile_expression(expression), context)] == expected


@pytest.mark.parametrize(
    ("fields", "decided", "why"),
    [
        ({"status": "paused"}, "status", "the experiment is paused"),
        ({"schedule": {"end": DAY}}, "schedule", "the experiment has ended"),
        ({"holdout": {"key": "all", "share": 1}}, "holdout[0]", "held out by all"),
        ({"layer": {"key": "l", "end": 1e-9}}, "layer", "outside 0 to 1e-09 of the layer l"),
        ({"coverage": 0}, "coverage", "outside the coverage of 0"),
        (
            {"prerequisites": [{"experiment": "gone"}]},
            "prerequisites[0]",
            "requires gone, which is not there",
        ),
        ({"forced": {"user:1": "treatment"}}, "forced", "forced to 'treatment', and not counted"),
    ],
)
def test_the_step_that_decides_says_why(fields: dict[str, Any], decided: str, why: str) -> None:
    found = told(experiment(**fields), DAY, user_id="1")
    assert found.decided_by == decided
    assert next(step.why for step in found.steps if step.name == decided) == why
    assert found.split is None


def test_without_a_unit() -> None:
    found = told(experiment(unit=["userId"]), session_id="s")
    assert found.decided_by == "unit"
    assert found.as_dict()["unit"] is None
    [step] = [step for step in found.steps if step.name == "unit"]
    assert step.facts == {"identities": {"userId": None}, "unit": None}


def test_the_split_shows_hash_and_ranges() -> None:
    found = told(experiment(weights={"control": 1, "treatment": 3}), user_id="1")
    split = found.as_dict()["split"]
    assert split == {
        "place": {
            "text": "checkout:user:1",
            "place": 4023484067,
            "space": 1 << 32,
            "ranges": ((0, 1 << 30), (1 << 30, 1 << 32)),
        },
        "algorithm": "mmh3",
        "ranges": (("control", 0, 1 << 30), ("treatment", 1 << 30, 1 << 32)),
        "variant": "treatment",
    }


def test_policies_tell_their_verdict() -> None:
    allow = {
        "effect": "allow",
        "actions": ["experiment_targeting"],
        "conditions": [{"expression": "resource.attributes.name === 'checkout'"}],
    }
    engine = PolicyEngine(PolicyRegistry([policy(allow, key="allows"), policy(key="denies")]))
    spec = targeted(
        *({**VIP, "policy": {"key": key}} for key in ("gone", "denies", "allows")),
    )
    context = ExperimentContext(user_id="1", attributes={"segment": "vip"})
    found = explain(Plan(spec), context, None, engine.allows_targeting)
    assert [(rule.outcome, rule.verdict) for rule in found.rules] == [
        ("undecided", "undecided"),
        ("no match", "deny"),
        ("matched", "allow"),
    ]
    assert found.evaluation.undecided == ("gone",)


@pytest.mark.parametrize("keep", [None, "unit", "person"])
def test_whether_something_may_be_kept_is_told(keep: str | None) -> None:
    spec = experiment(keep=keep)
    found = explain(ExperimentEvaluator(ExperimentRegistry()).plan(spec), ExperimentContext())
    assert found.as_dict()["keep"] == keep


def test_prerequisites_are_explained_too() -> None:
    first, second = (
        experiment("first", coverage=0),
        experiment("second", prerequisites=[{"experiment": "first"}]),
    )
    plan = ExperimentEvaluator(ExperimentRegistry([first, second])).plan(second)
    found = explain(plan, ExperimentContext(user_id="1"))
    nested = found.steps[-1].prerequisite
    assert nested is not None
    assert (found.decided_by, nested.decided_by) == ("prerequisites[0]", "coverage")
    assert found.as_dict()["steps"][-1]["prerequisite"]["decidedBy"] == "coverage"
