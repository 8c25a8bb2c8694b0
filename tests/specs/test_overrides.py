"""Overrides: applied as merge patches, taken back exactly, held against each other."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import OverrideConflictError, OverrideError, SpecReferenceError
from anabranch.specs import Catalog, ExperimentSpec, Override, parse_document
from anabranch.specs.overrides import (
    apply,
    apply_all,
    claims,
    conflicts,
    revert,
    revert_all,
    targets_in,
)
from anabranch.specs.patches import merge, merged, same, touched, unmerge
from tests.specs.examples import spec

# RFC 7396, appendix A, word for word.
CASES = [
    ('{"a":"b"}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"b"}', '{"b":"c"}', '{"a":"b","b":"c"}'),
    ('{"a":"b"}', '{"a":null}', "{}"),
    ('{"a":"b","b":"c"}', '{"a":null}', '{"b":"c"}'),
    ('{"a":["b"]}', '{"a":"c"}', '{"a":"c"}'),
    ('{"a":"c"}', '{"a":["b"]}', '{"a":["b"]}'),
    ('{"a":{"b":"c"}}', '{"a":{"b":"d","c":null}}', '{"a":{"b":"d"}}'),
    ('{"a":[{"b":"c"}]}', '{"a":[1]}', '{"a":[1]}'),
    ('["a","b"]', '["c","d"]', '["c","d"]'),
    ('{"a":"b"}', '["c"]', '["c"]'),
    ('{"a":"foo"}', "null", "null"),
    ('{"a":"foo"}', '"bar"', '"bar"'),
    ('{"e":null}', '{"a":1}', '{"e":null,"a":1}'),
    ("[1,2]", '{"a":"b","c":null}', '{"a":"b"}'),
    ("{}", '{"a":{"bb":{"ccc":null}}}', '{"a":{"bb":{}}}'),
]

names = st.sampled_from(["a", "b", "c", "view", ""])
scalars = st.none() | st.booleans() | st.integers(-2, 2) | st.sampled_from([0.0, 1.0, "", "x"])
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4)
)
patches = st.dictionaries(names, json_values, max_size=4)


def text(value: Any) -> str:
    """As a file would hold it: the order of members and true against 1 count."""
    return json.dumps(value)


def workflow(config: dict[str, Any] | None, target: str = "shop.checkout") -> Override:
    return Override(type="workflow", target=target, config=config)


# -- one target -------------------------------------------------------------------------------


@pytest.mark.parametrize(("target", "patch", "expected"), CASES)
def test_the_examples_of_the_rfc(target: str, patch: str, expected: str) -> None:
    patched, undo = merge(json.loads(target), json.loads(patch))
    assert text(patched) == text(json.loads(expected))
    assert text(unmerge(patched, undo)) == text(json.loads(target))


@given(json_values, patches)
def test_apply_then_revert_is_the_identity(target: Any, config: dict[str, Any]) -> None:
    before = text(target)
    patched, undo = apply(target, workflow(config))
    assert text(target) == before
    assert text(patched) == text(merged(target, config))
    assert text(revert(patched, undo)) == before


@given(json_values, st.lists(patches, max_size=5))
def test_a_stack_of_overrides_is_taken_back_from_its_top(
    target: Any, configs: list[dict[str, Any]]
) -> None:
    now, undos = target, []
    for config in configs:
        now, undo = apply(now, workflow(config))
        undos.append(undo)
    for undo in reversed(undos):
        now = revert(now, undo)
    assert text(now) == text(target)


@given(json_values, json_values)
def test_applying_twice_is_applying_once(target: Any, patch: Any) -> None:
    once = merged(target, patch)
    assert text(merged(once, patch)) == text(once)


@given(json_values, patches, patches)
def test_patches_that_touch_nothing_in_common_commute_and_come_off_in_any_order(
    target: Any, one: dict[str, Any], other: dict[str, Any]
) -> None:
    """What the conflicts between experiments are about."""
    mine, theirs = [tuple(touched(one)), tuple(touched(other))]
    meet = any(a[: len(b)] == b[: len(a)] for a in mine for b in theirs)
    if meet or not isinstance(target, dict):
        return
    first, undo_one = merge(target, one)
    both, undo_other = merge(first, other)
    assert same(both, merged(merged(target, other), one))
    try:
        back = unmerge(unmerge(both, undo_one), undo_other)
    except OverrideError:
        # Both made an object of the same scalar: what the first found there is gone for good.
        shared = {a[0] for a in mine} & {b[0] for b in theirs}
        assert shared
    else:
        assert same(back, target)


def test_without_a_config_nothing_is_patched() -> None:
    """The target is shown in the original's place: there is nothing to change in it."""
    patched, undo = apply({"steps": [1, 2]}, workflow(None))
    assert patched == {"steps": [1, 2]}
    assert revert(patched, undo) == patched


def test_what_was_changed_elsewhere_meanwhile_stays() -> None:
    patched, undo = apply({"steps": 3, "title": "Checkout"}, workflow({"steps": 1}))
    assert revert({**patched, "title": "Cash desk"}, undo) == {"steps": 3, "title": "Cash desk"}


@pytest.mark.parametrize(
    ("patched", "words"),
    [
        ({"a": {"b": 3}}, "a.b is 3 now, and the override had made it 2"),
        ({"a": {"b": True}}, "a.b is True now"),
        ({"a": {}}, "a.b is nothing now"),
        ({"a": 5}, "a is 5 now and no object any more"),
        ({}, "a is nothing now"),
    ],
)
def test_what_cannot_be_taken_back_exactly_is_refused(patched: Any, words: str) -> None:
    _, undo = apply({"a": {"b": 1}}, workflow({"a": {"b": 2}}))
    with pytest.raises(OverrideError, match=words) as raised:
        revert(patched, undo)
    assert "revert what was applied later first" in str(raised.value)


def test_the_result_shares_nothing_with_the_override() -> None:
    override = workflow({"steps": [{"id": "a"}]})
    patched, _ = apply({}, override)
    patched["steps"][0]["id"] = "changed"
    assert override.config == {"steps": [{"id": "a"}]}


@pytest.mark.parametrize(
    ("patch", "expected"),
    [
        ({}, [()]),
        ({"a": 1, "b": {"c": None, "d": {}}}, [("a",), ("b", "c"), ("b", "d")]),
        ({"a": [{"b": 1}]}, [("a",)]),
    ],
)
def test_the_paths_a_patch_touches(patch: Any, expected: list[tuple[str, ...]]) -> None:
    assert list(touched(patch)) == expected


# -- variants ---------------------------------------------------------------------------------


def changing(
    key: str, config: dict[str, Any] | None, *, target: str = "shop.checkout", **changes: Any
) -> ExperimentSpec:
    """An experiment whose variant ``green`` overrides a workflow."""
    override: dict[str, Any] = {"type": "workflow", "target": target, "config": config}
    version = changes.pop("target_version", None)
    if version is not None:
        override["version"] = version
    return spec(
        meta={"key": key, "version": 1},
        variants=[{"id": "control"}, {"id": "green", "overrides": [override]}],
        **changes,
    )


CHECKOUT = {"steps": {"address": {"fields": 8}, "pay": {"fields": 4}}, "title": "Checkout"}
TARGETS = {("workflow", "shop.checkout"): CHECKOUT}


def green(experiment: ExperimentSpec) -> tuple[ExperimentSpec, Any]:
    return experiment, experiment.variants_by_id["green"]


def test_a_unit_in_two_experiments_gets_both_overrides_and_loses_both_exactly() -> None:
    short = changing("short", {"steps": {"address": {"fields": 3}}})
    named = changing("named", {"title": "Cash desk", "steps": {"pay": None}})
    applied = apply_all(TARGETS, [green(short), green(named)])
    assert applied.targets == {
        ("workflow", "shop.checkout"): {"steps": {"address": {"fields": 3}}, "title": "Cash desk"}
    }
    assert text(revert_all(applied)[("workflow", "shop.checkout")]) == text(CHECKOUT)
    assert TARGETS[("workflow", "shop.checkout")] is CHECKOUT


def test_conflicts_are_found_again_when_overrides_are_applied() -> None:
    one, other = (changing(key, {"title": key}) for key in ("one", "other"))
    with pytest.raises(OverrideConflictError, match=r"in both: Experiment other .*changes title"):
        apply_all(TARGETS, [green(one), green(other)])
    control = (other, other.control)
    assert apply_all(TARGETS, [green(one), control]).undos


def test_a_target_that_is_not_there_cannot_be_overridden() -> None:
    with pytest.raises(OverrideError, match=r"variant 'green': there is no Workflow shop\.basket"):
        apply_all(TARGETS, [green(changing("one", {"a": 1}, target="shop.basket"))])


def test_real_specs_are_overridden_in_their_latest_version() -> None:
    specs = [
        parse_document(
            {"kind": kind, "meta": {"key": "shop.checkout", "version": n}, "title": f"{kind} {n}"}
        )
        for kind in ("Workflow", "Theme", "FeatureModule")
        for n in (9, 10, 1)
    ]
    targets = targets_in([*specs, spec()])
    assert {target: document["title"] for target, document in targets.items()} == {
        ("workflow", "shop.checkout"): "Workflow 10",
        ("theme", "shop.checkout"): "Theme 10",
    }
    applied = apply_all(targets, [green(changing("one", {"title": "x"}, target_version=10))])
    assert applied.targets["workflow", "shop.checkout"]["title"] == "x"
    assert revert_all(applied) == targets
    with pytest.raises(
        OverrideError, match=r"overrides Workflow shop\.checkout 9\.0\.0, and version 10"
    ):
        apply_all(targets, [green(changing("one", {"title": "x"}, target_version=9))])


# -- conflicts between experiments ------------------------------------------------------------


def found(*specs: ExperimentSpec) -> list[str]:
    return [str(conflict) for conflict in conflicts(specs)]


def test_the_message_says_what_where_who_and_what_to_do() -> None:
    one = changing("one", {"steps": {"pay": {"fields": 2}}})
    other = changing("other", {"title": "x", "steps": {"pay": None}})
    (message,) = found(one, other)
    assert message == (
        "Experiment other 1.0.0: variants[1].overrides[0] changes steps.pay.fields of Workflow "
        "shop.checkout in variant 'green', and so does Experiment one 1.0.0 in variant 'green': "
        "give both a part of the same layer, or one of them another path"
    )


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({"a": 1}, {"a": 2}, True),
        ({"a": 1}, {"a": 1}, True),
        ({"a": None}, {"a": {"b": 1}}, True),
        ({"a": {"b": 1}}, {"a": [1]}, True),
        ({"a": {"b": 1}}, {"a": {"c": 1}}, False),
        ({"a": 1}, {"b": 1}, False),
        ({"a": 1}, None, False),
        (None, None, False),
    ],
)
def test_the_same_path_or_one_inside_the_other(one: Any, other: Any, meet: bool) -> None:
    assert bool(found(changing("one", one), changing("other", other))) is meet
    assert bool(found(changing("other", other), changing("one", one))) is meet


A = {"title": "A"}


@pytest.mark.parametrize(
    ("one", "other", "meet"),
    [
        ({}, {"target": "shop.basket"}, False),
        ({"target_version": 1}, {"target_version": 2}, False),
        ({"target_version": 1}, {"target_version": "1.0"}, True),
        ({"target_version": 1}, {}, True),
        ({"layer": {"key": "l", "end": 0.5}}, {"layer": {"key": "l", "start": 0.5}}, False),
        ({"layer": {"key": "l", "end": 0.5}}, {"layer": {"key": "m", "start": 0.5}}, True),
        ({"layer": {"key": "l", "end": 0.6}}, {"layer": {"key": "l", "start": 0.5}}, True),
        ({"layer": {"key": "l", "end": 0.5}}, {}, True),
        (
            {"layer": {"key": "l", "end": 0.5}, "unit": ["userId"]},
            {"layer": {"key": "l", "start": 0.5}, "unit": ["organizationId"]},
            True,
        ),
        (
            {"schedule": {"end": "2026-01-01T00:00:00Z"}},
            {"schedule": {"start": "2026-01-01T00:00:00Z"}},
            False,
        ),
        ({"schedule": {"end": "2026-01-01T00:00:00Z"}}, {}, True),
        ({"prerequisites": [{"experiment": "other", "variant": "control"}]}, {}, False),
        ({"prerequisites": [{"experiment": "other", "variant": "green"}]}, {}, True),
        ({"prerequisites": [{"experiment": "other"}]}, {}, True),
    ],
)
def test_only_experiments_that_a_unit_can_be_in_together(
    one: dict[str, Any], other: dict[str, Any], meet: bool
) -> None:
    mine, theirs = changing("one", A, **one), changing("other", A, **other)
    assert bool(found(mine, theirs)) is meet
    assert bool(found(theirs, mine)) is meet


def test_variants_of_one_experiment_may_change_the_same_path() -> None:
    overrides = [{"type": "theme", "target": "shop.theme", "config": {"colour": c}} for c in "rg"]
    both = spec(
        variants=[
            {"id": "control", "overrides": overrides[:1]},
            {"id": "green", "overrides": overrides[1:]},
        ]
    )
    assert found(both) == []
    assert [(c.variant, c.place) for c in claims(both)] == [
        ("control", ("variants", 0, "overrides", 0)),
        ("green", ("variants", 1, "overrides", 0)),
    ]


def test_a_catalog_reports_conflicts_of_running_experiments_only() -> None:
    one, other = changing("one", A), changing("other", A)
    with pytest.raises(SpecReferenceError, match="changes title of Workflow"):
        Catalog.of([one, other]).check()
    assert Catalog.of([one, changing("other", A, status="paused")]).problems() == []
