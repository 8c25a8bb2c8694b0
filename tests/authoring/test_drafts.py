"""From documents that lack something to specs, and what is made of made-up units."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from anabranch.authoring.drafts import (
    file_name,
    merged,
    missing,
    problems,
    spec_of,
    with_overrides,
)
from anabranch.authoring.preview import preview
from anabranch.errors import DuplicateSpecError, SpecValidationError
from anabranch.specs import Catalog, PolicySpec
from tests.lifecycle.records import experiment, metric, telemetry

NOW = datetime(2030, 1, 1, tzinfo=UTC)
META = {"meta": {"key": "shop.button", "owners": ["@t"]}}
TWO = {"variants": [{"id": "control"}, {"id": "b"}]}


@pytest.mark.parametrize(
    ("kind", "document", "flags"),
    [
        ("Experiment", {}, ["--key", "--owner", "--variant"]),
        ("Experiment", META | TWO, []),
        ("Experiment", META | TWO | {"allocation": {"type": "targeted"}}, ["--rule"]),
        ("Experiment", META | TWO | {"allocation": {"type": "sticky"}}, ["--attribute"]),
        ("Telemetry", {"meta": {"key": "shop"}}, ["--owner", "--event"]),
        ("Policy", META, ["--rule"]),
    ],
)
def test_what_is_missing_is_named_by_its_flag(kind, document, flags):
    assert [one.flag for one in missing(kind, document)] == flags


def test_flags_go_before_the_file():
    base = {
        "meta": {"key": "a", "title": "T"},
        "allocation": {"type": "random", "salt": "s"},
        "variants": [{"id": "a"}],
    }
    given = {"meta": {"key": "b"}, "allocation": {"salt": "t"}, "variants": [{"id": "c"}]}
    assert merged(base, given) == {
        "meta": {"key": "b", "title": "T"},
        "allocation": {"type": "random", "salt": "t"},
        "variants": [{"id": "c"}],
    }
    other = merged(base, {"allocation": {"type": "sticky", "attribute": "userId"}})
    assert other["allocation"] == {"type": "sticky", "attribute": "userId"}
    assert base["meta"] == {"key": "a", "title": "T"}


def test_what_is_left_out_is_filled_in():
    catalog = Catalog.of([telemetry("shop", "order")])
    document = (
        META
        | TWO
        | {
            "successMetrics": [
                {"name": "n", "telemetryEvent": {"key": "order"}, "aggregation": "count"}
            ]
        }
    )
    spec = spec_of("Experiment", document, catalog)
    assert (spec.version, spec.control_variant, spec.allocation.type) == (
        "1.0.0",
        "control",
        "random",
    )
    assert spec.success_metrics[0].telemetry_event.version == "1.0.0"
    assert "version" not in document["successMetrics"][0]["telemetryEvent"]


def test_expressions_are_compiled():
    rules = [{"variantId": "b", "expression": "context."}]
    allocation = {"allocation": {"type": "targeted", "rules": rules}}
    with pytest.raises(SpecValidationError, match="line 1, column"):
        spec_of("Experiment", META | TWO | allocation, Catalog())


def test_problems_are_those_of_the_new_spec_alone():
    old = experiment("old", successMetrics=[metric("nowhere")])
    spec = experiment("new", successMetrics=[metric("order")])
    catalog = Catalog.of([old])
    extended, (problem,) = problems(spec, catalog)
    assert "no TelemetrySpec declares the event order" in problem
    assert len(extended) == 2
    with pytest.raises(DuplicateSpecError, match="is there already"):
        problems(old, catalog)


def test_overrides_go_to_their_variants():
    made = with_overrides(TWO, [("b", {"type": "theme", "target": "t"})])
    assert made["variants"][1]["overrides"] == [{"type": "theme", "target": "t"}]
    assert "overrides" not in TWO["variants"][1]
    with pytest.raises(ValueError, match="no variant 'c' to override with: there are control, b"):
        with_overrides(TWO, [("c", {})])


@pytest.mark.parametrize(
    ("key", "name"),
    [
        ("sigil.onboarding.split_form", "split_form_experiment.py"),
        ("shop.@x/Button colour".replace(" ", "-"), "x_button_colour_experiment.py"),
        ("our.my.experiment", "my_experiment.py"),
        ("experiment", "experiment.py"),
    ],
)
def test_files_are_named_by_the_key(key, name):
    assert file_name(experiment(key), ".py") == name


async def test_the_preview_is_the_evaluators_split():
    spec = experiment("x", variants=[{"id": "a", "weight": 3}, {"id": "b"}], status="draft")
    found = await preview(spec, Catalog.of([spec]), NOW)
    assert (found.units, found.enrolled, found.reasons) == (10_000, 10_000, {"random": 10_000})
    assert found.expected == {"a": 0.75, "b": 0.25}
    assert abs(found.variants["a"] - 7500) < 4 * (10_000 * 0.75 * 0.25) ** 0.5


async def test_the_preview_leaves_out_whom_coverage_leaves_out():
    spec = experiment("x", coverage=0.2)
    found = await preview(spec, Catalog.of([spec]), NOW)
    assert abs(found.enrolled - 2000) < 160
    assert sum(found.left_out.values()) == 10_000 - found.enrolled


async def test_the_previews_units_carry_what_they_are_given():
    spec = experiment("x", expression="context.attributes?.plan === 'pro'")
    catalog = Catalog.of([spec])
    without = await preview(spec, catalog, NOW, units=200)
    assert (without.reasons, without.notes) == (
        {"random": 200},
        ("the units carried no attributes and no flags",),
    )
    pro = await preview(spec, catalog, NOW, units=200, context={"attributes": {"plan": "pro"}})
    assert (pro.variants, pro.reasons) == ({"a": 0, "b": 200}, {"targeted": 200})


async def test_the_preview_asks_policies():
    policy = PolicySpec.model_validate(
        {
            "meta": {"key": "staff", "version": 1},
            "rules": [
                {
                    "effect": "allow",
                    "actions": ["experiment_targeting"],
                    "subject": {"roles": ["staff"]},
                }
            ],
        }
    )
    rules = [{"variantId": "b", "policy": {"key": "staff"}}]
    spec = experiment("x", allocation={"type": "targeted", "rules": rules})
    catalog = Catalog.of([spec, policy])
    nobody = await preview(spec, catalog, NOW, units=50)
    staff = await preview(spec, catalog, NOW, units=50, context={"flags": ["staff"]})
    assert (nobody.variants["b"], staff.variants["b"]) == (0, 50)
