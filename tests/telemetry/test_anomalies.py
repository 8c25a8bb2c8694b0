import pytest

from anabranch.specs import Catalog
from anabranch.telemetry import Anomaly, TelemetryPlans, compile_event
from tests.telemetry.examples import event, telemetry


def detection(*thresholds, **changes):
    return {"enabled": True, "thresholds": list(thresholds), **changes}


BOUNDED = event(
    {"value": "number"}, anomalyDetection=detection({"metric": "value", "min": 0, "max": 10})
)


@pytest.mark.parametrize("value", [0, 10, 5.5])
def test_bounds_are_allowed_themselves(value):
    plan = compile_event(BOUNDED)
    assert plan.anomalies(plan.apply({"value": value})[0]) == []


@pytest.mark.parametrize("value", [-1, 10.01])
def test_a_value_out_of_bounds_is_an_anomaly(value):
    plan = compile_event(BOUNDED)
    assert plan.anomalies({"value": value}) == [Anomaly("value", value, 0, 10)]
    assert plan.actions == ("alert",)


@pytest.mark.parametrize(
    ("threshold", "value", "count"),
    [({"min": 3}, 1e9, 0), ({"min": 3}, 2, 1), ({"max": 3}, -1e9, 0), ({"max": 3}, 4, 1)],
)
def test_one_bound_is_enough(threshold, value, count):
    declared = event(
        {"value": "number"}, anomalyDetection=detection({"metric": "value", **threshold})
    )
    assert len(compile_event(declared).anomalies({"value": value})) == count


def test_an_absent_value_is_no_anomaly():
    assert compile_event(BOUNDED).anomalies({}) == []


def test_detection_that_is_off_says_nothing():
    off = event(
        {"value": "number"},
        anomalyDetection=detection({"metric": "value", "max": 1}, enabled=False),
    )
    assert compile_event(off).anomalies({"value": 2}) == []
    assert compile_event(off).actions == ()


def test_the_specs_detection_holds_for_events_without_their_own():
    shared = detection({"metric": "value", "max": 1}, actions=["log"])
    plain = event({"value": "number"})
    other = event({"size": "number"}, key="other")
    masked = event({"value": {"type": "number", "pii": True}}, key="masked")
    own = BOUNDED.model_copy(update={"key": "own"})
    spec = telemetry(plain, other, masked, own, anomalyDetection=shared)
    plans = TelemetryPlans(Catalog.of([spec]).telemetry)
    assert plans.get("order", 1).anomalies({"value": 5}) == [Anomaly("value", 5, None, 1)]
    assert plans.get("order", 1).actions == ("log",)
    assert plans.get("other", 1).anomalies({"size": 5}) == []
    assert plans.get("masked", 1).anomalies({"value": 0}) == []
    assert plans.get("own", 1).anomalies({"value": 5}) == []


def test_plans_are_found_in_any_spelling_of_the_version():
    plans = TelemetryPlans(Catalog.of([telemetry(BOUNDED, defaultSamplingRate=0.5)]).telemetry)
    found = {plans.get("order", spelling) for spelling in (1, "1", "1.0", "1.0.0", " 1 ")}
    assert len(found) == 1
    assert found.pop().rate == 0.5
    assert plans.get("order", 2) is None
    assert plans.get("order", "x") is None
