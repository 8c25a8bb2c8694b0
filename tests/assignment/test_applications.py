"""Applications' configurations pause experiments, and list those that take part."""

from __future__ import annotations

from typing import Any

import pytest

from anabranch.assignment import ExperimentContext, ExperimentEvaluator, explain
from anabranch.errors import DuplicateSpecError
from anabranch.specs import Catalog, parse_document
from tests.assignment.specs import experiment

SPEC = experiment(weights={"control": 0, "treatment": 1})
REF = {"key": SPEC.key}
NEXT = {**REF, "version": "2.0.0"}
OTHER = {"key": "somewhere.else"}


def catalog(*lists: dict[str, Any], names: str = "abc", version: int = 1) -> Catalog:
    configs = [
        {"kind": "AppConfig", "meta": {"key": name, "version": version}, "experiments": one}
        for name, one in zip(names, lists, strict=False)
    ]
    return Catalog.of([SPEC, *map(parse_document, configs)])


async def chosen(found: Catalog, **fields: Any) -> tuple[str, bool, str]:
    evaluator = ExperimentEvaluator(found.experiments, applications=found.applications())
    evaluation = await evaluator.choose_variant({"experiment": SPEC.key, "userId": "1", **fields})
    assert evaluation is not None
    return evaluation.variant.id, evaluation.enrolled, "; ".join(evaluation.detail)


@pytest.mark.parametrize(
    ("lists", "why"),
    [
        ([], None),
        ([{}], None),
        ([{"active": [REF]}], None),
        ([{"active": [{**REF, "version": 1}]}], None),
        ([{"active": [OTHER]}, {"active": [REF]}], None),
        ([{"paused": [OTHER]}], None),
        ([{"paused": [NEXT]}], None),
        ([{"paused": [REF]}], "AppConfig a 1.0.0 has it paused"),
        ([{}, {"paused": [{**REF, "version": 1}]}], "AppConfig b 1.0.0 has it paused"),
        ([{"active": [OTHER]}], "no application has it active: AppConfig a 1.0.0 list others"),
        ([{"active": [NEXT]}], "no application has it active: AppConfig a 1.0.0 list others"),
    ],
)
async def test_paused_is_control_without_exposure(lists: list[Any], why: str | None) -> None:
    found = catalog(*lists)
    assert await chosen(found) == (
        ("treatment", True, "") if why is None else ("control", False, why)
    )


async def test_the_latest_configuration_of_an_application_holds() -> None:
    found = catalog({"paused": [REF]})
    newer = catalog({"active": [REF]}, version=2)
    for spec in newer.others["AppConfig"]:
        found.add(spec)
    assert await chosen(found) == ("treatment", True, "")
    with pytest.raises(DuplicateSpecError):
        found.add(next(iter(newer.others["AppConfig"])))


async def test_plans_of_before_are_not_taken_for_those_of_after() -> None:
    before, after = catalog(), catalog({"paused": [REF]})
    evaluator = ExperimentEvaluator(before.experiments, applications=before.applications())
    plan = evaluator.plan(SPEC)
    renewed = ExperimentEvaluator(
        after.experiments, plans=evaluator.plans, applications=after.applications()
    )
    assert renewed.plan(SPEC).paused == "AppConfig a 1.0.0 has it paused"
    again = ExperimentEvaluator(before.experiments, plans=evaluator.plans)
    assert again.plan(SPEC) is plan


async def test_nobody_is_enrolled_in_what_requires_it() -> None:
    found = catalog({"paused": [REF]})
    needs = experiment(key="shop.second", prerequisites=[{"experiment": SPEC.key}])
    found.add(needs)
    evaluator = ExperimentEvaluator(found.experiments, applications=found.applications())
    evaluation = await evaluator.choose_variant({"experiment": needs.key, "userId": "1"})
    assert evaluation is not None
    assert not evaluation.enrolled
    assert "AppConfig a 1.0.0 has it paused" in evaluation.detail[0]


def test_an_explanation_names_who_has_paused_it() -> None:
    found = catalog({"paused": [REF]})
    evaluator = ExperimentEvaluator(found.experiments, applications=found.applications())
    told = explain(evaluator.plan(SPEC), ExperimentContext(user_id="1"))
    (status, *_) = told.steps
    assert (status.outcome, status.why) == ("stopped", "AppConfig a 1.0.0 has it paused")
