"""Choosing variants, from the document's example to every way a policy can fail."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Any

import pytest

from anabranch.assignment import ExperimentContext, ExperimentEvaluator, PolicyEngine, compile_spec
from anabranch.errors import EventSchemaError, PolicyError, SpecValidationError
from anabranch.specs import ExperimentRegistry, ExperimentSpec, PolicyRef, PolicyRegistry
from tests.assignment.specs import DOCUMENT, experiment, policy, targeted

KEY = "sigil.onboarding.split_form"


def evaluator(*specs: ExperimentSpec, **options) -> ExperimentEvaluator:
    return ExperimentEvaluator(ExperimentRegistry(specs), **options)


# -- the document's example -------------------------------------------------------------------


async def test_the_documents_example() -> None:
    chooser = evaluator(ExperimentSpec.model_validate(DOCUMENT))
    vip = await chooser.choose_variant(
        {
            "experiment": KEY,
            "userId": "123",
            "organizationId": "acme",
            "attributes": {"segment": "vip"},
        }
    )
    assert vip is not None
    assert (vip.variant.id, vip.reason, vip.unit) == ("multi_step", "targeted", "user:123")
    assert vip.variant.overrides[0].target == "sigil.onboarding.workflow.multi_step"
    assert (vip.experiment, vip.version, vip.enrolled) == (KEY, "1.0.0", True)

    others = [
        await chooser.choose_variant(ExperimentContext(experiment=KEY, user_id=str(i)))
        for i in range(2000)
    ]
    assert {e.reason for e in others if e} == {"random"}
    assert abs(sum(e.variant.id == "multi_step" for e in others if e) - 1000) < 90


async def test_the_documents_policy_checker() -> None:
    """``policyEngine.decide`` behind the evaluator's callback; flags are the subject's roles."""
    engine = PolicyEngine(
        PolicyRegistry(
            [
                policy(
                    {
                        "effect": "allow",
                        "actions": ["experiment_targeting"],
                        "subject": {"roles": ["insider"]},
                        "resource": {
                            "type": "experiment",
                            "attributes": {"name": {"equals": "checkout"}},
                        },
                    }
                )
            ]
        )
    )
    chooser = evaluator(
        targeted({"variantId": "treatment", "policy": {"name": "policy", "version": 1}}),
        policy_checker=engine.allows_targeting,
    )
    asked = {"experiment": "checkout", "userId": "1"}
    insider = await chooser.choose_variant({**asked, "flags": ["insider"]})
    outsider = await chooser.choose_variant(asked)
    assert insider is not None
    assert outsider is not None
    assert (insider.variant.id, insider.reason) == ("treatment", "targeted")
    assert (outsider.variant.id, outsider.reason, outsider.undecided) == ("control", "control", ())


# -- which spec -------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [None, 1, "1.0.0", "9", "no version", 1.5, True])
async def test_an_unknown_experiment_or_version_is_none(version: Any) -> None:
    context = {"experiment": "unknown", "version": version, "userId": "1"}
    assert await evaluator(experiment()).choose_variant(context) is None
    known = await evaluator(experiment()).choose_variant({**context, "experiment": "checkout"})
    assert (known is not None) == (version in {None, 1, "1.0.0"} and version is not True)


@pytest.mark.parametrize(
    ("statuses", "asked", "found"),
    [
        ({1: "running", 2: "running"}, None, "2.0.0"),
        ({1: "running", 2: "running"}, 1, "1.0.0"),
        ({1: "running", 2: "draft"}, None, "1.0.0"),
        ({1: "completed", 2: "draft", 3: "draft"}, None, "1.0.0"),
        ({1: "running", 2: "running", 10: "draft"}, None, "2.0.0"),
        ({1: "running", 2: "paused"}, None, "2.0.0"),
        ({1: "running", 2: "retired"}, None, None),
        ({1: "running", 2: "retired"}, 2, "2.0.0"),
        ({1: "draft"}, None, None),
        ({1: "draft"}, 1, "1.0.0"),
    ],
)
async def test_the_current_version(
    statuses: dict[int, str], asked: int | None, found: str | None
) -> None:
    chooser = evaluator(*(experiment(version=v, status=s) for v, s in statuses.items()))
    context = ExperimentContext(experiment="checkout", version=asked, user_id="1")
    evaluation = await chooser.choose_variant(context)
    assert (None if evaluation is None else evaluation.version) == found


async def test_specs_registered_later_are_found() -> None:
    chooser = evaluator()
    context = ExperimentContext(experiment="checkout", user_id="1")
    assert await chooser.choose_variant(context) is None
    chooser.registry.register(experiment())
    assert await chooser.choose_variant(context) is not None


async def test_a_context_without_an_experiment_is_refused() -> None:
    with pytest.raises(EventSchemaError, match="name the one to choose for"):
        await evaluator(experiment()).choose_variant({"userId": "1"})


async def test_a_batch_is_answered_in_order() -> None:
    chooser = evaluator(experiment())
    contexts = [{"experiment": "checkout", "userId": str(i)} for i in range(20)]
    contexts.insert(5, {"experiment": "unknown", "userId": "5"})
    found = await chooser.choose_variants(contexts)
    assert found == [await chooser.choose_variant(context) for context in contexts]
    assert [i for i, evaluation in enumerate(found) if evaluation is None] == [5]


def test_a_spec_is_compiled_once_per_content() -> None:
    chooser = evaluator()
    assert chooser.plan(experiment()) is chooser.plan(experiment())
    assert chooser.plan(experiment()) is not chooser.plan(experiment(coverage=0.5))


async def test_a_wrong_expression_names_its_experiment() -> None:
    spec = targeted({"variantId": "treatment", "expression": "nothing"})
    with pytest.raises(SpecValidationError, match=r"Experiment checkout 1\.0\.0: allocation"):
        evaluator().plan(spec)
    with pytest.raises(SpecValidationError, match=r"^allocation\.rules\[0\]\.expression: line 1"):
        compile_spec(spec)


async def test_the_clock_is_asked_where_no_time_is_given() -> None:
    spec = experiment(schedule={"start": "2026-03-01T00:00:00Z"})
    start = 1_772_323_200_000
    context = ExperimentContext(experiment="checkout", user_id="1")
    chooser = evaluator(spec, clock=lambda: start)
    assert (await chooser.choose_variant(context)).enrolled
    assert not (await chooser.choose_variant(context, start - 1)).enrolled
    assert not (await evaluator(spec).choose_variant(context)).enrolled


# -- policies ---------------------------------------------------------------------------------

GUARDED = targeted({"variantId": "treatment", "policy": {"key": "privacy", "version": 2}})
CONTEXT = ExperimentContext(experiment="checkout", user_id="1")


async def _async_true(ref: PolicyRef, context: ExperimentContext) -> bool:
    await asyncio.sleep(0)
    return ref.label == "privacy 2.0.0" and context.user_id == "1"


@pytest.mark.parametrize("checker", [lambda _ref, _context: True, _async_true])
async def test_a_policy_that_allows_lets_the_rule_match(checker: Any) -> None:
    found = await evaluator(GUARDED, policy_checker=checker).choose_variant(CONTEXT)
    assert (found.variant.id, found.reason, found.detail) == ("treatment", "targeted", ())


async def test_a_policy_that_denies_is_no_failure() -> None:
    chooser = evaluator(GUARDED, policy_checker=lambda _ref, _context: False)
    found = await chooser.choose_variant(CONTEXT)
    assert (found.variant.id, found.detail, found.undecided) == ("control", (), ())
    assert not chooser.undecided


def _raises(_ref: PolicyRef, _context: ExperimentContext) -> bool:
    raise PolicyError("broken")


async def _raises_later(_ref: PolicyRef, _context: ExperimentContext) -> bool:
    await asyncio.sleep(0)
    raise RuntimeError("broken later")


async def _hangs(_ref: PolicyRef, _context: ExperimentContext) -> bool:
    await asyncio.Event().wait()
    return True


async def _allow_object(_ref: PolicyRef, _context: ExperimentContext) -> Any:
    return {"effect": "deny"}


@pytest.mark.parametrize(
    ("checker", "told"),
    [
        (None, "there is no policy checker"),
        (_raises, "raised PolicyError: broken"),
        (_raises_later, "raised RuntimeError: broken later"),
        (_hangs, "took too long"),
        (_allow_object, "answered {'effect': 'deny'}, neither True nor False"),
        (lambda _ref, _context: 1, "answered 1, neither"),
        (lambda _ref, _context: "allow", "answered 'allow', neither"),
        (lambda _ref, _context: None, "answered None, neither"),
        (lambda _ref: True, "raised TypeError"),
    ],
)
async def test_a_policy_that_cannot_be_decided_fails_closed(checker: Any, told: str) -> None:
    chooser = evaluator(
        GUARDED, policy_checker=checker, wait_for=partial(asyncio.wait_for, timeout=0.01)
    )
    found = await chooser.choose_variant(CONTEXT)
    assert (found.variant.id, found.reason) == ("control", "control")
    assert found.undecided == ("privacy",)
    assert told in found.detail[0]
    assert "allocation.rules[0].policy does not match, privacy 2.0.0" in found.detail[0]
    await chooser.choose_variant(CONTEXT)
    assert chooser.undecided == {"privacy": 2}


async def test_cancellation_is_not_taken_for_a_failure() -> None:
    chooser = evaluator(GUARDED, policy_checker=_hangs)
    task = asyncio.create_task(chooser.choose_variant(CONTEXT))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not chooser.undecided


@pytest.mark.parametrize(
    ("expression", "allowed", "matches"),
    [("true", True, True), ("true", False, False), ("false", True, False), ("false", False, False)],
)
async def test_policy_and_expression_must_both_hold(
    expression: str, allowed: bool, matches: bool
) -> None:
    spec = targeted({"variantId": "treatment", "policy": {"key": "p"}, "expression": expression})
    chooser = evaluator(spec, policy_checker=lambda _ref, _context: allowed)
    found = await chooser.choose_variant(CONTEXT)
    assert (found.reason == "targeted") == matches


async def test_policies_are_asked_only_where_they_matter() -> None:
    asked: list[tuple[str, str | None]] = []

    def checker(ref: PolicyRef, context: ExperimentContext) -> bool:
        asked.append((ref.key, context.experiment))
        return ref.key == "second"

    spec = targeted(
        {"variantId": "treatment", "policy": {"key": "unmatched"}, "expression": "false"},
        {"variantId": "treatment", "policy": {"key": "excluded"}, "percentage": 0},
        {"variantId": "treatment", "policy": {"key": "first"}},
        {"variantId": "treatment", "policy": {"key": "second"}},
        {"variantId": "treatment", "policy": {"key": "third"}},
    )
    chooser = evaluator(spec, policy_checker=checker)
    plan = chooser.plan(spec)
    found = await chooser.evaluate(plan, ExperimentContext(user_id="1"))
    assert found.reason == "targeted"
    assert asked == [("first", "checkout"), ("second", "checkout")]
    assert not (await chooser.evaluate(plan, ExperimentContext())).enrolled
    assert len(asked) == 2, "nobody is asked about a context without a unit"


async def test_expression_errors_are_counted() -> None:
    spec = targeted({"variantId": "treatment", "expression": "context.attributes.a.b"})
    chooser = evaluator(spec)
    await chooser.choose_variant(CONTEXT)
    await chooser.choose_variant(CONTEXT)
    assert chooser.expression_errors == {"checkout": 2}


def test_a_plan_without_policies_needs_no_loop() -> None:
    coroutine = evaluator(experiment()).choose_variant(CONTEXT)
    with pytest.raises(StopIteration) as done:
        coroutine.send(None)
    assert done.value.value.enrolled
