"""The feed from a real broker: where each topic begins, and topics that come into being later."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from anabranch.engine.kafka import KafkaClient, Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.errors import KafkaUnavailableError
from anabranch.topology import Names
from anabranch.web import kafka_feed
from anabranch.web.kafka_feed import KafkaFeed


async def create(client: KafkaClient, prefix: str, *topics: str) -> None:
    async with Topics(client) as admin:
        await admin.create([TopicSettings(Names(prefix).topic(topic), 2) for topic in topics])


async def produce(client: KafkaClient, prefix: str, topic: str, *values: bytes) -> None:
    producer = client.plain_producer()
    await producer.start()
    try:
        for value in values:
            await producer.send_and_wait(Names(prefix).topic(topic), value, key=b"k")
    finally:
        await producer.stop()


async def take(records: AsyncIterator, n: int) -> dict[str, list[bytes]]:
    """The next records' values by topic."""
    found: dict[str, list[bytes]] = {}
    for _ in range(n):
        record = await asyncio.wait_for(anext(records), 20)
        found.setdefault(record.topic, []).append(record.value)
    return found


async def test_state_from_the_beginning_counts_from_now(kafka, topic_prefix, monkeypatch):
    monkeypatch.setattr(kafka_feed, "TAIL", 2)
    monkeypatch.setattr(kafka_feed, "_POLL_MS", 20)
    monkeypatch.setattr(kafka_feed, "_POLLS_BETWEEN_LOOKS", 5)
    client = KafkaClient(kafka)
    await create(client, topic_prefix, "assignments", "results", "segments", "alerts")
    for topic in ("assignments", "results", "segments", "alerts"):
        await produce(client, topic_prefix, topic, b"1", b"2", b"3")
    async with KafkaFeed(client, topic_prefix) as feed:
        records = aiter(feed)
        all_three = [b"1", b"2", b"3"]
        assert await take(records, 8) == {
            "results": all_three,
            "segments": all_three,
            "alerts": [b"2", b"3"],
        }
        await produce(client, topic_prefix, "assignments", b"4")
        assert await take(records, 1) == {"assignments": [b"4"]}

        await create(client, topic_prefix, "telemetry.dlq")
        await produce(client, topic_prefix, "telemetry.dlq", b"dead")
        await produce(client, topic_prefix, "results", b"4")
        later = await take(records, 2)
        assert later == {"telemetry.dlq": [b"dead"], "results": [b"4"]}, "nothing twice"
        await records.aclose()


async def test_a_feed_is_entered_before_it_is_read(kafka):
    with pytest.raises(RuntimeError, match="async with"):
        await anext(aiter(KafkaFeed(KafkaClient(kafka), "nothing")))


async def test_without_a_broker_it_says_so():
    with pytest.raises(KafkaUnavailableError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        async with KafkaFeed(KafkaClient("127.0.0.1:1"), "anabranch"):
            pass
