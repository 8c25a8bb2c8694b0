import pytest

from anabranch.errors import DuplicateSpecError, SpecReferenceError
from anabranch.specs import (
    Catalog,
    PolicySpec,
    SuccessMetric,
    TelemetryRegistry,
    TelemetrySpec,
    metric_property,
)
from tests.specs.examples import spec


def event(properties=None, **changes):
    return {
        "key": "order",
        "version": 1,
        "properties": {name: {"type": kind} for name, kind in (properties or {}).items()},
        **changes,
    }


def telemetry(*events):
    return TelemetrySpec.model_validate(
        {"meta": {"key": "shop.events", "version": 1}, "events": list(events) or [event()]}
    )


def policy(key="shop.eu_only", version=1):
    return PolicySpec.model_validate(
        {
            "meta": {"key": key, "version": version},
            "rules": [{"effect": "allow", "actions": ["experiment_targeting"]}],
        }
    )


def metric(aggregation="sum", **changes):
    return {
        "name": "Orders",
        "telemetryEvent": {"key": "order", "version": 1},
        "aggregation": aggregation,
        **changes,
    }


def test_a_catalog_sorts_specs_by_kind():
    specs = [telemetry(), spec(), policy()]
    catalog = Catalog.of(specs)
    assert len(catalog) == 3
    assert [s.kind for s in catalog] == ["Experiment", "Telemetry", "Policy"]
    with pytest.raises(DuplicateSpecError):
        Catalog.of([*specs, spec()])


@pytest.mark.parametrize(
    ("statuses", "running", "evaluated"),
    [
        (["running"], "1.0.0", "1.0.0"),
        (["running", "draft"], "1.0.0", "1.0.0"),
        (["running", "running"], "2.0.0", "2.0.0"),
        (["running", "paused"], None, "2.0.0"),
        (["paused", "draft"], None, "1.0.0"),
        (["running", "completed"], None, None),
        (["running", "retired", "draft"], None, None),
        (["retired", "running"], "2.0.0", "2.0.0"),
        (["draft"], None, None),
    ],
)
def test_the_latest_version_that_is_no_draft_holds(statuses, running, evaluated):
    catalog = Catalog.of(
        spec(meta={"key": "a", "version": n}, status=status)
        for n, status in enumerate(statuses, start=1)
    )
    assert [s.version for s in catalog.running()] == [running] * (running is not None)
    assert [s.version for s in catalog.evaluated()] == [evaluated] * (evaluated is not None)


@pytest.mark.parametrize(
    ("properties", "given", "expected"),
    [
        ({"value": "number"}, metric(), "value"),
        ({"value": "number", "note": "string"}, metric("p95"), "value"),
        ({"value": "number", "items": "number"}, metric("avg", property="items"), "items"),
        ({"value": "number"}, metric("count"), None),
        ({}, metric("unique"), None),
    ],
)
def test_the_property_of_a_metric(properties, given, expected):
    registry = TelemetryRegistry([telemetry(event(properties))])
    assert metric_property(SuccessMetric.model_validate(given), registry) == expected


@pytest.mark.parametrize(
    ("declared", "given", "expected"),
    [
        (
            event(),
            metric(),
            "sum needs a numeric property, and event order 1.0.0 has none: declare",
        ),
        (
            event({"a": "number", "b": "number"}),
            metric("p50"),
            "p50 needs a numeric property, and event order 1.0.0 has 'a', 'b': name one",
        ),
        (
            event({"value": "number"}),
            metric(property="valeu"),
            "event order 1.0.0 declares no property 'valeu': did you mean 'value'?",
        ),
        (
            event({"value": "string", "n": "number"}),
            metric(property="value"),
            "'value' of event order 1.0.0 is a string, and sum needs a number: numeric are 'n'",
        ),
        (
            event({"value": "number"}, privacy="sensitive"),
            metric(),
            "property 'value' of event order 1.0.0 is masked to 0, for the event is sensitive",
        ),
        (
            event(properties=None) | {"properties": {"value": {"type": "number", "pii": True}}},
            metric(),
            "is masked to 0, for it is declared pii or redact",
        ),
        (
            event(),
            metric("count", telemetryEvent={"key": "orders", "version": 1}),
            "no TelemetrySpec declares the event orders 1.0.0: did you mean 'order'?",
        ),
        (
            event(),
            metric("count", telemetryEvent={"key": "order", "version": 2}),
            "no TelemetrySpec declares the event order 2.0.0: its versions are 1.0.0",
        ),
    ],
)
def test_a_metric_that_cannot_be_measured_names_both_ends(declared, given, expected):
    catalog = Catalog.of([spec(successMetrics=[given]), telemetry(declared)])
    [problem] = catalog.problems()
    head = "Experiment shop.checkout 1.0.0: successMetrics[0], metric 'Orders': "
    assert str(problem).startswith(head)
    assert expected in str(problem)
    with pytest.raises(SpecReferenceError):
        catalog.check()


def targeted(**ref):
    rule = {"variantId": "green", "policy": {"key": "shop.eu_only", **ref}}
    return spec(allocation={"type": "targeted", "rules": [rule]})


@pytest.mark.parametrize("ref", [{}, {"version": 1}, {"version": "1.0.0"}])
def test_a_policy_that_is_there(ref):
    assert Catalog.of([targeted(**ref), policy()]).problems() == []


@pytest.mark.parametrize(
    ("ref", "remedy"),
    [
        ({"version": 2}, "shop.eu_only 2.0.0, which is not there: its versions are 1.0.0"),
        ({"key": "shop.eu_onl"}, "shop.eu_onl, which is not there: did you mean 'shop.eu_only'?"),
    ],
)
def test_a_policy_that_is_not_there(ref, remedy):
    [problem] = Catalog.of([targeted(**ref), policy()]).problems()
    assert "shop.checkout 1.0.0: allocation.rules[0].policy names Policy " in str(problem)
    assert remedy in str(problem)


def test_retired_experiments_may_refer_to_what_is_gone():
    assert Catalog.of([spec(successMetrics=[metric()], status="retired")]).problems() == []
