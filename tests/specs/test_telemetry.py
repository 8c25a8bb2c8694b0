import pytest

from anabranch.errors import SpecValidationError
from anabranch.specs import TelemetrySpec


def telemetry(config=None, **event):
    event = {"name": "order", "version": 1, **event}
    return TelemetrySpec.model_validate(
        {"meta": {"name": "shop", "version": 1}, "events": [event], "config": config or {}}
    )


VALUE = {"value": {"type": "number"}}


def detection(**changes):
    return {"enabled": True, "thresholds": [{"metric": "value", "max": 9}], **changes}


def test_an_event_as_the_older_and_the_newer_form_write_it():
    older = telemetry(properties=VALUE)
    newer = TelemetrySpec.model_validate(
        {
            "meta": {"key": "shop", "version": "1.0.0"},
            "events": [{"key": "order", "version": "1.0.0", "properties": VALUE}],
        }
    )
    assert older == newer
    assert older.digest == newer.digest


@pytest.mark.parametrize(
    ("event", "expected"),
    [
        (
            {"sampling": {"rate": 0.5, "conditions": ["x"]}},
            "events[0].sampling.conditions: is not supported yet: sample by rate alone",
        ),
        ({"sampling": {"rate": 2}}, "events[0].sampling.rate: must lie between 0 and 1"),
        (
            {"properties": VALUE, "anomalyDetection": detection(minimumSample=-1)},
            "events[0].anomalyDetection.minimumSample: ",
        ),
        ({"errorBudget": 1.5}, "events[0].errorBudget: must lie between 0 and 1"),
        (
            {"properties": {"value": {"type": "string"}}, "anomalyDetection": detection()},
            "events[0].anomalyDetection.thresholds[0].metric: 'value' is no numeric property",
        ),
        (
            {
                "properties": {"value": {"type": "number", "pii": True}},
                "anomalyDetection": detection(),
            },
            "'value' is no numeric property of the event that is not masked",
        ),
        (
            {
                "properties": VALUE,
                "anomalyDetection": detection(thresholds=[{"metric": "value"}]),
            },
            "events[0].anomalyDetection.thresholds[0]: bounds nothing: give min, max or both",
        ),
        (
            {
                "properties": VALUE,
                "anomalyDetection": detection(thresholds=[{"metric": "value", "min": 2, "max": 1}]),
            },
            "thresholds[0].min: 2 is above max, 1: exchange them",
        ),
        (
            {"properties": {"e_mail": {"type": "text"}}},
            "events[0].properties.e_mail.type: input should be 'string', 'number'",
        ),
        (
            {"properties": {"e_mail": {"type": "string", "PII": True}}},
            "events[0].properties.e_mail.PII: unknown field",
        ),
        ({"retention": {"days": -1}}, "events[0].retention.days: input should be greater"),
        ({"privacy": "secret"}, "events[0].privacy: input should be 'public'"),
        (
            {"config": {"anomalyDetection": detection()}, "properties": {}},
            "config.anomalyDetection.thresholds[0].metric: no event has a numeric property 'value'",
        ),
    ],
)
def test_what_could_not_be_honoured_is_refused(event, expected):
    with pytest.raises(SpecValidationError) as caught:
        telemetry(**event)
    assert expected in str(caught.value)
    assert str(caught.value).startswith("Telemetry shop 1: ")


def test_an_event_and_version_are_declared_once():
    with pytest.raises(SpecValidationError, match=r"events: order 1\.0\.0 is declared twice"):
        TelemetrySpec.model_validate(
            {
                "meta": {"key": "shop", "version": 1},
                "events": [{"key": "order", "version": 1}, {"key": "order", "version": "1.0"}],
            }
        )


def test_a_detection_may_wait_for_a_sample():
    found = telemetry(properties=VALUE, anomalyDetection=detection(minimumSample=100))
    assert found.events[0].anomaly_detection.minimum_sample == 100
