"""What comes of a record belongs to its trace: plain headers, whoever makes spans of them."""

import json

import pytest

from anabranch.assignment import ExperimentEvaluator
from anabranch.processors.assign import AssignProcessor
from anabranch.processors.gate import GateProcessor
from anabranch.specs import Catalog, ExperimentSpec, TelemetrySpec
from tests.support.bench import Bench, In

PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
TRACE = [("traceparent", PARENT), ("tracestate", b"vendor=1")]


def experiment(**changes):
    spec = {
        "meta": {"key": "shop.checkout", "version": 1},
        "controlVariant": "control",
        "variants": [{"id": "control"}, {"id": "short"}],
        "allocation": {"type": "random"},
        **changes,
    }
    return ExperimentSpec.model_validate(spec)


TELEMETRY = TelemetrySpec.model_validate(
    {
        "meta": {"key": "shop", "version": 1},
        "events": [
            {
                "key": "shop.buy",
                "version": 1,
                "properties": {"amount": {"type": "number"}},
                "anomalyDetection": {
                    "enabled": True,
                    "thresholds": [{"metric": "amount", "max": 1}],
                    "actions": ["alert"],
                },
            }
        ],
    }
)


def assigning(**changes):
    catalog = Catalog.of([experiment(**changes)])
    processor = AssignProcessor(catalog, ExperimentEvaluator(catalog.experiments))
    return Bench(processor, "claims", "contexts")


def trace_of(record):
    return [(n, v) for n, v in record.headers if n.startswith("trace")]


def event(kind, data, mode):
    if mode == "bare":
        return json.dumps(data).encode(), TRACE
    attributes = {"specversion": "1.0", "id": "e-1", "source": "shop", "type": kind}
    if mode == "binary":
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        return json.dumps(data).encode(), [*headers, *TRACE]
    if mode == "extension":
        headers = [(f"ce_{name}", value.encode()) for name, value in attributes.items()]
        return json.dumps(data).encode(), [*headers, *((f"ce_{n}", v) for n, v in TRACE)]
    whole = {**attributes, **{n: v.decode() for n, v in TRACE}, "data": data}
    return json.dumps(whole).encode(), [("content-type", b"application/cloudevents+json")]


MODES = pytest.mark.parametrize("mode", ["bare", "binary", "extension", "structured"])


@MODES
async def test_assignment_and_exposure_belong_to_the_contexts_trace(mode):
    value, headers = event("anabranch.context.v1", {"userId": "ada"}, mode)
    out = await assigning().run(In("contexts", value, headers=headers))
    assert [trace_of(r) for r in out.of("assignments") + out.of("exposures")] == [TRACE, TRACE]


async def test_contexts_of_one_batch_keep_apart():
    traced = In("contexts", b'{"userId": "ada"}', headers=TRACE)
    out = await assigning().run(traced, In("contexts", b'{"userId": "bob"}'))
    assert [trace_of(r) for r in out.of("assignments")] == [TRACE, []]


async def test_a_claim_carries_the_trace_through_all_its_steps():
    bench = assigning(keep="person")
    out = await bench.run(In("contexts", b'{"userId": "ada", "sessionId": "s"}', headers=TRACE))
    steps = []
    while out.of("claims"):
        claims = out.of("claims")
        steps += [claim.json["step"] for claim in claims]
        assert all(trace_of(claim) == TRACE for claim in claims)
        out = await bench.run(*(In("claims", c.value, c.key, c.headers) for c in claims))
        assert all(trace_of(r) == TRACE for r in out.records)
    assert steps == ["look", "settle", "note"]


@MODES
async def test_observations_and_anomalies_belong_to_the_events_trace(mode):
    data = {"name": "shop.buy", "version": 1, "userId": "ada", "properties": {"amount": 5}}
    value, headers = event("anabranch.telemetry.v1", data, mode)
    catalog = Catalog.of([experiment(), TELEMETRY])
    out = await Bench(GateProcessor(catalog), "telemetry").run(
        In("telemetry", value, headers=headers)
    )
    told = [r for r in out.records if r.topic != "telemetry-counts"]
    assert [(r.topic, trace_of(r)) for r in told] == [
        ("alerts", TRACE),
        ("observations", TRACE),
    ]


@pytest.mark.parametrize("parent", [7, None, "nonsense"])
async def test_a_trace_is_no_reason_to_refuse_an_event(parent):
    whole = {
        "specversion": "1.0",
        "id": "e-1",
        "source": "shop",
        "type": "anabranch.context.v1",
        "traceparent": parent,
        "tracestate": ["x"],
        "data": {"userId": "ada"},
    }
    headers = [("content-type", b"application/cloudevents+json")]
    out = await assigning().run(In("contexts", json.dumps(whole).encode(), headers=headers))
    assert not out.dead
    assert [trace_of(r) for r in out.of("assignments")] == [[]]
