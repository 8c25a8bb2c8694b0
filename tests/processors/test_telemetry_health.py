"""Error budgets and minimum samples: counts of all the gate's tasks, and the alerts that follow."""

from __future__ import annotations

import msgspec
import pytest

from anabranch.errors import EmptyEventError, EventSchemaError, MalformedEventError
from anabranch.events.models import Anomaly, EventCounts, TelemetryCounts
from anabranch.metrics.windows import HOUR
from anabranch.processors.aggregate import AggregateProcessor
from anabranch.specs import Catalog, TelemetrySpec
from tests.support.bench import Bench, In

T = 1_767_322_800_000  # 2026-01-02T03:00:00Z


def bench(**changes):
    event = {
        "key": "shop.buy",
        "version": 1,
        "properties": {"amount": {"type": "number"}},
        "anomalyDetection": {
            "enabled": True,
            "minimumSample": 50,
            "thresholds": [{"metric": "amount", "max": 1000}],
        },
    }
    spec = {"meta": {"key": "shop", "version": 1}, "events": [{**event, **changes}]}
    catalog = Catalog.of([TelemetrySpec.model_validate(spec)])
    return Bench(AggregateProcessor(catalog), "deltas", "telemetry-counts")


def counts(seen, refused=0, *, hour=0, event="shop.buy", reason="EventSchemaError", anomalies=()):
    made = TelemetryCounts(
        until=T + hour * HOUR + 1,
        events=[
            EventCounts(
                event=event,
                version="1.0.0" if event else "",
                start=T + hour * HOUR,
                seen=seen,
                refused={reason: refused} if refused else {},
            )
        ],
        anomalies=[
            Anomaly(
                event="shop.buy",
                version="1.0.0",
                metric="amount",
                value=2000,
                min=None,
                max=1000,
                time="2026-01-02T03:00:00.000Z",
                event_id=event_id,
                event_source="web",
            )
            for event_id in anomalies
        ],
    )
    return In("telemetry-counts", msgspec.json.encode(made), key=b"telemetry")


def told(out):
    return [(record.json["kind"], record.json["state"]) for record in out.of("alerts")]


RAISED = [("error_budget", "raised")]


async def test_refused_telemetry_is_told_with_its_evidence():
    out = await bench().run(counts(900, 10), counts(100, 40, reason="MissingUnitError"))
    (alert,) = out.of("alerts")
    assert alert.key == b"shop.buy"
    found = alert.json
    assert found.pop("id").startswith("alert-")
    assert 0 < found["evidence"].pop("pValue") < 1e-6
    assert found == {
        "kind": "error_budget",
        "state": "raised",
        "at": "2026-01-02T03:00:00.001Z",
        "since": "2026-01-02T03:00:00.001Z",
        "message": "50 of 1,000 records of shop.buy 1.0.0 within an hour were refused, 5.00% where "
        "1.00% may be; most by MissingUnitError: see the dead letters of telemetry",
        "evidence": {
            "start": "2026-01-02T03:00:00.000Z",
            "seen": 1000,
            "refused": 50,
            "reasons": {"EventSchemaError": 10, "MissingUnitError": 40},
            "share": 0.05,
            "budget": 0.01,
        },
        "action": "alert",
        "event": "shop.buy",
        "version": "1.0.0",
    }
    assert out.counters["alerts"] == 1


async def test_it_is_told_once_again_when_twice_as_bad_and_when_it_is_over():
    b = bench()
    assert told(await b.run(counts(1000, 50))) == RAISED
    assert told(await b.run(counts(1000, 60))) == []
    assert told(await b.run(counts(1000, 900))) == [("error_budget", "changed")]
    assert told(await b.run(counts(1000, hour=1))) == []
    (alert,) = (await b.run(counts(1, hour=2))).of("alerts")
    assert alert.json["state"] == "resolved"
    assert alert.json["message"] == (
        "records of shop.buy 1.0.0 were within their error budget for a whole hour again"
    )
    assert told(await b.run(counts(1000, 500, hour=2))) == RAISED, "another episode"


async def test_a_dropped_batch_tells_it_again():
    b = bench()
    first = await b.run(counts(1000, 50), commit=False)
    again = await b.run(counts(1000, 50))
    assert [r.value for r in first.of("alerts")] == [r.value for r in again.of("alerts")]


@pytest.mark.parametrize(
    ("budget", "expected"), [({}, RAISED), ({"errorBudget": 0.1}, []), ({"errorBudget": 0}, RAISED)]
)
async def test_the_budget_is_the_events_own_or_the_specs(budget, expected):
    assert told(await bench(**budget).run(counts(1000, 60))) == expected


async def test_what_names_no_event_spends_the_budget_of_all():
    out = await bench().run(counts(1000, 50, event="", reason="UndeclaredTelemetryError"))
    (alert,) = out.of("alerts")
    assert alert.key == b"all telemetry"
    assert "event" not in alert.json
    assert "50 of 1,000 records of all telemetry" in alert.json["message"]


async def test_what_comes_later_than_three_hours_is_not_judged():
    b = bench()
    await b.run(*(counts(10, hour=hour) for hour in range(4)))
    assert told(await b.run(counts(1000, 1000, hour=0))) == []
    assert told(await b.run(counts(1000, 1000, hour=1))) == RAISED


async def test_an_anomaly_waits_for_its_sample_over_all_partitions():
    b = bench()
    assert (await b.run(counts(30, anomalies=["a"]))).of("alerts") == []
    assert (await b.run(counts(25, 6, anomalies=["b"]))).of("alerts") == [], "49 were good"
    (alert,) = (await b.run(counts(1, anomalies=["c"]))).of("alerts")
    assert alert.key == b"shop.buy"
    assert (alert.json["kind"], alert.json["eventId"]) == ("anomaly", "c")


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, EmptyEventError),
        (b"{", MalformedEventError),
        (b"{}", EventSchemaError),
        (msgspec.json.encode({"until": 1, "events": [{"event": "", "version": "", "start": 0,
                              "seen": -1}], "anomalies": []}), EventSchemaError),
    ],
)  # fmt: skip
async def test_what_cannot_be_read_is_a_dead_letter(value, error):
    out = await bench().run(In("telemetry-counts", value), counts(1000, 50))
    [(_, found)] = out.dead
    assert isinstance(found, error)
    assert told(out) == RAISED, "and does not stop the rest"
