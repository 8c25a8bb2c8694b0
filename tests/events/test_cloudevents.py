import json
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import (
    EmptyEventError,
    FutureEventError,
    MalformedEventError,
    OversizedEventError,
)
from anabranch.events.cloudevents import (
    HeaderMaker,
    Limits,
    format_time,
    open_envelope,
    parse_time,
    time_header,
)
from tests.support.bench import NOW, In

KIND = "anabranch.context.v1"
DATA = b'{"userId": "1"}'
JANUARY = 1_769_860_800_000  # 2026-01-31T12:00:00Z

BINARY = {
    "ce_specversion": b"1.0",
    "ce_id": b"e-1",
    "ce_source": b"shop",
    "ce_type": KIND.encode(),
    "ce_time": b"2026-01-31T12:00:00Z",
    "content-type": b"application/json",
}
STRUCTURED = {
    "specversion": "1.0",
    "id": "e-1",
    "source": "shop",
    "type": KIND,
    "time": "2026-01-31T12:00:00Z",
    "data": {"userId": "1"},
}
CLOUDEVENT = b"application/cloudevents+json"


def binary(value=DATA, **changes):
    """A record in binary mode; a header that is changed to ... is left out."""
    headers = {**BINARY, **changes}
    return In("contexts", value, headers=[(k, v) for k, v in headers.items() if v is not ...])


def structured(content_type=CLOUDEVENT, **changes):
    """A record in structured mode; an attribute that is changed to ... is left out."""
    event = {k: v for k, v in {**STRUCTURED, **changes}.items() if v is not ...}
    return In("contexts", json.dumps(event).encode(), headers=[("content-type", content_type)])


def opened(record, now=NOW, **limits):
    return open_envelope(record, KIND, now=now, limits=Limits(**limits))


# -- modes ------------------------------------------------------------------------------------


def test_binary_mode_has_its_attributes_in_headers():
    event = opened(binary())
    assert (event.id, event.source, event.time) == ("e-1", "shop", JANUARY)
    assert event.data == DATA


@pytest.mark.parametrize(
    "content_type",
    [
        CLOUDEVENT,
        b"application/cloudevents+json; charset=UTF-8",
        b"Application/CloudEvents+JSON",
    ],
)
def test_structured_mode_has_its_attributes_beside_the_data(content_type):
    event = opened(structured(content_type))
    assert (event.id, event.source, event.time) == ("e-1", "shop", JANUARY)
    assert json.loads(bytes(event.data)) == {"userId": "1"}


def test_structured_data_may_be_base64():
    event = opened(structured(data=..., data_base64="eyJ1c2VySWQiOiAiMSJ9"))
    assert event.data == DATA


def test_bare_data_is_identified_by_where_it_lies():
    record = In("contexts", DATA, headers=[("traceparent", b"00-1-2-00")], timestamp=NOW - 7)
    record.partition, record.offset = 3, 41
    event = opened(record)
    assert (event.id, event.source, event.time) == ("contexts/3/41", "kafka", NOW - 7)
    assert event.data == DATA


@pytest.mark.parametrize("headers", [[], [("content-type", b"application/json")]])
def test_a_whole_event_must_be_told_to_be_one(headers):
    record = structured()
    record.headers = headers
    with pytest.raises(MalformedEventError, match="content-type: application/cloudevents"):
        opened(record)


@pytest.mark.parametrize(
    "value",
    [
        b'{"userId": "1", "attributes": {"specversion": "1.0"}}',
        json.dumps({**STRUCTURED, "type": "of another kind"}).encode(),
        b'{"specversion"',
    ],
)
def test_what_only_looks_like_a_whole_event_is_bare_data(value):
    assert opened(In("contexts", value)).data == value


def test_the_content_type_decides_between_structured_and_binary_mode():
    record = structured(id="structured")
    record.headers = [*binary().headers[:-1], *record.headers]
    assert opened(record).id == "structured"


@pytest.mark.parametrize("record", [binary(ce_time=...), structured(time=...)])
def test_an_event_without_a_time_has_that_of_its_record(record):
    record.timestamp = 1_234
    assert opened(record).time == 1_234


def test_an_event_with_a_time_does_not_look_at_its_record():
    record = binary()
    record.timestamp = NOW * 2
    assert opened(record).time == JANUARY


# -- what is refused --------------------------------------------------------------------------


def test_a_null_value_is_empty():
    with pytest.raises(EmptyEventError, match="the value is null"):
        opened(In("contexts", None))


def test_the_largest_event_is_one_mebibyte_by_default():
    limit = 1 << 20
    opened(In("contexts", b" " * limit))
    with pytest.raises(OversizedEventError, match=r"1,048,577 bytes, and 1,048,576 is the limit"):
        opened(In("contexts", b" " * (limit + 1)))


@pytest.mark.parametrize("name", ["ce_specversion", "ce_id", "ce_source", "ce_type"])
@pytest.mark.parametrize(("value", "why"), [(..., "missing"), (b"", "empty"), (None, "empty")])
def test_binary_mode_needs_its_headers(name, value, why):
    with pytest.raises(MalformedEventError, match=f"header {name}: is {why}"):
        opened(binary(**{name: value}))


def test_any_ce_header_makes_it_binary_mode():
    record = In("contexts", DATA, headers=[("ce_time", b"2026-01-31T12:00:00Z")])
    with pytest.raises(MalformedEventError, match="header ce_specversion: is missing"):
        opened(record)


@pytest.mark.parametrize("name", ["specversion", "id", "source", "type"])
def test_structured_mode_needs_its_attributes(name):
    with pytest.raises(MalformedEventError, match=f"{name}: is missing"):
        opened(structured(**{name: ...}))


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (binary(ce_specversion=b"0.3"), r"specversion: '0\.3' is not 1\.x"),
        (structured(specversion="2.0"), r"specversion: '2\.0' is not 1\.x"),
        (binary(ce_type=b"anabranch.exposure.v1"), "type: 'anabranch.exposure.v1' does not belong"),
        (structured(type="other"), f"type: 'other' does not belong .*it takes {KIND}"),
        (structured(id=""), "id: is empty"),
        (structured(source=""), "source: is empty"),
        (structured(id=7), "id: expected string, got integer"),
        (structured(data=...), "data: is missing"),
        (binary(ce_id=b"\xff"), "one is not UTF-8"),
        (binary(ce_time=b"yesterday"), "time: 'yesterday' is not an RFC 3339 time"),
        (structured(time="2026-01-31T12:00:00"), "with an offset"),
        (structured(b"application/cloudevents-batch+json"), "content-type: .*batch.* is not taken"),
        (structured(b"application/cloudevents+avro"), "content-type: .*avro.* is not taken"),
    ],
)
def test_what_is_no_event_of_the_topic_says_why(record, message):
    with pytest.raises(MalformedEventError, match=message):
        opened(record)


@pytest.mark.parametrize(
    "value",
    [b"", b"{", b"\xff\xfe", b'{"id": "\\ud800"}', b'{"data": ' + b"[" * 100_000],
    ids=["empty", "cut off", "not UTF-8", "half a surrogate pair", "nested too deeply"],
)
def test_structured_mode_must_be_json(value):
    record = In("contexts", value, headers=[("content-type", CLOUDEVENT)])
    with pytest.raises(MalformedEventError, match="not JSON"):
        opened(record)


def test_an_array_is_no_event():
    record = In("contexts", b"[]", headers=[("content-type", CLOUDEVENT)])
    with pytest.raises(MalformedEventError, match="the event: expected object, got array"):
        opened(record)


def test_events_may_be_a_little_ahead_of_the_clock():
    five_minutes = 300_000
    assert opened(binary(), now=JANUARY - five_minutes).time == JANUARY
    with pytest.raises(FutureEventError, match=r"2026-01-31T12:00:00.000Z lies more than 300 s"):
        opened(binary(), now=JANUARY - five_minutes - 1)
    with pytest.raises(FutureEventError, match="more than 1 s ahead"):
        opened(binary(), now=JANUARY - 2_000, future_tolerance_ms=1_000)


# -- times ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("2026-01-31T12:00:00Z", JANUARY),
        ("2026-01-31T13:00:00+01:00", JANUARY),
        ("2026-01-31T06:30:00-05:30", JANUARY),
        ("2026-01-31t12:00:00z", JANUARY),
        ("2026-01-31 12:00:00Z", JANUARY),
        ("2026-01-31T12:00:00.5Z", JANUARY + 500),
        ("2026-01-31T11:59:59.999999999Z", JANUARY - 1),
        ("1969-12-31T23:59:59.9999Z", -1),
    ],
)
def test_times_are_read_to_the_millisecond_below(text, ms):
    assert parse_time(text) == ms


@pytest.mark.parametrize(
    "text", ["", "now", "2026-01-31", "12:00:00Z", "2026-01-31T12:00:00", "2026-02-30T12:00:00Z"]
)
def test_a_time_without_date_or_offset_is_none(text):
    with pytest.raises(MalformedEventError, match="is not an RFC 3339 time with an offset"):
        parse_time(text)


@given(st.integers(-62_135_596_800_000, 253_402_300_799_999))
def test_times_are_written_in_utc_to_the_millisecond(ms):
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)
    expected = moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert format_time(ms) == expected
    assert parse_time(format_time(ms)) == ms


@pytest.mark.parametrize("ms", [-62_135_596_800_001, 253_402_300_800_000, 1 << 63])
def test_a_time_beyond_the_calendar_can_still_be_told(ms):
    assert format_time(ms).startswith(f"{ms // 1000} s.")


# -- out --------------------------------------------------------------------------------------


def test_outputs_are_cloud_events_in_binary_mode_that_can_be_read_back():
    headers = HeaderMaker(KIND, "anabranch/assign").make(b"a-1", time_header(JANUARY + 7))
    assert dict(headers) == {
        "content-type": b"application/json",
        "ce_specversion": b"1.0",
        "ce_type": b"anabranch.context.v1",
        "ce_source": b"anabranch/assign",
        "ce_id": b"a-1",
        "ce_time": b"2026-01-31T12:00:00.007Z",
    }
    event = opened(In("contexts", DATA, headers=headers))
    assert (event.id, event.source, event.time) == ("a-1", "anabranch/assign", JANUARY + 7)
