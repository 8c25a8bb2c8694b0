"""Alerts that pause become one pause each; on both runtimes."""

from __future__ import annotations

import logging

import msgspec
import pytest

from anabranch.engine.embedded import Log
from anabranch.engine.kafka import Topics
from anabranch.errors import OutcomeUnknownError
from anabranch.lifecycle import propose
from anabranch.runtime import guarding
from anabranch.runtime.client import kafka_client, topic_settings
from anabranch.runtime.guarding import EmbeddedAlertsLog, Guarding, KafkaAlertsLog
from anabranch.runtime.publishing import EmbeddedSpecStore, KafkaSpecStore
from anabranch.settings import load_settings
from anabranch.specs import Status
from anabranch.topology import Names
from tests.lifecycle.records import experiment
from tests.lifecycle.test_breach import alert
from tests.support.clusters import eventually


class Place:
    """The topics of one prefix, and what works on them."""

    def __init__(self, names, make_store, make_alerts, tell):
        self.names = names
        self.store = make_store
        self.guarding = lambda: Guarding(make_alerts(), make_store())
        self._tell = tell

    async def tell(self, *alerts, raw=()):
        records = [msgspec.json.encode(one) for one in alerts]
        await self._tell(self.names.topic("alerts"), [*records, *raw])

    async def publish(self, *specs):
        publication = propose(await self.store().look(), specs)
        entries = publication.entries(at="2026-01-01T00:00:00Z", who="ada", action="x", why="")
        await self.store().publish(publication, list(entries))

    async def pauses(self):
        audit = (await self.store().look()).audit
        return [(e.key, e.version, e.cause) for e in audit if e.who == "anabranch guardrail"]

    async def paused(self, *expected):
        async def there():
            return await self.pauses() == [*expected]

        await eventually(there, 30, "the pause")


@pytest.fixture(params=["embedded", "kafka"])
async def place(request, monkeypatch):
    monkeypatch.setattr(guarding, "_BACKOFF", 0.05)
    if request.param == "embedded":
        log, names = Log(), Names("t")
        for name in ("specs", "audit", "alerts"):
            log.create_topic(names.topic(name), 3)

        async def tell(topic, values):
            for value in values:
                log.append(topic, b"checkout", value)

        yield Place(
            names,
            lambda: EmbeddedSpecStore(log, names),
            lambda: EmbeddedAlertsLog(log, names),
            tell,
        )
        return
    chosen = load_settings(
        bootstrap=request.getfixturevalue("kafka"),
        prefix=request.getfixturevalue("topic_prefix"),
        partitions=3,
        session_timeout=6,
    )
    client, names = kafka_client(chosen), Names(chosen.prefix)
    async with Topics(client) as topics:
        wanted = {names.topic(name) for name in ("specs", "audit", "alerts")}
        await topics.create(t for t in topic_settings(chosen) if t.name in wanted)
    producer = client.plain_producer()
    await producer.start()

    async def send(topic, values):
        for value in values:
            await producer.send_and_wait(topic, value, key=b"checkout")

    yield Place(
        names, lambda: KafkaSpecStore(client, names), lambda: KafkaAlertsLog(client, names), send
    )
    await producer.stop()


async def status(place) -> Status:
    return (await place.store().look()).specs.catalog().experiments.require("checkout").status


async def test_an_alert_pauses_once_however_many_guard_and_begin_again(place):
    await place.publish(experiment("checkout"))
    async with place.guarding(), place.guarding():
        await place.tell(alert(action="alert"), alert(), alert())
        await place.paused(("checkout", "1.0.0", "alert-1"))
    assert await status(place) is Status.PAUSED
    await place.publish(experiment("checkout", status="running"))
    async with place.guarding():
        await place.tell(alert(), alert(id="alert-2"))
        await place.paused(("checkout", "1.0.0", "alert-1"), ("checkout", "1.0.0", "alert-2"))


async def test_what_nobody_saw_to_is_seen_to_by_whoever_comes(place):
    await place.publish(experiment("checkout"))
    await place.tell(alert())
    async with place.guarding():
        await place.paused(("checkout", "1.0.0", "alert-1"))


async def test_a_newer_version_is_left_alone(place):
    await place.publish(experiment("checkout"), experiment("other"))
    await place.publish(experiment("checkout", "2.0.0"))
    async with place.guarding():
        await place.tell(alert(), alert(id="alert-2", experiment="other"))
        await place.paused(("other", "1.0.0", "alert-2"))
    assert await status(place) is Status.RUNNING


async def test_what_is_no_alert_holds_nobody_up(place, caplog):
    await place.publish(experiment("checkout"))
    with caplog.at_level(logging.WARNING):
        async with place.guarding():
            await place.tell(raw=[b'{"action":"pause"}', b'"pause"', b"\xff"])
            await place.tell(alert())
            await place.paused(("checkout", "1.0.0", "alert-1"))
    assert caplog.text.count("is no alert") == 2


async def test_of_a_pause_and_somebody_who_publishes_at_once_both_hold(place):
    await place.publish(experiment("checkout"))
    guard = place.guarding()
    store, tried = guard._store, []

    class Overtaken:
        """Somebody ramps between the look and the write, the first time."""

        look = staticmethod(store.look)

        async def publish(self, publication, audit):
            tried.append(publication)
            if len(tried) == 1:
                await place.publish(experiment("checkout", coverage=0.5))
            await store.publish(publication, audit)

    guard._store = Overtaken()
    async with guard:
        await place.tell(alert())
        await place.paused(("checkout", "1.0.0", "alert-1"))
    assert len(tried) == 2
    found = (await place.store().look()).specs.catalog().experiments.require("checkout")
    assert (found.coverage, found.status) == (0.5, Status.PAUSED)


async def test_it_begins_again_where_the_broker_went_away(place, caplog):
    await place.publish(experiment("checkout"))
    guard = place.guarding()
    store, failures = guard._store, [OutcomeUnknownError("gone"), OSError("gone")]

    class Failing:
        async def look(self):
            if failures:
                raise failures.pop()
            return await store.look()

        publish = staticmethod(store.publish)

    guard._store = Failing()
    with caplog.at_level(logging.WARNING):
        async with guard:
            await place.tell(alert())
            await place.paused(("checkout", "1.0.0", "alert-1"))
    assert caplog.text.count("guarding begins again") == 2
