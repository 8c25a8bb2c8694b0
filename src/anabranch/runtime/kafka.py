"""The whole pipeline on Kafka: topics, workers, what is left to do, what came out."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Self

from aiokafka import AIOKafkaConsumer, TopicPartition

from anabranch.engine import Stage
from anabranch.engine.kafka import KafkaWorker, Topics
from anabranch.engine.kafka.batches import partition_batches
from anabranch.engine.outbox import Entry
from anabranch.processors.protocol import Record
from anabranch.runtime.client import kafka_client, topic_settings
from anabranch.runtime.guarding import Guarding, KafkaAlertsLog
from anabranch.runtime.pipeline import Message
from anabranch.runtime.publishing import KafkaSpecStore
from anabranch.runtime.specs import LiveCatalog
from anabranch.runtime.stages import task_settings
from anabranch.settings import Settings
from anabranch.topology import STAGES, TOPICS, Names

_CHUNK = 5_000


def kafka_worker(stages: Sequence[Stage], settings: Settings) -> KafkaWorker:
    """A worker of the stages, to be started."""
    names = Names(settings.prefix)
    return KafkaWorker(
        kafka_client(settings),
        stages,
        physical=names.topic,
        group=names.group,
        settings=task_settings(settings),
    )


def guard_experiments(live: LiveCatalog, settings: Settings) -> Guarding:
    """Pauses what alerts say must be paused, shared among all workers that do so."""
    client, names = kafka_client(settings), Names(settings.prefix)
    return Guarding(KafkaAlertsLog(client, names), KafkaSpecStore(client, names, live.files))


class KafkaPipeline:
    """Producer, reader and administrator of one prefix; workers run elsewhere.

    Args:
        settings: Brokers, prefix, partitions.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.names = Names(settings.prefix)
        self._client = kafka_client(settings)
        self._topics = Topics(self._client)
        self._producer = self._client.plain_producer()

    async def __aenter__(self) -> Self:
        try:
            await self._topics.__aenter__()
            await self._producer.start()
        except BaseException:
            # Not started they must be closed all the same, or they complain of it.
            await self.__aexit__()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._producer.stop()
        await self._topics.__aexit__()

    async def create_topics(self, *, keep_all: bool = False) -> list[str]:
        """Create what is missing; returns physical names. See :func:`topic_settings`."""
        wanted = topic_settings(self.settings, keep_all=keep_all)
        return await self._topics.create(wanted, self.settings.replication)

    async def destroy(self) -> None:
        """Delete every topic of the prefix; the broker forgets its groups by itself."""
        await self._topics.delete(self.names.topic(topic.name) for topic in TOPICS)

    async def publish(self, messages: Iterable[Message]) -> None:
        remaining = iter(messages)
        chunk = 0
        while entries := list(islice(remaining, _CHUNK)):
            chunk += 1
            by_topic: dict[str, list[Entry]] = {}
            for m in entries:
                by_topic.setdefault(m.topic, []).append((m.key, m.value, m.headers, m.timestamp))
            for topic, of_topic in by_topic.items():
                await self._send(self.names.topic(topic), of_topic, keyless=chunk)

    async def _send(self, topic: str, entries: list[Entry], *, keyless: int) -> None:
        count = len(await self._producer.partitions_for(topic))
        built = partition_batches(self._producer, topic, count, entries, keyless=keyless)
        sent = [
            await self._producer.send_batch(batch, topic, partition=tp.partition)
            for tp, batches in built.items()
            for batch in batches
        ]
        await asyncio.gather(*sent)

    async def drain(self, progress: Callable[[int], None] | None = None) -> None:
        """In the order of the flow: a stage's outputs are there before its input reads as done."""
        while True:
            left = 0
            for shape in STAGES:
                lag = await self._topics.lag(
                    self.names.group(shape.name), map(self.names.topic, shape.sources)
                )
                left += sum(lag.values())
            if progress is not None:
                progress(left)
            if not left:
                return
            await asyncio.sleep(0.1)

    async def records(self, topic: str) -> Sequence[Record]:
        physical = self.names.topic(topic)
        async with self._reader() as consumer:
            tps = await self._partitions([physical])
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            # Where committed readers stop until a transaction's markers are there, this waits.
            ends = await self._topics.high_watermarks(tps)
            found: dict[TopicPartition, list[Record]] = {tp: [] for tp in tps}
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[tp] += records
        return [record for tp in tps for record in found[tp]]

    async def _partitions(self, topics: Iterable[str]) -> list[TopicPartition]:
        counts = await self._topics.partitions(topics)
        return [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]

    def _reader(self) -> _Reader:
        return _Reader(self._client.consumer())


class _Reader:
    """A started consumer for the time of an ``async with``."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = consumer

    async def __aenter__(self) -> AIOKafkaConsumer:
        await self._consumer.start()
        return self._consumer

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()
