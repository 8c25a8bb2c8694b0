"""Made-up traffic: the truth is what the units do, and faults do not move the results."""

from __future__ import annotations

import json
from collections import defaultdict
from random import Random

import pytest

from anabranch.errors import SettingsError
from anabranch.simulation import Faults, Traffic, plant, simulated
from anabranch.specs import Catalog, ExperimentSpec, TelemetrySpec
from tests.analysis.shop import META

NONE = Faults(0, 0, 0, 0, 0)
BEGIN = 1_704_067_200_000
DAY = 24 * 60 * 60 * 1000


def catalog(*, rate: float = 1.0, **changes) -> Catalog:
    view, cart, order = ({"name": f"shop.{n}", "version": 1} for n in ("view", "cart", "order"))
    metrics = [
        {"name": "views", "telemetryEvent": view, "aggregation": "count"},
        {"name": "buyers", "telemetryEvent": order, "aggregation": "unique"},
        {"name": "revenue", "telemetryEvent": order, "aggregation": "sum", "window": "2h"},
        {"name": "basket", "telemetryEvent": order, "aggregation": "p75", "property": "amount"},
        {
            "name": "per view",
            "telemetryEvent": order,
            "aggregation": "ratio",
            "property": "amount",
            "denominator": {"telemetryEvent": view},
        },
        {"name": "funnel", "telemetryEvent": cart, "aggregation": "funnel", "steps": [order]},
        {"name": "orders per unit", "telemetryEvent": order, "aggregation": "p90", "per": "unit"},
    ]
    experiment = ExperimentSpec.model_validate(
        {
            "meta": META | {"key": "shop.button"},
            "controlVariant": "blue",
            "variants": [{"id": "blue"}, {"id": "green"}],
            "allocation": {"type": "random"},
            "successMetrics": metrics,
        }
        | changes
    )
    events = [
        {
            "name": event["name"],
            "version": 1,
            "semantics": {"who": "a", "what": "b", "why": "c"},
            "privacy": "internal",
            "sampling": {"rate": rate},
            "properties": {"amount": {"type": "number", "required": True}}
            if event is order
            else {},
        }
        for event in (view, cart, order)
    ]
    telemetry = TelemetrySpec.model_validate({"meta": META | {"key": "t"}, "events": events})
    return Catalog.of([experiment, telemetry])


def setup(given: Catalog, effects: dict | None = None, **options):
    specs, spec = simulated(given, given.experiments.require("shop.button"))
    behaviour, truths = plant(
        specs, spec, effects=effects or {}, **{"rates": {}, "values": {}} | options
    )
    return specs, spec, behaviour, truths


def traffic(given: Catalog, effects: dict | None = None, *, seed=1, units=300, faults=None, **more):
    specs, spec, behaviour, _ = setup(given, effects, **more)
    return Traffic(
        Random(seed),
        specs,
        spec,
        behaviour,
        units=units,
        start_ms=BEGIN,
        duration_ms=DAY,
        faults=faults,
    )


def true(truths, metric: str, variant: str = "green"):
    (found,) = [t for t in truths if (t.metric, t.variant) == (metric, variant)]
    return found


# -- truth ------------------------------------------------------------------------------------


def test_an_effect_moves_what_its_metric_measures_and_all_that_hangs_on_it():
    _, _, _, truths = setup(catalog(), {("green", "buyers"): 0.1}, rates={"views": 0.4})
    for metric in ("buyers", "revenue", "per view", "funnel"):
        assert true(truths, metric).relative_lift == pytest.approx(0.1)
    for metric in ("views", "basket"):
        assert true(truths, metric).difference == 0
    assert true(truths, "views", "blue").expected == 0.4
    assert true(truths, "orders per unit").expected is None


def test_the_effect_of_a_quantile_is_on_values():
    _, _, _, truths = setup(catalog(), {("green", "basket"): -0.2}, values={"basket": 50}, noise=0)
    assert true(truths, "basket", "blue").expected == 50
    assert true(truths, "basket").relative_lift == pytest.approx(-0.2)
    assert true(truths, "revenue").relative_lift == pytest.approx(-0.2)
    assert true(truths, "buyers").difference == 0


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"effects": {("green", "buyer"): 0.1}}, "no metric 'buyer'.*'buyers'"),
        ({"effects": {("gren", "buyers"): 0.1}}, "no variant 'gren'.*'green'"),
        ({"effects": {("green", "views"): 9.0}}, "smaller effect"),
        ({"values": {"views": 3.0}}, "'views' has no property"),
    ],
)
def test_what_cannot_be_planted(options, words):
    with pytest.raises(SettingsError, match=words):
        setup(catalog(), **options)


@pytest.mark.parametrize("repeats", [0.0, 0.7])
def test_units_do_what_the_truth_says(repeats):
    """Counted from the records themselves, by hand, within five standard errors."""
    units = 4000
    specs, _, _, truths = setup(catalog(), {("green", "buyers"): 0.3}, repeats=repeats)
    made = traffic(catalog(), {("green", "buyers"): 0.3}, units=units, faults=NONE, repeats=repeats)
    did: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for message in made.messages():
        event = json.loads(message.value)
        if event["type"] == "anabranch.telemetry.v1":
            data = event["data"]
            did[data["name"]][data["userId"]].append(data["properties"].get("amount", 1))
    del specs
    # Both arms together, as the records do not say which is which.
    for metric, event, worth in (
        ("views", "shop.view", len),
        ("buyers", "shop.order", bool),
        ("revenue", "shop.order", sum),
    ):
        totals = [float(worth(values)) for values in did[event].values()]
        totals += [0.0] * (units - len(totals))
        mean = sum(totals) / units
        error = (sum((t - mean) ** 2 for t in totals) / units / units) ** 0.5
        middle = sum(true(truths, metric, arm).expected for arm in ("blue", "green")) / 2
        assert abs(mean - middle) < 5 * error, metric


# -- traffic ----------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_records():
    first, again, other = (list(traffic(catalog(), seed=seed).messages()) for seed in (1, 1, 2))
    assert first == again
    assert first != other
    assert [m.timestamp for m in first] == sorted(m.timestamp for m in first)


def test_without_faults_there_are_none_and_with_them_they_are_counted():
    clean = traffic(catalog(), faults=NONE)
    list(clean.messages())
    assert set(clean.sent) == {"contexts", "telemetry"}
    assert clean.sent["contexts"] == 300
    broken = traffic(catalog(), faults=Faults(0.5, 0.5, 0.5, 0.5, 0.5))
    records = list(broken.messages())
    kinds = {"late", "duplicates", "early", "before exposure", "crossing", "exposures"}
    assert kinds <= set(broken.sent)
    ids = [json.loads(m.value)["id"] for m in records]
    assert len(ids) - len(set(ids)) == broken.sent["duplicates"]


def test_an_experiment_is_simulated_whatever_its_status_and_schedule():
    given = catalog(
        status="draft",
        schedule={"start": "2030-01-01T00:00:00Z"},
        coverage=[{"from": "2030-01-01T00:00:00Z", "share": 0.1}],
    )
    specs, spec = simulated(given, given.experiments.require("shop.button"))
    assert (spec.status, spec.schedule, spec.coverage) == ("running", None, 1)
    assert specs.running() == [spec]
    assert {m.name: m.property for m in spec.success_metrics}["revenue"] == "amount"
