"""Publishing is one transaction, and of two publishers one wins; on both runtimes."""

from __future__ import annotations

import asyncio

import pytest
from aiokafka.admin import NewPartitions
from aiokafka.errors import ProducerFenced

from anabranch.engine.embedded import Log
from anabranch.engine.kafka import KafkaClient, Topics
from anabranch.errors import PublishConflictError, SpecReferenceError
from anabranch.lifecycle import encode_spec, propose
from anabranch.runtime import LiveCatalog, follow_specs
from anabranch.runtime.client import kafka_client, topic_settings
from anabranch.runtime.publishing import EmbeddedSpecStore, KafkaSpecStore
from anabranch.runtime.spec_logs import read_all
from anabranch.settings import load_settings
from anabranch.specs import Catalog
from anabranch.topology import Names
from tests.lifecycle.records import experiment, metric, telemetry
from tests.support.clusters import eventually


@pytest.fixture(params=["embedded", "kafka"])
async def store(request):
    """Makes stores of one prefix, as publishers on different machines have them."""
    if request.param == "embedded":
        log, names = Log(), Names("t")
        for name in ("specs", "audit"):
            log.create_topic(names.topic(name), 3)
        return lambda *files: EmbeddedSpecStore(log, names, Catalog.of(files))
    chosen = load_settings(
        bootstrap=request.getfixturevalue("kafka"),
        prefix=request.getfixturevalue("topic_prefix"),
        partitions=3,
    )
    client, names = kafka_client(chosen), Names(chosen.prefix)
    async with Topics(client) as topics:
        wanted = {names.topic("specs"), names.topic("audit")}
        await topics.create(t for t in topic_settings(chosen) if t.name in wanted)
    return lambda *files: KafkaSpecStore(client, names, Catalog.of(files))


async def publish(store, *specs, who="ada", at="2026-01-01T00:00:00Z", why="") -> None:
    publication = propose(await store.look(), specs)
    entries = list(publication.entries(at=at, who=who, action="publish", why=why))
    await store.publish(publication, entries)


async def test_what_was_published_is_there_with_its_audit(store):
    one, two = experiment("a"), experiment("a", "2.0.0", coverage=0.5)
    await publish(store(), one, why="a beginning")
    await publish(store(), two, who="bob", at="2026-01-02T00:00:00Z")
    found = await store().look()
    assert found.versions("Experiment", "a") == {"1.0.0": one.digest, "2.0.0": two.digest}
    assert [(e.who, e.why, e.from_digest, e.to_digest) for e in found.history("a")] == [
        ("ada", "a beginning", None, one.digest),
        ("bob", "", one.digest, two.digest),
    ]


async def test_whoever_looked_before_somebody_else_published_is_told(store):
    await publish(store(), experiment("a"))
    slow = propose(await store().look(), [experiment("a", title="slow")])
    await publish(store(), experiment("a", title="fast"), who="bob", why="in a hurry")
    with pytest.raises(PublishConflictError, match=r"bob published 1\.0\.0 .*in a hurry"):
        await store().publish(slow, [])
    found = await store().look()
    assert found.specs.catalog().experiments.require("a").meta.title == "fast"


async def test_of_many_at_once_one_wins_and_the_others_are_told(store):
    await publish(store(), experiment("a"))
    now = await store().look()
    mine = [propose(now, [experiment("a", title=f"{n}")]) for n in range(3)]
    audits = [
        list(one.entries(at=f"2026-01-0{n + 2}T00:00:00Z", who=f"p{n}", action="publish", why=""))
        for n, one in enumerate(mine)
    ]
    ended = await asyncio.gather(
        *(store().publish(one, audit) for one, audit in zip(mine, audits, strict=True)),
        return_exceptions=True,
    )
    winners = [n for n, end in enumerate(ended) if end is None]
    losers = [end for end in ended if end is not None]
    assert len(winners) == 1
    assert all(isinstance(end, PublishConflictError) for end in losers)
    assert all(f"p{winners[0]} published" in str(end) for end in losers)
    found = await store().look()
    assert found.specs.catalog().experiments.require("a").meta.title == str(winners[0])
    assert [e.who for e in found.history("a")] == ["ada", f"p{winners[0]}"]


async def test_publishers_of_different_keys_do_not_hinder_each_other(store):
    await asyncio.gather(*(publish(store(), experiment(f"e{n}"), who=f"p{n}") for n in range(3)))
    found = await store().look()
    assert sorted(found.specs.catalog().experiments.keys()) == ["e0", "e1", "e2"]
    assert len(found.audit) == 3


async def test_references_are_held_against_what_others_published_meanwhile(store):
    await publish(store(), telemetry("shop", "order", "refund"))
    needs = propose(await store().look(), [experiment("a", successMetrics=[metric("order")])])
    await publish(store(), telemetry("shop", "refund"))
    with pytest.raises(SpecReferenceError, match="event order"):
        await store().publish(needs, [])
    assert len((await store().look()).specs.catalog()) == 1


async def test_what_workers_have_in_files_counts(store):
    orders, needs = telemetry("shop", "order"), experiment("a", successMetrics=[metric("order")])
    await publish(store(orders), needs)
    assert set((await store().look()).specs.refused) == {b"Experiment|a|1.0.0"}
    assert (await store(orders).look()).specs.refused == {}


async def test_what_a_publisher_that_died_had_begun_is_never_seen(kafka, topic_prefix):
    """And it holds up nobody: whoever publishes next ends its transaction."""
    chosen = load_settings(bootstrap=kafka, prefix=topic_prefix, partitions=1)
    client, names = kafka_client(chosen), Names(topic_prefix)
    topic = names.topic("specs")
    async with Topics(client) as topics:
        await topics.create(topic_settings(chosen))
    dead = client.producer(names.group("specs"))
    await dead.start()
    try:
        await dead.begin_transaction()
        lost = encode_spec(experiment("lost"))
        await dead.send_and_wait(topic, key=lost.key, value=lost.value)

        live = LiveCatalog()
        async with follow_specs(live, chosen):
            await publish(KafkaSpecStore(client, names), experiment("a"))
            await live.catch_up()
            assert live.catalog.experiments.keys() == ["a"]
    finally:
        with pytest.raises(ProducerFenced):
            await dead.commit_transaction()
        await dead.stop()


async def test_partitions_that_the_topic_is_given_later_are_read_too(
    kafka, topic_prefix, monkeypatch
):
    chosen = load_settings(bootstrap=kafka, prefix=topic_prefix, partitions=1)
    client, names = kafka_client(chosen), Names(topic_prefix)
    topic = names.topic("specs")
    consumer = KafkaClient.consumer
    monkeypatch.setattr(  # notice it soon
        KafkaClient, "consumer", lambda self: consumer(self, metadata_max_age_ms=200)
    )
    async with Topics(client) as topics:
        await topics.create(topic_settings(chosen))
    live = LiveCatalog()
    async with follow_specs(live, chosen):
        await publish(KafkaSpecStore(client, names), experiment("a"))
        admin = client.admin()
        await admin.start()
        try:
            await admin.create_partitions({topic: NewPartitions(total_count=3)})
        finally:
            await admin.close()
        wanted = [experiment(f"e{n}") for n in range(8)]

        async def published() -> bool:
            await publish(KafkaSpecStore(client, names), *wanted)
            found = {record.partition for record in (await read_all(client, [topic]))[topic]}
            return found == {0, 1, 2}

        await eventually(published, 30, "specs in every partition")
        await eventually(lambda: len(live.catalog) == 9, 30, "specs of new partitions")
