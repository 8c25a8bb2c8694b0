import json

import pytest

from anabranch.errors import MalformedEventError
from anabranch.events.cloudevents import Limits
from anabranch.events.decoding import decode_exposure
from anabranch.events.files import parse_line
from tests.support.bench import NOW, In

JANUARY = 1_769_860_800_000  # 2026-01-31T12:00:00Z


def line(kind, data, **changes):
    event = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "file",
        "type": f"anabranch.{kind}.v1",
        "time": "2026-01-31T12:00:00Z",
        "data": data,
        **changes,
    }
    return json.dumps(event).encode() + b"\n"


@pytest.mark.parametrize(
    ("kind", "data", "topic", "key"),
    [
        ("exposure", {"unit": "session:9", "userId": "1"}, "exposures", b"session:9"),
        ("telemetry", {"name": "n", "organizationId": "acme"}, "telemetry", b"organization:acme"),
        ("telemetry", {"userId": "", "sessionId": "s"}, "telemetry", b"session:s"),
        ("context", {"organizationId": "o", "sessionId": "s"}, "contexts", b"session:s"),
        ("context", {"userId": "ü", "sessionId": "s"}, "contexts", "user:ü".encode()),
        ("context", {}, "contexts", None),
        ("context", {"userId": 7}, "contexts", None),
        ("context", ["userId"], "contexts", None),
    ],
)
def test_each_type_has_its_topic_and_key(kind, data, topic, key):
    event = parse_line(line(kind, data), "events.jsonl:1")
    assert (event.topic, event.key) == (topic, key)
    assert event.time == JANUARY


def test_the_value_is_the_line_itself_as_the_stage_reads_it():
    data = {"experiment": "e", "version": 1, "variant": "b", "unit": "user:1"}
    text = line("exposure", data)
    event = parse_line(text, "events.jsonl:1")
    assert event.value == text.strip()
    record = In(event.topic, event.value, event.key, event.headers)
    exposure = decode_exposure(record, now=NOW, limits=Limits())
    assert (exposure.id, exposure.time, exposure.data.unit) == ("e-1", JANUARY, "user:1")


def test_a_time_may_be_left_out():
    assert parse_line(line("context", {}, time=None), "f:1").time is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff", "not JSON"),
        (b'{"type": "a", "data": ' + b"[" * 100_000, "not JSON"),
        (b"[]", "not a CloudEvent: the event: expected object, got array"),
        (b'{"id": "1"}', "not a CloudEvent: type: is missing"),
        (line("context", {}, time="noon"), "time: 'noon' is not"),
        (line("order", {}), "type: 'anabranch.order.v1' is none of anabranch.context.v1, "),
    ],
)
def test_what_is_wrong_says_in_which_line(text, message):
    with pytest.raises(MalformedEventError, match=message) as caught:
        parse_line(text, "orders.jsonl:17")
    assert str(caught.value).startswith("orders.jsonl:17: ")
