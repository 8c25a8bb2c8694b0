"""From a context to its assignment, in one trace, on both runtimes."""

from __future__ import annotations

import asyncio
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib.util import find_spec

import pytest

from anabranch.engine import Stage
from anabranch.errors import MalformedEventError, SettingsError
from anabranch.runtime.pipeline import Message
from anabranch.runtime.tracing import Tracing, tracing, wanted_exporter
from anabranch.settings import load_settings
from anabranch.specs import Catalog, ExperimentSpec
from tests.support.clusters import EmbeddedCluster, drained, eventually
from tests.support.pipelines import running

if find_spec("opentelemetry.sdk") is None:
    pytest.skip("the extra `tracing` is not installed", allow_module_level=True)

from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import ALWAYS_OFF
from opentelemetry.trace import SpanKind, StatusCode

TRACE = "0af7651916cd43dd8448eb211c80319c"
SENDER = "b7ad6b7169203331"
UNSAMPLED = f"00-{TRACE}-{SENDER}-00".encode()


def sampled(number: int = 1) -> list[tuple[str, bytes]]:
    return [("traceparent", f"00-{number:032x}-{SENDER}-01".encode()), ("tracestate", b"v=1")]


class Collected:
    """A tracer whose spans stay here."""

    def __init__(self, **settings) -> None:
        self._exporter = InMemorySpanExporter()
        provider = TracerProvider(**settings)
        provider.add_span_processor(SimpleSpanProcessor(self._exporter))
        self.tracer = provider.get_tracer("test")

    @property
    def batches(self):
        """Roots, once they have ended; a batch's own ends last."""
        return [s for s in self._exporter.get_finished_spans() if s.parent is None]

    def linked(self) -> set[str]:
        """Names of batches that have traces."""
        return {batch.name for batch in self.batches if batch.links}

    @property
    def own(self):
        return [s for s in self._exporter.get_finished_spans() if s.parent is not None]


def header(record, name="traceparent") -> str | None:
    return next((value.decode() for key, value in record.headers if key == name), None)


CHECKOUT = ExperimentSpec.model_validate(
    {
        "meta": {"key": "shop.checkout", "version": 1},
        "controlVariant": "control",
        "variants": [{"id": "control"}, {"id": "short"}],
        "allocation": {"type": "random"},
    }
)


@pytest.fixture(params=["embedded", "kafka"])
async def spans(request):
    spans = Collected()
    traces = Tracing(spans.tracer)
    async with running(request, Catalog.of([CHECKOUT]), tracing=traces, partitions=1) as pipeline:
        spans.pipeline = pipeline
        yield spans


async def test_an_assignment_belongs_to_the_trace_of_its_context(spans):
    pipeline = spans.pipeline
    now = int(time.time() * 1000)
    await pipeline.publish(
        [
            Message("contexts", None, b'{"userId": "ada"}', sampled(), now),
            Message("contexts", None, b'{"userId": "bob"}', [], now),
        ]
    )
    await pipeline.drain()
    # A batch is there as soon as it is committed, its spans a moment later.
    await eventually(lambda: {"process contexts", "process exposures"} <= spans.linked())
    assignments = {r.key.split(b"|")[0]: r for r in await pipeline.records("assignments")}
    exposures = {r.key: r for r in await pipeline.records("exposures")}

    [of_record] = [s for s in spans.own if s.name == "process contexts"]
    assert of_record.kind is SpanKind.CONSUMER
    assert f"{of_record.context.trace_id:032x}" == f"{1:032x}"
    assert f"{of_record.parent.span_id:016x}" == SENDER
    expected = f"00-{1:032x}-{of_record.context.span_id:016x}-01"
    for record in (assignments[b"user:ada"], exposures[b"user:ada"]):
        assert header(record) == expected
        assert header(record, "tracestate") == "v=1"
    assert header(assignments[b"user:bob"]) is None
    assert header(exposures[b"user:bob"]) is None

    [batch] = [s for s in spans.batches if s.name == "process contexts" and s.links]
    assert batch.kind is SpanKind.CONSUMER
    assert [f"{link.context.span_id:016x}" for link in batch.links] == [SENDER]
    assert batch.attributes["messaging.destination.name"].endswith(".contexts.v1")
    assert batch.attributes["messaging.consumer.group.name"].endswith("-assign")
    assert batch.attributes["anabranch.outcome"] == "committed"
    [back] = of_record.links
    assert back.context.span_id == batch.context.span_id

    # The next stage goes on where this one left the trace.
    [attributed] = [s for s in spans.own if s.name == "process exposures"]
    assert attributed.parent.span_id == of_record.context.span_id
    assert attributed.context.trace_id == of_record.context.trace_id


# -- what a batch costs, and what becomes of it -----------------------------------------------


async def processed(processor, messages, spans, *, most=128, **stage_settings):
    """A stage that copies ``in`` to ``out``, run over the messages; its cluster."""
    cluster = EmbeddedCluster()
    await cluster.create({"in": 1, "out": 1, "in.dlq": 1})
    await cluster.produce("in", messages)
    made = Tracing(spans.tracer, most=most).spans(load_settings(prefix="t"))
    stage = Stage("copy", ("in",), ("out",), processor, spans=made, **stage_settings)
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()
    return cluster


class Copy:
    def process(self, batch, state, cache, out) -> None:
        for record in batch.sources["in"]:
            if record.value == b"bad":
                raise ValueError("it says so itself")
            out.send("out", record.key, record.value, record.headers, record.timestamp)


async def test_no_more_than_so_many_records_of_a_batch_have_spans():
    spans = Collected()
    messages = [(b"k", b"%d" % n, sampled(n + 1)) for n in range(10)]
    cluster = await processed(Copy, messages, spans, most=3)
    assert [len(batch.links) for batch in spans.batches] == [3]
    assert len(spans.own) == 3
    sent = [header(record) for record in await cluster.read("out")]
    assert [parent[3:35] for parent in sent] == [f"{n + 1:032x}" for n in range(10)]
    assert [parent[36:52] == SENDER for parent in sent] == [False] * 3 + [True] * 7


async def test_what_the_sender_does_not_sample_goes_on_as_it_came():
    spans = Collected()
    messages = [
        (b"k", b"1", [("traceparent", UNSAMPLED)]),
        (b"k", b"2", [("traceparent", b"nonsense")]),
        (b"k", b"3"),
    ]
    cluster = await processed(Copy, messages, spans)
    assert not spans.own
    assert [list(r.headers) for r in await cluster.read("out")] == [
        [("traceparent", UNSAMPLED)],
        [("traceparent", b"nonsense")],
        [],
    ]
    [batch] = spans.batches
    assert batch.attributes["messaging.batch.message_count"] == 3


async def test_a_sampler_that_wants_nothing_leaves_traces_alone():
    spans = Collected(sampler=ALWAYS_OFF)
    cluster = await processed(Copy, [(b"k", b"1", sampled())], spans)
    assert not spans.batches
    assert [list(r.headers) for r in await cluster.read("out")] == [sampled()]


async def test_a_record_that_raises_is_told_by_its_spans_and_put_away_untouched():
    spans = Collected()
    messages = [(b"k", b"good", sampled(1)), (b"k", b"bad", sampled(2))]
    cluster = await processed(Copy, messages, spans)
    failed = [s for s in spans.batches if s.attributes["anabranch.outcome"] == "failed"]
    assert failed
    for span in failed:
        assert span.status.status_code is StatusCode.ERROR
        assert span.attributes["error.type"] == "ValueError"
    assert all(s.end_time for s in spans.own)
    [dead] = await cluster.read("in.dlq")
    assert list(dead.headers)[:2] == sampled(2)


async def test_a_dead_letter_is_told_by_the_span_of_its_record_alone():
    class Check:
        def process(self, batch, state, cache, out) -> None:
            for record in batch.sources["in"]:
                if record.value == b"invalid":
                    out.dead_letter(record, MalformedEventError("value: it says so itself"))

    spans = Collected()
    messages = [(b"k", b"good", sampled(1)), (b"k", b"invalid", sampled(2))]
    cluster = await processed(Check, messages, spans)
    [batch] = spans.batches
    assert batch.status.status_code is StatusCode.UNSET
    assert batch.attributes["anabranch.dead_letters"] == 1
    told = {s.context.trace_id: s for s in spans.own}
    assert told[1].attributes["anabranch.outcome"] == "committed"
    assert told[2].attributes["anabranch.outcome"] == "dead letter"
    assert told[2].attributes["error.type"] == "MalformedEventError"
    assert told[2].status.description == "value: it says so itself"
    [dead] = await cluster.read("in.dlq")
    assert list(dead.headers)[:2] == sampled(2), "as it came"


async def test_spans_of_a_batch_know_the_group_the_partition_and_the_offset():
    spans = Collected()
    await processed(Copy, [(b"k", b"1", []), (b"k", b"2", sampled())], spans)
    [own] = spans.own
    assert dict(own.attributes) == {
        "messaging.system": "anabranch",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": "t.in",
        "messaging.destination.partition.id": "0",
        "messaging.consumer.group.name": "t-copy",
        "messaging.kafka.offset": 1,
        "anabranch.stage": "copy",
        "anabranch.outcome": "committed",
    }
    assert "k" not in str(own.attributes.values()).split(), "keys are names of people"


# -- whether there are any --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("environ", "wanted"),
    [
        ({}, None),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:4318"}, "otlp"),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://127.0.0.1:4318/v1/traces"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, "otlp"),
        ({"OTEL_TRACES_EXPORTER": "console"}, "console"),
        ({"OTEL_TRACES_EXPORTER": "none", "OTEL_EXPORTER_OTLP_ENDPOINT": "http://x"}, None),
        ({"OTEL_SDK_DISABLED": "true", "OTEL_TRACES_EXPORTER": "otlp"}, None),
    ],
)
def test_the_standard_variables_say_whether_spans_go_out(environ, wanted):
    assert wanted_exporter(environ) == wanted


@pytest.mark.parametrize(
    ("environ", "message"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin': choose"),
        (
            {"OTEL_TRACES_EXPORTER": "otlp", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "set it to http/protobuf",
        ),
    ],
)
def test_what_there_is_not_is_told(environ, message):
    with pytest.raises(SettingsError, match=message):
        wanted_exporter(environ)


async def test_without_the_variables_nothing_is_made(monkeypatch):
    for name in ("OTEL_TRACES_EXPORTER", "OTEL_EXPORTER_OTLP_ENDPOINT"):
        monkeypatch.delenv(name, raising=False)
    async with tracing("test") as off:
        assert off.tracer is None


async def test_the_console_gets_the_spans_at_the_end(monkeypatch, capsys):
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop")
    async with tracing("test") as on:
        with on.tracer.start_as_current_span("hello"):
            await asyncio.sleep(0)
    told = capsys.readouterr().err
    assert '"name": "hello"' in told
    assert '"service.name": "shop"' in told


async def test_a_collector_gets_the_spans(monkeypatch):
    got: list[tuple[str, bytes]] = []

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            got.append((self.path, body))
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with HTTPServer(("127.0.0.1", 0), Collector) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            monkeypatch.delenv("OTEL_TRACES_EXPORTER", raising=False)
            monkeypatch.delenv("OTEL_SERVICE_NAME", raising=False)
            monkeypatch.setenv(
                "OTEL_EXPORTER_OTLP_ENDPOINT", f"http://127.0.0.1:{server.server_port}"
            )
            for name in ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_COMPRESSION"):
                monkeypatch.delenv(name, raising=False)
            for name in ("NO_PROXY", "no_proxy"):
                monkeypatch.setenv(name, "127.0.0.1")
            async with tracing("anabranch-worker") as on:
                on.tracer.start_span("process contexts").end()
        finally:
            server.shutdown()
            thread.join()
    [(path, body)] = got
    assert path == "/v1/traces"
    assert b"anabranch-worker" in body
    assert b"process contexts" in body
