import json
import sys

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import (
    EventSchemaError,
    FutureEventError,
    MalformedEventError,
    MissingUnitError,
    UndeclaredTelemetryError,
)
from anabranch.events.cloudevents import Limits
from anabranch.events.models import Observation
from anabranch.processors.gate import GateProcessor
from anabranch.specs import Catalog, ExperimentSpec, TelemetrySpec
from anabranch.telemetry import sampled
from tests.support.bench import NOW, Bench, In

BUY = {
    "key": "shop.buy",
    "version": 1,
    "properties": {
        "amount": {"type": "number", "required": True},
        "currency": {"type": "string"},
        "email": {"type": "string", "pii": True},
        "basket": {"type": "json", "redact": True},
    },
    "anomalyDetection": {
        "enabled": True,
        "thresholds": [{"metric": "amount", "min": 0, "max": 1000}],
    },
}


def experiment(key="shop.checkout", **changes):
    spec = {
        "meta": {"key": key, "version": 1},
        "controlVariant": "control",
        "variants": [{"id": "control"}, {"id": "short"}],
        "allocation": {"type": "random"},
        **changes,
    }
    return ExperimentSpec.model_validate(spec)


def declared(**changes):
    """The telemetry spec, its event changed."""
    spec = {"meta": {"key": "shop", "version": 1}, "events": [{**BUY, **changes}]}
    return TelemetrySpec.model_validate(spec)


PEOPLE = experiment(unit=["userId", "sessionId"])
TEAMS = experiment("shop.teams", unit=["organizationId"])


def bench(*specs, **settings):
    return Bench(GateProcessor(Catalog.of(specs or [PEOPLE, declared()]), **settings), "telemetry")


def bought(amount=10, *, event_id="t-1", at=0, identities=None, **changes):
    properties = {"amount": amount, **changes.pop("properties", {})}
    event = {
        "specversion": "1.0",
        "id": event_id,
        "source": "web",
        "type": "anabranch.telemetry.v1",
        "data": {
            "name": "shop.buy",
            "version": 1,
            **({"userId": "ada"} if identities is None else identities),
            "properties": properties,
            **changes,
        },
    }
    headers = [("content-type", b"application/cloudevents+json")]
    return In("telemetry", json.dumps(event).encode(), headers=headers, timestamp=NOW + at)


def sent(out):
    """What came of the events themselves; what the batch saw and refused is told besides."""
    return [record for record in out.records if record.topic != "telemetry-counts"]


def dead(out):
    [(_, error)] = out.dead
    assert not sent(out)
    return error


# -- observations -----------------------------------------------------------------------------


async def test_a_declared_event_becomes_an_observation():
    out = await bench().run(bought(12.5, at=-7, properties={"currency": "EUR"}))
    [made] = sent(out)
    assert (made.topic, made.key, made.timestamp) == ("observations", b"user:ada", NOW - 7)
    assert msgspec.json.decode(made.value, type=Observation) == Observation(
        id="t-1",
        source="web",
        name="shop.buy",
        version="1.0.0",
        unit="user:ada",
        time=NOW - 7,
        properties={"amount": 12.5, "currency": "EUR"},
    )
    assert out.counters == {"telemetry": 1, "observations": 1}


async def test_personal_properties_travel_masked_and_undeclared_ones_not_at_all():
    given = {"email": "ada@example.org", "basket": {"sku": ["7", 2, True]}, "ip": "::1", "x": 1}
    out = await bench().run(bought(properties=given))
    assert out.of("observations")[0].json["properties"] == {
        "amount": 10,
        "email": "REDACTED",
        "basket": {"sku": ["REDACTED", 0, False]},
    }
    assert b"::1" not in sent(out)[0].value
    assert out.counters["undeclared_properties"] == 2


async def test_bare_telemetry_is_identified_by_where_it_lies():
    value = b'{"name": "shop.buy", "version": "1.0", "userId": "ada", "properties": {"amount": 1}}'
    b = bench()
    await b.run(bought())
    [made] = sent(await b.run(In("telemetry", value)))
    assert (made.json["id"], made.json["source"]) == ("telemetry/0/1", "kafka")


# -- units ------------------------------------------------------------------------------------

ADA = {"userId": "ada"}
ALL = {"userId": "ada", "sessionId": "s", "organizationId": "acme"}


@pytest.mark.parametrize(
    ("specs", "identities", "units"),
    [
        ([PEOPLE], ADA, ["user:ada"]),
        ([PEOPLE], {"sessionId": "s"}, ["session:s"]),
        ([PEOPLE], ALL, ["user:ada"]),
        ([PEOPLE, TEAMS], ALL, ["organization:acme", "user:ada"]),
        ([PEOPLE, TEAMS], ADA, ["user:ada"]),
        ([PEOPLE, experiment("again", unit=["userId"])], ALL, ["user:ada"]),
        ([PEOPLE, experiment("s", unit=["sessionId"])], ALL, ["session:s", "user:ada"]),
        (
            [experiment(allocation={"type": "sticky", "attribute": "organizationId"})],
            ALL,
            ["organization:acme"],
        ),
        ([PEOPLE, experiment("draft", unit=["sessionId"], status="draft")], ALL, ["user:ada"]),
        ([experiment("p", unit=["userId"], status="paused")], ALL, ["user:ada"]),
        ([experiment("c", unit=["userId"], status="completed")], ALL, ["user:ada"]),
        ([experiment("r", status="retired")], ALL, []),
        ([], {}, []),
    ],
)
async def test_each_unit_that_some_experiment_is_run_on_gets_an_observation(
    specs, identities, units
):
    out = await bench(declared(), *specs).run(bought(identities=identities))
    observations = out.of("observations")
    assert [r.key.decode() for r in observations] == units
    assert [r.json["unit"] for r in observations] == units
    assert not out.dead


@pytest.mark.parametrize("identities", [{}, {"userId": ""}, {"organizationId": "acme"}])
async def test_an_event_without_a_unit_is_a_dead_letter(identities):
    error = dead(await bench().run(bought(identities=identities)))
    with pytest.raises(MissingUnitError, match="give sessionId or userId"):
        raise error


# -- what is refused --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("event", "error", "message"),
    [
        (bought(name="shop.by"), UndeclaredTelemetryError, "'shop.by' 1.0.0: .*shop.buy"),
        (bought(version=2), UndeclaredTelemetryError, r"its versions are 1\.0\.0"),
        (bought("ten"), EventSchemaError, "property 'amount' must be a finite number"),
        (bought(None), EventSchemaError, "'amount' must be a finite number, but is null"),
        (bought(properties={"currency": 7}), EventSchemaError, "'currency' must be a string"),
        (bought(at=301_000), FutureEventError, "more than 300 s ahead"),
        (In("telemetry", b"{"), MalformedEventError, "not JSON"),
    ],
)
async def test_what_is_wrong_is_a_dead_letter_with_its_reason(event, error, message):
    found = dead(await bench().run(event))
    with pytest.raises(error, match=message):
        raise found


# The lesser one can be read, and is too deep to be masked: comprehensions were frames until 3.12.
@pytest.mark.parametrize("depth", [900 if sys.version_info < (3, 12) else 990, 100_000])
async def test_depth_is_bounded_wherever_it_is_noticed(depth):
    deep = b"[" * depth + b"]" * depth
    value = (
        b'{"name": "shop.buy", "version": 1, "userId": "ada", '
        b'"properties": {"amount": 1, "basket": ' + deep + b"}}"
    )
    error = dead(await bench().run(In("telemetry", value)))
    assert isinstance(error, MalformedEventError)


async def test_what_is_wrong_does_not_stop_the_rest():
    out = await bench().run(bought("x"), bought(1), In("telemetry", b"{"), bought(2))
    assert [r.json["properties"]["amount"] for r in out.of("observations")] == [1, 2]
    assert len(out.dead) == 2
    assert out.counters["telemetry"] == 4


async def test_limits_are_the_readers():
    error = dead(await bench(limits=Limits(future_tolerance_ms=0)).run(bought(at=1)))
    assert isinstance(error, FutureEventError)


# -- sampling ---------------------------------------------------------------------------------


@given(st.lists(st.text(min_size=1), unique=True), st.sampled_from([0, 0.25, 0.5, 1]))
async def test_sampling_looks_at_the_events_identity_alone(ids, rate):
    b = bench(PEOPLE, declared(sampling={"rate": rate}))
    out = await b.run(*[bought(event_id=event_id) for event_id in ids])
    kept = [event_id for event_id in ids if sampled(event_id, "web", rate)]
    assert [r.json["id"] for r in out.of("observations")] == kept
    assert out.counters.get("sampled_out", 0) == len(ids) - len(kept)
    assert not out.dead


async def test_what_is_wrong_is_told_even_where_little_is_kept():
    out = await bench(PEOPLE, declared(sampling={"rate": 0})).run(bought("ten"))
    assert isinstance(dead(out), EventSchemaError)


# -- anomalies --------------------------------------------------------------------------------


async def test_a_value_out_of_bounds_is_an_alert_and_an_observation():
    out = await bench().run(bought(1000.5, event_id="t-9", at=-1))
    [alert] = out.of("alerts")
    assert alert.key == b"shop.buy"
    assert alert.timestamp == NOW - 1
    assert alert.json == {
        "kind": "anomaly",
        "event": "shop.buy",
        "version": "1.0.0",
        "metric": "amount",
        "value": 1000.5,
        "min": 0,
        "max": 1000,
        "time": "2027-01-15T07:59:59.999Z",
        "eventId": "t-9",
        "eventSource": "web",
    }
    assert len(out.of("observations")) == 1
    assert out.counters["anomalies"] == 1


@pytest.mark.parametrize("amount", [0, 10, 1000])
async def test_bounds_are_allowed_values_themselves(amount):
    out = await bench().run(bought(amount))
    assert not out.of("alerts")


async def test_without_the_action_an_anomaly_is_only_counted():
    detection = {**BUY["anomalyDetection"], "actions": ["log"]}
    out = await bench(PEOPLE, declared(anomalyDetection=detection)).run(bought(-1))
    assert not out.of("alerts")
    assert out.counters["anomalies"] == 1


async def test_anomalies_are_judged_before_sampling():
    out = await bench(PEOPLE, declared(sampling={"rate": 0})).run(bought(-1))
    assert [r.topic for r in sent(out)] == ["alerts"]


# -- what the batch saw -----------------------------------------------------------------------


def counts(out):
    (told,) = out.of("telemetry-counts")
    assert told.key == b"telemetry"
    return {
        (one["event"], one["start"] - NOW): (one["seen"], one.get("refused", {}))
        for one in told.json["events"]
    }


async def test_what_was_seen_and_refused_is_told_by_event_and_hour():
    hour = 60 * 60 * 1000
    out = await bench().run(
        bought(1),
        bought("ten", at=1),
        bought(name="shop.by", at=2),
        In("telemetry", b"{", timestamp=NOW + 3),
        bought(2, at=-hour),
        bought(identities={}, at=-hour + 4),
    )
    assert counts(out) == {
        ("", 0): (4, {"UndeclaredTelemetryError": 1, "MalformedEventError": 1}),
        ("shop.buy", 0): (2, {"EventSchemaError": 1}),
        ("", -hour): (2, {}),
        ("shop.buy", -hour): (2, {"MissingUnitError": 1}),
    }
    assert out.of("telemetry-counts")[0].json["until"] == NOW + 3


async def test_anomalies_that_have_to_wait_for_a_sample_go_to_who_counts():
    detection = {**BUY["anomalyDetection"], "minimumSample": 50}
    b = bench(PEOPLE, declared(anomalyDetection=detection))
    out = await b.run(*(bought(-1, event_id=f"t-{n}") for n in range(1001)))
    assert not out.of("alerts")
    assert out.counters["anomalies"] == 1001
    told = [record.json for record in out.of("telemetry-counts")]
    assert [len(one["anomalies"]) for one in told] == [500, 500, 1]
    assert [len(one["events"]) for one in told] == [2, 0, 0], "counted once"
    found = [anomaly["eventId"] for one in told for anomaly in one["anomalies"]]
    assert found == [f"t-{n}" for n in range(1001)]


async def test_nothing_came_and_nothing_is_told():
    assert not (await bench().run()).records
