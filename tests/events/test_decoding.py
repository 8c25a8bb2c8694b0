import json

import pytest

from anabranch.errors import EventSchemaError, MalformedEventError
from anabranch.events.decoding import Limits, decode_context, decode_exposure, decode_telemetry
from tests.support.bench import NOW, In

EXPOSURE = {"experiment": "e", "version": 1, "variant": "b", "unit": "user:1"}
TELEMETRY = {"name": "shop.buy", "version": "1", "userId": "1", "properties": {"amount": 2.5}}


def decoded(decode, data):
    value = data if isinstance(data, bytes) else json.dumps(data).encode()
    return decode(In("some", value), now=NOW, limits=Limits())


def test_a_context_needs_nothing_but_an_object():
    event = decoded(decode_context, {})
    assert event.version is None
    assert event.data.experiment is None
    assert event.data.exposure is True
    assert (event.data.attributes, event.data.flags) == ({}, [])


def test_a_whole_event_without_its_header_is_no_context():
    event = {"specversion": "1.0", "id": "1", "source": "s", "type": "anabranch.context.v1"}
    with pytest.raises(MalformedEventError, match="no header says so"):
        decode_context(In("contexts", json.dumps(event).encode()), now=NOW, limits=Limits())


def test_a_context_in_full():
    event = decoded(
        decode_context,
        {
            "experiment": "e",
            "version": 2,
            "userId": "u",
            "organizationId": "o",
            "sessionId": "s",
            "attributes": {"segment": "vip", "nested": {"deep": [1, None]}},
            "flags": ["beta"],
            "exposure": False,
            "somethingOfTheirOwn": 1,
        },
    )
    data = event.data
    assert (data.experiment, event.version, data.version) == ("e", "2.0.0", "2.0.0")
    assert (data.user_id, data.organization_id, data.session_id) == ("u", "o", "s")
    assert data.attributes == {"segment": "vip", "nested": {"deep": [1, None]}}
    assert data.flags == ["beta"]
    assert data.exposure is False


def test_contexts_do_not_share_what_they_leave_out():
    first, second = decoded(decode_context, {}), decoded(decode_context, {})
    first.data.attributes["seen"] = True
    assert second.data.attributes == {}


@pytest.mark.parametrize("version", [1, "1", "1.0", "1.0.0"])
def test_versions_have_one_spelling(version):
    assert decoded(decode_exposure, {**EXPOSURE, "version": version}).version == "1.0.0"
    assert decoded(decode_telemetry, {**TELEMETRY, "version": version}).data.version == "1.0.0"


def test_telemetry_keeps_its_properties():
    event = decoded(decode_telemetry, TELEMETRY)
    assert (event.data.name, event.data.user_id) == ("shop.buy", "1")
    assert event.data.properties == {"amount": 2.5}


def without(data, name):
    return {key: value for key, value in data.items() if key != name}


@pytest.mark.parametrize(
    ("decode", "data", "message"),
    [
        (decode_context, {"userId": 7}, "userId: expected string or null, got integer"),
        (decode_context, {"attributes": []}, "attributes: expected object, got array"),
        (decode_context, {"flags": ["a", 1]}, r"flags\[1\]: expected string, got integer"),
        (decode_context, {"exposure": "no"}, "exposure: expected boolean, got string"),
        (decode_context, {"experiment": "e", "version": True}, "version: .*got boolean"),
        (decode_context, {"experiment": "e", "version": "x"}, "version 'x' is not a semantic"),
        (decode_context, {"version": 1}, "version: .*without an experiment"),
        (decode_context, [], "the event: expected object, got array"),
        (decode_exposure, without(EXPOSURE, "unit"), "unit: is missing"),
        (decode_exposure, {**EXPOSURE, "variant": None}, "variant: expected string, got null"),
        (decode_exposure, {**EXPOSURE, "version": -1}, "version '-1' is not a semantic version"),
        (decode_telemetry, without(TELEMETRY, "name"), "name: is missing"),
        (decode_telemetry, without(TELEMETRY, "version"), "version: is missing"),
        (decode_telemetry, {**TELEMETRY, "properties": 3}, "properties: expected object"),
    ],
)
def test_a_wrong_field_is_named_in_plain_words(decode, data, message):
    with pytest.raises(EventSchemaError, match=message):
        decoded(decode, data)


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"nonsense", b'{"userId": "\xff"}', b'{"a": NaN}', b'{"a":' + b"[" * 100_000],
    ids=["empty", "cut off", "words", "not UTF-8", "not a number", "nested too deeply"],
)
def test_what_is_not_json_is_malformed(value):
    with pytest.raises(MalformedEventError, match="not JSON"):
        decoded(decode_context, value)
