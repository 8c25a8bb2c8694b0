"""Applications' own specs: what overrides change, and who refers to experiments."""

from __future__ import annotations

from typing import Any

import pytest

from anabranch.errors import DuplicateSpecError, OverrideError, SpecReferenceError
from anabranch.errors import SpecValidationError as Wrong
from anabranch.specs import Catalog, Override, Spec, parse_document
from anabranch.specs.overrides import overridden
from tests.specs.examples import experiment

META = {"key": "shop.checkout", "version": 1}


def parse(kind: str, **fields: Any) -> Spec:
    return parse_document({"kind": kind, "meta": META, **fields})


def mine(*overrides: dict[str, Any], **changes: Any) -> Spec:
    variants = [{"id": "control"}, {"id": "green", "overrides": list(overrides)}]
    return parse_document({"kind": "Experiment", **experiment(variants=variants, **changes)})


def problems(*specs: Spec) -> list[str]:
    return [str(problem) for problem in Catalog.of(specs).problems()]


def override(**changes: Any) -> dict[str, Any]:
    return {"type": "workflow", "target": "shop.checkout", **changes}


@pytest.mark.parametrize(
    "kind", ["DataView", "Workflow", "Theme", "Presentation", "FeatureModule", "AppConfig"]
)
def test_fields_of_their_own_are_kept(kind: str) -> None:
    body = {"steps": [{"id": "pay", "next": None}], "view": {"kind": "table"}}
    document = {"kind": kind, "meta": {**META, "version": "1.0.0", "entity": "order"}, **body}
    found = parse_document(document)
    assert found.document == document
    assert parse_document(found.document) == found
    assert found.digest != parse(kind).digest


def test_what_json_does_not_have_is_refused() -> None:
    with pytest.raises(Wrong, match="holds a set"):
        parse("Workflow", steps={1, 2})


def test_experiments_are_named_once() -> None:
    with pytest.raises(Wrong, match=r"'shop\.button' is named twice"):
        parse("Workflow", experiments=[{"key": "shop.button"}, {"name": "shop.button"}])
    both = [{"key": "shop.button"}]
    with pytest.raises(Wrong, match=r"experiments\.paused: 'shop\.button' is active as well"):
        parse("AppConfig", experiments={"active": both, "paused": both})


@pytest.mark.parametrize(
    ("kind", "field", "path"),
    [
        ("FeatureModule", [{"key": "shop.chekout"}], "experiments[0]"),
        ("DataView", [{"key": "shop.checkout"}, {"key": "shop.chekout"}], "experiments[1]"),
        ("AppConfig", {"active": [{"key": "shop.chekout"}]}, "experiments.active[0]"),
        ("AppConfig", {"paused": [{"key": "shop.chekout"}]}, "experiments.paused[0]"),
    ],
)
def test_the_experiments_they_name_are_there(kind: str, field: Any, path: str) -> None:
    (problem,) = problems(mine(), parse(kind, experiments=field))
    assert problem == (
        f"{kind} shop.checkout 1.0.0: {path} names Experiment shop.chekout, which is not there: "
        "did you mean 'shop.checkout'?"
    )


def application(name: str, **lists: Any) -> Spec:
    meta = {"key": name, "version": 1}
    return parse_document({"kind": "AppConfig", "meta": meta, "experiments": lists})


def test_what_one_application_pauses_no_other_has_active() -> None:
    first, second = {"key": "shop.checkout", "version": 1}, {"key": "shop.checkout", "version": 2}
    specs = mine(), mine(meta={"key": "shop.checkout", "version": 2})
    app = application("app", active=[{"key": "shop.checkout"}])
    (problem,) = problems(*specs, app, application("site", paused=[first]))
    assert problem == (
        "AppConfig site 1.0.0: experiments.paused[0] names Experiment shop.checkout 1.0.0, which "
        "AppConfig app 1.0.0 has active, and a context does not say which application it is of: "
        "pause it in both, or in none"
    )
    apart = application("app", active=[first]), application("site", paused=[second])
    assert problems(*specs, *apart) == []


def test_a_reference_without_a_version_means_the_latest() -> None:
    refs = [{"key": "shop.checkout"}]
    assert problems(mine(), parse("Workflow", experiments=refs)) == []
    refs = [{"key": "shop.checkout", "version": 2}]
    assert "its versions are 1.0.0" in problems(mine(), parse("Workflow", experiments=refs))[0]


# -- what overrides do to them ----------------------------------------------------------------


def test_targets_elsewhere_are_not_looked_for() -> None:
    assert problems(mine(override(target="somewhere.else"))) == []


def test_where_targets_of_a_kind_are_there_each_is() -> None:
    (problem,) = problems(mine(override(target="shop.chekout")), parse("Workflow"))
    assert problem == (
        "Experiment shop.checkout 1.0.0: variants[1].overrides[0].target names Workflow "
        "shop.chekout, which is not there: did you mean 'shop.checkout'?"
    )
    assert problems(mine(override(version=2)), parse("Workflow"))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        ({"meta": {"version": 2}}, "makes Workflow shop.checkout 2.0.0 of Workflow shop.checkout"),
        ({"meta": {"key": "other"}}, "leave kind, key and version as they are"),
        ({"kind": "Theme"}, "makes Theme shop.checkout 1.0.0 of Workflow"),
        ({"experiments": "x"}, "makes no valid spec of Workflow shop.checkout 1.0.0"),
        ({"meta": None}, "meta: is missing"),
    ],
)
def test_a_target_stays_a_valid_spec_of_the_same_name(config: Any, words: str) -> None:
    with pytest.raises(OverrideError) as raised:
        overridden(parse("Workflow"), Override(type="workflow", target=META["key"], config=config))
    assert words in str(raised.value)
    (problem,) = problems(mine(override(config=config)), parse("Workflow"))
    assert problem.startswith("Experiment shop.checkout 1.0.0: variants[1].overrides[0] makes")


def test_an_override_of_a_policy_is_held_against_the_policy() -> None:
    policy = parse("Policy", rules=[{"effect": "deny", "actions": ["buy"]}])
    opened = override(type="policy", config={"rules": [{"effect": "allow", "actions": ["buy"]}]})
    assert problems(mine(opened), policy) == []
    broken = override(type="policy", config={"rules": [{"effect": "alow", "actions": ["buy"]}]})
    assert "rules[0].effect" in problems(mine(broken), policy)[0]


def test_the_patched_spec_has_what_the_override_says() -> None:
    target = parse("Theme", colours={"buy": "blue", "bin": "red"})
    change = Override(type="theme", target=META["key"], config={"colours": {"bin": None}})
    assert overridden(target, change).document["colours"] == {"buy": "blue"}
    assert target.document["colours"] == {"buy": "blue", "bin": "red"}


# -- the catalog ------------------------------------------------------------------------------


def test_a_catalog_holds_every_kind() -> None:
    specs = [parse("Workflow"), mine(), parse("Theme"), parse("Context", attributes={"plan": {}})]
    catalog = Catalog.of(specs)
    assert len(catalog) == 4
    assert [spec.kind for spec in catalog] == ["Experiment", "Workflow", "Theme", "Context"]
    assert catalog.find("Theme", "shop.checkout") == specs[2]
    assert catalog.find("Experiment", "shop.checkout", 1) == specs[1]
    assert catalog.find("Presentation", "shop.checkout") is None
    assert catalog.of_kind("Policy") is None
    with pytest.raises(DuplicateSpecError, match=r"Theme shop\.checkout 1\.0\.0 is there twice"):
        catalog.add(parse("Theme"))


def test_problems_make_a_catalog_unfit() -> None:
    with pytest.raises(SpecReferenceError, match="which is not there"):
        Catalog.of([parse("Workflow", experiments=[{"key": "gone"}])]).check()
