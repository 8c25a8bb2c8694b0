"""Sources of one task do not wait for each other."""

import asyncio

import pytest
from aiokafka import TopicPartition

from anabranch.engine.kafka.admin import Topics, TopicSettings
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.sources import Sources

pytestmark = pytest.mark.kafka

_HELD_MS = 30_000


class Patient(KafkaClient):
    """Its consumers' fetches are held by the broker for longer than this test may take."""

    def consumer(self, group=None, **settings):
        return super().consumer(group, **{"fetch_max_wait_ms": _HELD_MS, **settings})


async def test_a_busy_source_does_not_wait_for_an_idle_one(kafka, topic_prefix):
    client = Patient(kafka)
    partitions = {name: TopicPartition(f"{topic_prefix}.{name}", 0) for name in ("busy", "idle")}
    sources = Sources(client, partitions, group=f"{topic_prefix}.g", together=False)
    async with Topics(client) as topics:
        await topics.create([TopicSettings(tp.topic, 1) for tp in partitions.values()])
    producer = client.plain_producer()
    await producer.start()
    try:
        for tp in partitions.values():
            await producer.send_and_wait(tp.topic, b"before", partition=0)
        await sources.start()
        await sources.seek()
        assert await sources.positions() == {"busy": 0, "idle": 0}
        async with asyncio.timeout(_HELD_MS / 1000 / 2):
            seen = {"busy": [], "idle": []}
            while not (seen["busy"] and seen["idle"]):
                for name, records in (await sources.poll(10, 1.0)).items():
                    seen[name] += [record.value for record in records]
            assert seen == {"busy": [b"before"], "idle": [b"before"]}
            for n in range(5):
                value = b"%d" % n
                await producer.send_and_wait(partitions["busy"].topic, value, partition=0)
                while not (got := await sources.poll(10, 1.0))["busy"]:
                    pass
                assert [record.value for record in got["busy"]] == [value]
                assert got["idle"] == ()
        assert await sources.positions() == {"busy": 6, "idle": 1}
        assert sources.ends() == {"busy": 6, "idle": 1}
    finally:
        await producer.stop()
        await asyncio.gather(*(consumer.stop() for consumer in sources.consumers))
