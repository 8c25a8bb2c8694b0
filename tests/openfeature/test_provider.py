"""OpenFeature's evaluation scenarios (its specification, appendix B), in-process.

The flags are those that its test suite has, as experiments of one variant with weight.
"""

from __future__ import annotations

import pytest

pytest.importorskip(
    "openfeature", reason="openfeature-sdk is not installed: pip install '.[openfeature]'"
)

from openfeature import api
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode
from openfeature.flag_evaluation import Reason

from anabranch.openfeature import AnabranchProvider
from anabranch.specs import Catalog, ExperimentSpec
from tests.assignment.specs import experiment

SOMEBODY = EvaluationContext("u1")


def flag(key: str, value: object, **more) -> ExperimentSpec:
    document = experiment(**more).document
    document["meta"]["key"] = key
    if "variants" not in more:
        document["controlVariant"] = "off"
        document["variants"] = [
            {"id": "off", "name": "off", "weight": 0},
            {"id": "on", "name": "on", "weight": 1, "metadata": {"value": value}},
        ]
    return ExperimentSpec.model_validate({k: v for k, v in document.items() if k != "kind"})


TEMPLATE = {"showImages": True, "title": "Check out these pics!", "imagesPerPage": 100}
FLAGS = [
    flag("boolean-flag", True),
    flag("string-flag", "hi"),
    flag("integer-flag", 10),
    flag("float-flag", 0.5),
    flag("object-flag", TEMPLATE),
    flag("wrong-flag", "uno"),
]


@pytest.fixture
def used():
    return []


@pytest.fixture
def client(used):
    def use(found, now, trace, segments) -> None:
        used.append((found.experiment, found.unit, found.variant.id))

    api.set_provider(AnabranchProvider(Catalog.of(FLAGS), use=use), "flags")
    yield api.get_client("flags")
    api.clear_providers()


@pytest.mark.parametrize(
    ("kind", "default", "value"),
    [
        ("boolean", False, True),
        ("string", "bye", "hi"),
        ("integer", 1, 10),
        ("float", 0.1, 0.5),
        ("object", {}, TEMPLATE),
    ],
)
async def test_values_and_details_of_every_type(client, used, kind, default, value):
    key = f"{kind}-flag"
    assert getattr(client, f"get_{kind}_value")(key, default, SOMEBODY) == value
    details = getattr(client, f"get_{kind}_details")(key, default, SOMEBODY)
    assert (details.value, details.variant, details.reason) == (value, "on", Reason.STATIC)
    assert details.flag_metadata["unit"] == "user:u1"
    waited = await getattr(client, f"get_{kind}_details_async")(key, default, SOMEBODY)
    assert waited == details
    assert used == [(key, "user:u1", "on")] * 3


def test_an_integer_where_a_float_is_asked_for(client):
    value = client.get_float_value("integer-flag", 0.1, SOMEBODY)
    assert (value, type(value)) == (10.0, float)


@pytest.mark.parametrize(
    ("key", "kind", "default", "context", "code"),
    [
        ("missing-flag", "string", "uh-oh", SOMEBODY, ErrorCode.FLAG_NOT_FOUND),
        ("wrong-flag", "integer", 13, SOMEBODY, ErrorCode.TYPE_MISMATCH),
        ("boolean-flag", "integer", 13, SOMEBODY, ErrorCode.TYPE_MISMATCH),
        ("string-flag", "string", "bye", EvaluationContext(), ErrorCode.TARGETING_KEY_MISSING),
        (
            "string-flag",
            "string",
            "bye",
            EvaluationContext("u1", {"flags": "all"}),
            ErrorCode.INVALID_CONTEXT,
        ),
    ],
)
def test_what_cannot_be_answered_gives_the_default_and_says_why(
    client, used, key, kind, default, context, code
):
    details = getattr(client, f"get_{kind}_details")(key, default, context)
    assert (details.value, details.reason, details.error_code) == (default, Reason.ERROR, code)
    assert used == []


def test_context_aware(used):
    rule = {"variantId": "internal", "expression": "context.attributes.customer === false"}
    spec = flag(
        "context-aware",
        None,
        variants=[{"id": "external", "name": "e"}, {"id": "internal", "name": "i"}],
        controlVariant="external",
        allocation={"type": "targeted", "rules": [rule], "fallback": "control"},
    )
    api.set_provider(AnabranchProvider(Catalog.of([spec])), "aware")
    try:
        client = api.get_client("aware")
        for customer, variant, reason in (
            (False, "internal", Reason.TARGETING_MATCH),
            (True, "external", Reason.DEFAULT),
        ):
            context = EvaluationContext("u1", {"fn": "Sulisław", "customer": customer})
            details = client.get_string_details("context-aware", "EXTERNAL", context)
            assert (details.value, details.reason) == (variant, reason)
    finally:
        api.clear_providers()
