"""Experiments as flags: contexts, reasons, metadata, exposures."""

from __future__ import annotations

import json

import pytest

from anabranch.assignment import Evaluation, ExperimentContext, Plan
from anabranch.errors import EventSchemaError
from anabranch.flags import answer_of, context_of, exposure_event
from anabranch.flags.exposures import DAY
from tests.assignment.specs import experiment

NOW = 1_760_000_000_000


def evaluated(context: ExperimentContext | None = None, **fields) -> tuple:
    spec = experiment(**fields)
    return spec, Plan(spec).evaluate(context or ExperimentContext(user_id="7"), NOW)


# -- contexts ---------------------------------------------------------------------------------


def test_the_targeting_key_is_the_user_and_what_is_left_are_attributes():
    found = context_of({"targetingKey": "7", "country": "de", "flags": ["beta"]}, "a.b")
    assert found == ExperimentContext(
        experiment="a.b", user_id="7", attributes={"country": "de"}, flags=["beta"]
    )


@pytest.mark.parametrize(
    ("given", "unit"),
    [
        ({"targetingKey": "7"}, (None, None, "7")),
        ({"targetingKey": "7", "sessionId": "s"}, (None, None, "s")),
        ({"targetingKey": "7", "userId": "u", "organizationId": "o"}, ("u", "o", "7")),
        ({}, (None, None, None)),
    ],
)
def test_another_identity_may_be_the_targeting_key_and_its_own_name_goes_first(given, unit):
    found = context_of(given, targeting_key="sessionId")
    assert (found.user_id, found.organization_id, found.session_id) == unit


def test_nested_attributes_go_before_others():
    found = context_of({"country": "de", "attributes": {"country": "fr"}, "email": None})
    assert found.attributes == {"country": "fr", "email": None}


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"targetingKey": 7}, "targetingKey must be text"),
        ({"userId": 7}, "user_id must be text"),
        ({"attributes": []}, "attributes must be an object"),
        ({"flags": "beta"}, "flags must be a list of strings"),
        ({"flags": [1]}, "flags must be a list of strings"),
    ],
)
def test_what_is_of_the_wrong_type_is_named(wrong, named):
    with pytest.raises(EventSchemaError, match=named):
        context_of(wrong)


# -- answers ----------------------------------------------------------------------------------

RULE = {"variantId": "treatment", "expression": "context.attributes?.vip === true"}
TARGETED = {"type": "targeted", "rules": [RULE], "fallback": "control"}
VIP = ExperimentContext(user_id="7", attributes={"vip": True})


@pytest.mark.parametrize(
    ("fields", "context", "reason"),
    [
        ({}, None, "SPLIT"),
        ({"allocation": {"type": "sticky", "attribute": "userId"}}, None, "SPLIT"),
        ({"allocation": TARGETED}, VIP, "TARGETING_MATCH"),
        ({"allocation": TARGETED}, None, "DEFAULT"),
        ({"forced": {"user:7": "treatment"}}, None, "TARGETING_MATCH"),
        ({"coverage": 0}, None, "DEFAULT"),
        ({"status": "paused"}, None, "DISABLED"),
        ({"variants": [{"id": "control"}, {"id": "treatment", "weight": 0}]}, None, "STATIC"),
    ],
)
def test_reasons(fields, context, reason):
    answer = answer_of(*evaluated(context, **fields))
    assert answer is not None
    assert answer.reason == reason


def test_a_running_experiment_without_a_unit_has_no_answer_a_paused_one_has_control():
    nobody = ExperimentContext(attributes={"vip": True})
    assert answer_of(*evaluated(nobody)) is None
    answer = answer_of(*evaluated(nobody, status="paused"))
    assert answer is not None
    assert (answer.value, answer.metadata["enrolled"]) == ("control", False)


def test_the_value_is_the_variants_id_or_what_its_metadata_says():
    spec, found = evaluated(
        forced={"user:7": "treatment"},
        variants=[
            {"id": "control"},
            {
                "id": "treatment",
                "metadata": {"value": {"columns": 3}, "colour": "red", "list": [1]},
                "overrides": [{"type": "theme", "target": "shop.dark"}],
            },
        ],
    )
    answer = answer_of(spec, found)
    assert answer is not None
    assert (answer.value, answer.variant) == ({"columns": 3}, "treatment")
    assert answer.metadata == {
        "colour": "red",
        "version": spec.version,
        "digest": spec.digest,
        "overrides": '[{"type":"theme","target":"shop.dark"}]',
        "enrolled": False,
        "unit": "user:7",
        "detail": "forced for quality assurance",
    }


# -- exposures --------------------------------------------------------------------------------


def enrolled(**fields) -> Evaluation:
    return evaluated(**fields)[1]


def test_an_exposure_is_a_cloud_event_keyed_by_unit():
    found = enrolled()
    event = exposure_event(found, NOW)
    assert event is not None
    assert event.key == b"user:7"
    assert json.loads(event.value) == {
        "experiment": found.experiment,
        "version": found.version,
        "variant": found.variant.id,
        "unit": "user:7",
        "reason": "random",
        "digest": found.digest,
    }
    headers = dict(event.headers)
    assert headers["ce_type"] == b"anabranch.exposure.v1"
    assert headers["ce_id"] == event.id.encode()
    assert headers["ce_time"] == b"2025-10-09T08:53:20.000Z"


def test_the_id_is_the_same_throughout_a_period():
    found = enrolled()
    day = NOW // DAY * DAY
    ids = [exposure_event(found, day + at).id for at in (0, 1, DAY - 1, DAY)]
    assert ids[0] == ids[1] == ids[2] != ids[3]


@pytest.mark.parametrize("fields", [{"coverage": 0}, {"status": "paused"}])
def test_who_is_not_enrolled_is_not_exposed(fields):
    assert exposure_event(enrolled(**fields), NOW) is None
