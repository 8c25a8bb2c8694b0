"""Offsets of the stages' groups from a real broker."""

from __future__ import annotations

import pytest
from aiokafka import TopicPartition

from anabranch.engine.kafka import KafkaClient
from anabranch.engine.place import Place
from anabranch.errors import KafkaUnavailableError
from anabranch.topology import Names
from anabranch.web.kafka_pipeline import KafkaLook
from tests.web.test_kafka_feed import create, produce


async def test_places_of_the_stages_groups(kafka, topic_prefix):
    client, names = KafkaClient(kafka), Names(topic_prefix)
    await create(client, topic_prefix, "telemetry")
    await produce(client, topic_prefix, "telemetry", b"1", b"2", b"3")
    async with KafkaLook(client, topic_prefix) as look:
        before = [place for place in await look() if place.end]
        assert [(p.stage, p.topic, p.end, p.position, p.lag) for p in before] == [
            ("gate", "telemetry", 3, None, 3)
        ]
        (filled,) = before
        tp = TopicPartition(names.topic("telemetry"), filled.partition)
        committing = client.consumer(names.group("gate"))
        await committing.start()
        try:
            committing.assign([tp])
            await committing.commit({tp: 2})
        finally:
            await committing.stop()
        after = [place for place in await look() if place.end]
        assert after == [Place("gate", "telemetry", filled.partition, 0, 3, 2)]
        assert after[0].lag == 1


async def test_without_a_broker_it_says_so_each_time():
    async with KafkaLook(KafkaClient("127.0.0.1:1"), "anabranch") as look:
        for _ in range(2):
            with pytest.raises(KafkaUnavailableError, match=r"no Kafka broker answers at 127"):
                await look()
