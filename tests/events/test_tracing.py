import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.events.tracing import trace_of, traced

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
STATE = b"vendor=1,other=a b"


def test_the_headers_of_a_trace_are_carried_as_they_came():
    found = {"ce_id": b"1", "traceparent": PARENT, "tracestate": STATE}
    assert trace_of(found) == (("traceparent", PARENT), ("tracestate", STATE))


def test_an_event_may_bring_its_trace_itself():
    assert trace_of({"ce_traceparent": PARENT}) == (("traceparent", PARENT),)
    assert trace_of({"ce_traceparent": PARENT, "ce_tracestate": STATE}) == traced(PARENT, STATE)


def test_the_last_senders_headers_come_before_the_events():
    other = PARENT.replace(b"b7ad", b"0001")
    assert trace_of({"ce_traceparent": PARENT, "traceparent": other}) == traced(other)


def test_without_a_trace_there_is_nothing_to_carry():
    assert trace_of({"ce_id": b"1", "tracestate": STATE}) == ()


@pytest.mark.parametrize(
    "parent",
    [
        b"",
        b"00",
        PARENT.upper(),
        PARENT[:-1],
        PARENT + b"-more",
        PARENT + b"\n",
        PARENT.replace(b"00-0a", b"ff-0a"),
        b"00-" + b"0" * 32 + PARENT[35:],
        PARENT[:36] + b"0" * 16 + PARENT[52:],
        b"01" + PARENT[2:] + b"-" + b"x" * 300,
    ],
)
def test_what_is_not_of_the_standards_form_is_left_out(parent):
    assert traced(parent) == ()


def test_later_versions_of_the_standard_may_say_more():
    assert traced(b"01" + PARENT[2:] + b"-more")


@pytest.mark.parametrize("state", [b"", b"x" * 513, b"a=1\nb", "ä=1".encode()])
def test_a_trace_goes_on_without_a_state_that_cannot_be(state):
    assert traced(PARENT, state) == (("traceparent", PARENT),)


@given(st.binary(max_size=80) | st.from_regex(re.compile(rb"[0-9a-f]{2}(-[0-9a-f]*){3}")))
def test_nothing_comes_out_that_is_no_trace(parent):
    for name, value in traced(parent):
        assert name == "traceparent"
        version, trace, span, flags = value.split(b"-")[:4]
        assert (len(version), len(trace), len(span), len(flags)) == (2, 32, 16, 2)
        assert int(trace, 16)
        assert int(span, 16)
