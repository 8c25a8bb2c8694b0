"""What assignment promises, for any spec and any context that is accepted."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import datetime
from functools import partial
from typing import Any

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from scipy.stats import chi2, chi2_contingency, kstest

from anabranch.assignment import ExperimentContext, ExperimentEvaluator, Plan, bucket, explain
from anabranch.assignment.hashing import SPACE, choose, cumulative
from anabranch.errors import PolicyError
from anabranch.specs import ExperimentRegistry, ExperimentSpec, PolicyRef, parse_document
from tests.assignment.specs import experiment, targeted
from tests.specs.strategies import experiments, ids, json_objects, moments, texts

UNITS = 1500
CONTEXTS = [ExperimentContext(user_id=str(i)) for i in range(UNITS)]
STEADY = settings(
    derandomize=True,  # figures that lie within bounds for these examples lie there for ever
    max_examples=25,
    suppress_health_check=[HealthCheck.too_slow],
)
UNLIKELY = 1e-7
"""Of a test's p-value: not to be met in some hundred honest trials."""

contexts = st.builds(
    ExperimentContext,
    user_id=st.none() | texts,
    session_id=st.none() | texts,
    organization_id=st.none() | texts,
    attributes=st.none() | json_objects,
    flags=st.none() | st.lists(texts, max_size=3),
)
nows = st.none() | st.integers(0, 2**42) | moments


def places(spec: ExperimentSpec) -> list[tuple[str, bool]]:
    plan = Plan(spec)
    return [(e.variant.id, e.enrolled) for e in map(plan.evaluate, CONTEXTS)]


def independent(one: list[Any], other: list[Any]) -> float:
    """The p-value of a chi-square test of independence."""
    rows, columns = sorted(set(one)), sorted(set(other))
    counts = Counter(zip(one, other, strict=True))
    table = [[counts[row, column] for column in columns] for row in rows]
    return float(chi2_contingency(table, correction=False).pvalue)


# -- the hash ---------------------------------------------------------------------------------


def test_buckets_are_uniform_whatever_the_salt() -> None:
    """Chi-square of 16 cells for each of 200 salts; and the 200 p-values are uniform themselves."""
    units = [f"user:{i}" for i in range(2000)]
    p_values = []
    for n in range(200):
        cells = Counter(bucket(f"experiment.{n}", unit) >> 28 for unit in units)
        expected = len(units) / 16
        statistic = sum((cells[cell] - expected) ** 2 / expected for cell in range(16))
        p_values.append(chi2.sf(statistic, 15))
    assert min(p_values) > UNLIKELY
    assert kstest(p_values, "uniform").pvalue > 0.001


@given(st.lists(st.integers(0, 100), min_size=1, max_size=6).filter(any))
def test_weights_are_kept_to_the_last_bucket(weights: list[int]) -> None:
    """Each variant has as many of the 2**32 buckets as its weight asks for, give or take one."""
    sums = cumulative(weights)
    total = sum(weights)
    for i, weight in enumerate(weights):
        low = -(-SPACE * sum(weights[:i]) // total)
        after = -(-SPACE * sum(weights[: i + 1]) // total)
        assert abs((after - low) - SPACE * weight / total) <= 1
        if weight:
            assert choose(low, sums) == choose(after - 1, sums) == i
            assert low == 0 or choose(low - 1, sums) < i


# -- independence -----------------------------------------------------------------------------


@given(st.lists(ids, min_size=2, max_size=2, unique=True))
@STEADY
def test_experiments_are_independent(keys: list[str]) -> None:
    one, other = (places(experiment(key)) for key in keys)
    assert independent(one, other) > UNLIKELY


@given(ids, ids)
@STEADY
def test_coverage_layer_holdout_and_split_are_independent(key: str, other: str) -> None:
    assume(key != other)
    whole = [variant for variant, _ in places(experiment(key))]
    for gate in (
        {"coverage": 0.5},
        {"layer": {"key": other, "end": 0.5}},
        {"layer": {"key": key, "start": 0.5}},
        {"holdout": {"key": key, "share": 0.5}},
    ):
        let_in = [enrolled for _, enrolled in places(experiment(key, **gate))]
        assert 0.4 < sum(let_in) / UNITS < 0.6
        assert independent(let_in, whole) > UNLIKELY


@given(ids, st.floats(0.2, 0.8), st.floats(0.2, 0.8))
@STEADY
def test_rules_are_independent_of_each_other(key: str, one: float, other: float) -> None:
    """The second rule's share is of those the first has left over, not of everybody."""
    rules = [{"variantId": "treatment", "percentage": p} for p in (one, other)]
    both = places(targeted(*rules, fallback="control", key=key))
    taken = sum(variant == "treatment" for variant, _ in both) / UNITS
    assert abs(taken - (one + (1 - one) * other)) < 0.08


# -- rules ------------------------------------------------------------------------------------

rule = st.fixed_dictionaries(
    {
        "expression": st.sampled_from([None, "true", "false", "context.attributes.gone.x"]),
        "policy": st.sampled_from([None, "allow", "deny", "broken"]),
        "percentage": st.sampled_from([None, 0, 1]),
    }
)


@given(st.lists(rule, min_size=1, max_size=5), st.sampled_from(["control", "random"]))
def test_the_first_rule_that_matches_decides(rules: list[dict[str, Any]], fallback: str) -> None:
    """Against the plainest reading: in order, all of a rule's parts, else the fallback."""
    weights = dict.fromkeys(["control", *(f"v{i}" for i in range(len(rules)))], 1)
    written = [
        {"variantId": f"v{i}"}
        | ({"policy": {"key": one["policy"]}} if one["policy"] else {})
        | {name: one[name] for name in ("expression", "percentage") if one[name] is not None}
        for i, one in enumerate(rules)
    ]

    def checker(ref: PolicyRef, _: ExperimentContext) -> bool:
        if ref.key == "broken":
            raise PolicyError("cannot be decided")
        return ref.key == "allow"

    spec = targeted(*written, fallback=fallback, weights=weights)
    chooser = ExperimentEvaluator(ExperimentRegistry([spec]), policy_checker=checker)
    found = asyncio.run(chooser.choose_variant({"experiment": "checkout", "userId": "1"}))
    expected = next(
        (
            f"v{i}"
            for i, one in enumerate(rules)
            if one["expression"] in {None, "true"}
            and one["policy"] in {None, "allow"}
            and one["percentage"] != 0
        ),
        None,
    )
    assert found is not None
    if expected is None:
        assert found.reason == fallback
        assert found.variant.id == "control" or fallback == "random"
    else:
        assert (found.variant.id, found.reason) == (expected, "targeted")


class Awkward:
    """Equal to True and true itself, but not True."""

    def __bool__(self) -> bool:
        return True

    def __eq__(self, other: object) -> bool:
        return True

    __hash__ = None  # type: ignore[assignment]


FAILURES = [
    ValueError("x"), PolicyError("x"), KeyError("x"), RecursionError(), MemoryError(),
    TimeoutError(), ZeroDivisionError(), StopIteration(), StopAsyncIteration(), AssertionError(),
    NotImplementedError(), ExceptionGroup("several", [ValueError("x")]),
]  # fmt: skip
ANSWERS = [None, 1, 1.0, "true", "allow", [True], {"effect": "allow"}, object(), Awkward()]


@pytest.mark.parametrize("later", [False, True])
@pytest.mark.parametrize("what", [*FAILURES, *ANSWERS], ids=repr)
async def test_no_failure_of_a_policy_lets_anybody_in(what: Any, later: bool) -> None:
    def answer() -> Any:
        if isinstance(what, Exception):
            raise what
        return what

    async def coroutine() -> Any:
        await asyncio.sleep(0)
        return answer()

    def checker(_ref: PolicyRef, _context: ExperimentContext) -> Any:
        return coroutine() if later else answer()

    spec = targeted(
        {"variantId": "treatment", "policy": {"key": "p"}},
        {"variantId": "treatment", "policy": {"key": "p", "version": 2}, "expression": "true"},
    )
    chooser = ExperimentEvaluator(
        ExperimentRegistry([spec]),
        policy_checker=checker,
        wait_for=partial(asyncio.wait_for, timeout=5),
    )
    found = await chooser.choose_variant({"experiment": "checkout", "userId": "1"})
    assert found is not None
    assert (found.variant.id, found.reason, found.undecided) == ("control", "control", ("p", "p"))
    assert chooser.undecided == {"p": 2}


# -- anything that is accepted ----------------------------------------------------------------


@given(experiments(), contexts, nows)
@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
def test_whatever_is_accepted_is_evaluated(
    document: dict[str, Any], context: ExperimentContext, now: int | datetime | None
) -> None:
    """No exception, always a variant; twice the same; and its explanation agrees."""
    spec = parse_document(document)
    assert isinstance(spec, ExperimentSpec)
    plan = Plan(spec)
    found = plan.evaluate(context, now)
    assert found == plan.evaluate(context, now) == Plan(spec).evaluate(context, now)
    assert found.variant in spec.variants
    assert found.unit is not None or not found.enrolled
    assert not found.enrolled or spec.status == "running"
    if found.enrolled and found.reason in {"random", "sticky"} and spec.allocation.hash == "mmh3":
        assert found.variant.weight > 0
    explained = explain(plan, context, now)
    assert explained.evaluation == found


@given(experiments(), contexts, nows)
@settings(max_examples=30, suppress_health_check=[HealthCheck.too_slow])
def test_the_evaluator_and_the_plan_agree(
    document: dict[str, Any], context: ExperimentContext, now: int | datetime | None
) -> None:
    spec = parse_document({**document, "prerequisites": []})
    assert isinstance(spec, ExperimentSpec)
    chooser = ExperimentEvaluator(ExperimentRegistry([spec]), lambda _ref, _context: False)
    asked = context.asking_for(spec.key, spec.version)
    found = asyncio.run(chooser.choose_variant(asked, now))
    plain = Plan(spec).evaluate(asked, now)
    assert found is not None
    assert (found.variant, found.reason, found.unit, found.enrolled) == (
        plain.variant,
        plain.reason,
        plain.unit,
        plain.enrolled,
    )
