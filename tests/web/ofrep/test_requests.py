"""Ids and traces of requests: taken, given back, told to the logs and to what comes of them."""

from __future__ import annotations

import logging
from importlib.util import find_spec

import pytest

from anabranch.engine.context import about
from anabranch.runtime.exposures import ExposureQueue
from anabranch.runtime.tracing import Tracing
from anabranch.web.ofrep import Access, Client
from anabranch.web.ofrep.requests import RequestInfo
from tests.web.ofrep.test_api import CONTEXT, FLAGS, KEY, api, post

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"


async def test_an_answer_has_the_id_of_its_request():
    answer = await post(api(), f"{FLAGS}/{KEY}", json=CONTEXT, headers={"x-request-id": "r-1"})
    assert answer.headers["x-request-id"] == "r-1"


async def test_who_sends_no_id_gets_one():
    app = api()
    ids = {(await post(app, path)).headers["x-request-id"] for path in (FLAGS, "/nowhere", FLAGS)}
    assert len(ids) == 3
    assert all(len(one) == 32 for one in ids)


@pytest.mark.parametrize("given", [b"", b"two words", b"x" * 129, "ä".encode(), b"a\nb: c"])
def test_an_id_that_could_not_be_given_back_is_replaced(given):
    assert RequestInfo("POST", "/", [(b"x-request-id", given)]).id != given


async def test_what_goes_wrong_is_logged_with_the_request(caplog):
    found = []

    def broken(*_):
        found.append(about())
        raise RuntimeError("a defect")

    app = api(use=broken, access=Access([Client("shop", "0123456789abcdef")]))
    headers = {
        "x-request-id": "r-1",
        "traceparent": PARENT,
        "authorization": "Bearer 0123456789abcdef",
    }
    assert (await post(app, f"{FLAGS}/{KEY}", json=CONTEXT, headers=headers)).status_code == 500
    assert found == [
        {
            "request_id": "r-1",
            "method": "POST",
            "path": f"{FLAGS}/{KEY}",
            "client": "shop",
            "trace_id": TRACE,
            "span_id": "b7ad6b7169203331",
        }
    ]
    assert about() == {}, "what comes after is about nothing"


async def test_requests_are_logged_on_the_debug_level(caplog):
    with caplog.at_level(logging.DEBUG, "anabranch.web.ofrep.api"):
        await post(api(), f"{FLAGS}/{KEY}", json=CONTEXT, headers={"x-request-id": "r-1"})
    [line] = [r for r in caplog.records if r.name == "anabranch.web.ofrep.api"]
    assert line.getMessage() == f"POST {FLAGS}/{KEY}: 200"
    assert line.request_id == "r-1"


class Delivered:
    def __init__(self) -> None:
        self.headers: list[dict[str, bytes]] = []

    async def deliver(self, events) -> None:
        self.headers += [dict(event.headers) for event in events]

    async def close(self) -> None:
        return


@pytest.mark.parametrize(
    ("sent", "carried"),
    [({"traceparent": PARENT}, PARENT.encode()), ({}, None), ({"traceparent": "nonsense"}, None)],
)
async def test_an_exposure_belongs_to_the_trace_of_its_use(sent, carried):
    delivered = Delivered()
    async with ExposureQueue(delivered) as queue:
        await post(api(use=queue.use), f"{FLAGS}/{KEY}", json=CONTEXT, headers=sent)
    [headers] = delivered.headers
    assert headers.get("traceparent") == carried


# -- spans ------------------------------------------------------------------------------------

with_spans = pytest.mark.skipif(
    find_spec("opentelemetry.sdk") is None, reason="the extra `tracing` is not installed"
)


@pytest.fixture
def spans():
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    exporter.tracer = provider.get_tracer("test")
    return exporter


@with_spans
async def test_a_request_is_a_span_of_the_callers_trace(spans):
    delivered = Delivered()
    async with ExposureQueue(delivered) as queue:
        app = api(use=queue.use, spans=Tracing(spans.tracer).requests())
        headers = {"traceparent": PARENT}
        answer = await post(app, f"{FLAGS}/{KEY}", json=CONTEXT, headers=headers)
    [span] = spans.get_finished_spans()
    assert span.name == "POST /ofrep/v1/evaluate/flags/{key}"
    assert span.kind.name == "SERVER"
    assert f"{span.context.trace_id:032x}" == TRACE
    assert f"{span.parent.span_id:016x}" == "b7ad6b7169203331"
    assert dict(span.attributes) == {
        "http.request.method": "POST",
        "http.route": "/ofrep/v1/evaluate/flags/{key}",
        "http.response.status_code": 200,
    }
    [event] = span.events
    assert event.name == "feature_flag.evaluation"
    assert dict(event.attributes) == {
        "feature_flag.key": KEY,
        "feature_flag.provider.name": "anabranch",
        "feature_flag.result.variant": answer.json()["variant"],
        "feature_flag.result.reason": "split",
        "feature_flag.version": "1.0.0",
    }
    [exposed] = delivered.headers
    assert exposed["traceparent"] == f"00-{TRACE}-{span.context.span_id:016x}-01".encode()


@with_spans
async def test_spans_tell_what_failed_and_health_has_none(spans):
    def broken(*_):
        raise RuntimeError("a defect")

    app = api(use=broken, spans=Tracing(spans.tracer).requests())
    await post(app, "/livez")
    await post(app, f"{FLAGS}/{KEY}", json=CONTEXT)
    await post(app, FLAGS, content=b"{")
    told = [(s.name, s.status.status_code.name) for s in spans.get_finished_spans()]
    assert told == [
        ("POST /ofrep/v1/evaluate/flags/{key}", "ERROR"),
        ("POST /ofrep/v1/evaluate/flags", "UNSET"),
    ]
