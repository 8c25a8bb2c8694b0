"""Dead letters read, and sent back to where they came from, exactly once.

What was sent back is remembered as the position of a consumer group of its own, which moves in
the same transaction that writes the records. Letters that are not chosen are written to the end
of their topic again in that transaction, so that they stay and the position can pass them.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError, ProducerFenced

from anabranch.engine.kafka import _private, access
from anabranch.engine.kafka.admin import Topics
from anabranch.engine.kafka.batches import partition_batches
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.offsets import committed_offsets
from anabranch.engine.outbox import ERROR_PREFIX, Entry
from anabranch.errors import FencedError, KafkaAccessError, OutcomeUnknownError
from anabranch.processors.protocol import Headers, Record

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

REDRIVEN = "anabranch.redriven"
"""Header of a record that was sent back: how many times by now."""

_BATCH = 500


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter and what is told about it (KIP-1034)."""

    record: Record
    reason: str
    message: str
    topic: str
    partition: int
    offset: int

    @classmethod
    def of(cls, record: Record) -> DeadLetter:
        """What the headers of a record tell; empty or -1 where they tell nothing."""
        told = {
            name.removeprefix(ERROR_PREFIX): (value or b"").decode("utf-8", "replace")
            for name, value in record.headers
            if name.startswith(ERROR_PREFIX)
        }
        return cls(
            record,
            told.get("exception", ""),
            told.get("message", ""),
            told.get("topic", ""),
            _number(told.get("partition", "")),
            _number(told.get("offset", "")),
        )

    @property
    def headers(self) -> Headers:
        """The headers the record came with, and how often it has been sent back."""
        before = [h for h in self.record.headers if not h[0].startswith(ERROR_PREFIX)]
        times = next((int(value) for name, value in before if name == REDRIVEN), 0)
        kept = [h for h in before if h[0] != REDRIVEN]
        return [*kept, (REDRIVEN, b"%d" % (times + 1))]


@dataclass(frozen=True, slots=True)
class Redriven:
    """How many letters were sent back, and how many were left."""

    sent: int
    left: int


class DeadLetters:
    """The dead letters of one topic.

    Args:
        client: The brokers.
        topic: Physical name of the dead letter topic.
        group: Consumer group, and transactional id, of sending back.
    """

    def __init__(self, client: KafkaClient, topic: str, group: str) -> None:
        self._client = client
        self._topic = topic
        self._group = group

    async def waiting(self) -> AsyncIterator[DeadLetter]:
        """Letters that were not sent back yet, partition by partition."""
        try:
            async with self._reading() as (consumer, ends):
                for tp, end in ends.items():
                    while await consumer.position(tp) < end:
                        for record in (await consumer.getmany(tp, timeout_ms=100)).get(tp, ()):
                            yield DeadLetter.of(record)
        except (KafkaError, TimeoutError) as error:
            why = self._refused(error, "READ", "DESCRIBE")
            if why is None:
                raise
            raise why from error

    async def redrive(
        self, choose: Callable[[DeadLetter], bool], limit: int | None = None
    ) -> Redriven:
        """Send the chosen ones back to the topics they came from.

        Args:
            choose: Whether a letter goes back.
            limit: At most so many.

        Raises:
            FencedError: Somebody else is sending back letters of this topic.
            KafkaAccessError: A right is missing; the message names it.
            OutcomeUnknownError: The broker went away; what was committed is committed, call again.
        """
        producer = self._client.producer(self._group)
        try:
            await producer.start()
            await _private.wait_for_producer_id(producer)
            return await self._redrive(producer, choose, limit)
        except ProducerFenced as error:
            raise FencedError(f"{self._topic}: another redrive has begun") from error
        except (KafkaError, TimeoutError) as error:
            why = self._refused(_private.sender_failure(producer) or error, "WRITE", "READ")
            raise why or OutcomeUnknownError(f"{self._topic}: {error!r}; run it again") from error
        finally:
            await producer.stop()

    def _refused(
        self, error: BaseException, topic_right: str, group_right: str
    ) -> KafkaAccessError | None:
        return access.refused(
            error,
            self._client,
            right=topic_right,
            topics=[self._topic],
            group=self._group,
            group_right=group_right,
            transactional_id=self._group,
        )

    async def _redrive(
        self, producer: AIOKafkaProducer, choose: Callable[[DeadLetter], bool], limit: int | None
    ) -> Redriven:
        """Partition by partition up to the last chosen letter; what lies beyond is not touched."""
        chosen: dict[TopicPartition, list[int]] = {}
        waiting = 0
        async for letter in self.waiting():
            waiting += 1
            sent = sum(map(len, chosen.values()))
            if letter.topic and choose(letter) and (limit is None or sent < limit):
                tp = TopicPartition(self._topic, letter.record.partition)
                chosen.setdefault(tp, []).append(letter.record.offset)
        async with self._reading() as (consumer, _):
            for tp, offsets in chosen.items():
                await self._move(producer, consumer, tp, frozenset(offsets))
        sent = sum(map(len, chosen.values()))
        return Redriven(sent, waiting - sent)

    async def _move(
        self,
        producer: AIOKafkaProducer,
        consumer: AIOKafkaConsumer,
        tp: TopicPartition,
        chosen: frozenset[int],
    ) -> None:
        end = max(chosen) + 1
        while await consumer.position(tp) < end:
            polled = await consumer.getmany(tp, timeout_ms=100, max_records=_BATCH)
            records = [r for r in polled.get(tp, ()) if r.offset < end]
            if records:
                await self._commit(
                    producer,
                    [DeadLetter.of(r) for r in records if r.offset in chosen],
                    [r for r in records if r.offset not in chosen],
                    {tp: records[-1].offset + 1},
                )

    async def _commit(
        self,
        producer: AIOKafkaProducer,
        back: Iterable[DeadLetter],
        stay: Iterable[Record],
        position: Mapping[TopicPartition, int],
    ) -> None:
        entries: dict[str, list[Entry]] = {}
        for letter in back:
            record = letter.record
            entry = (record.key, record.value, letter.headers, record.timestamp)
            entries.setdefault(letter.topic, []).append(entry)
        for record in stay:
            entry = (record.key, record.value, record.headers, record.timestamp)
            entries.setdefault(self._topic, []).append(entry)
        await producer.begin_transaction()
        futures: list[asyncio.Future[object]] = []
        for topic, of_topic in entries.items():
            count = len(await producer.partitions_for(topic))
            built = partition_batches(producer, topic, count, of_topic, keyless=0)
            futures += [
                await producer.send_batch(batch, topic, partition=tp.partition)
                for tp, batches in built.items()
                for batch in batches
            ]
        await producer.send_offsets_to_transaction(position, self._group)
        await asyncio.gather(*futures)
        await producer.commit_transaction()

    @asynccontextmanager
    async def _reading(
        self,
    ) -> AsyncIterator[tuple[AIOKafkaConsumer, dict[TopicPartition, int]]]:
        """A consumer at what was not sent back yet, and where the topic ends now."""
        consumer = self._client.consumer(self._group)
        await consumer.start()
        try:
            async with Topics(self._client) as topics:
                count = (await topics.partitions([self._topic])).get(self._topic, 0)
            tps = [TopicPartition(self._topic, n) for n in range(count)]
            consumer.assign(tps)
            begins = await consumer.beginning_offsets(tps)
            committed = await committed_offsets(consumer, self._group, tps)
            for tp in tps:
                consumer.seek(tp, max(begins[tp], committed.get(tp, 0)))
            yield consumer, dict(await consumer.end_offsets(tps))
        finally:
            await consumer.stop()


def _number(text: str) -> int:
    return int(text) if text.isdigit() else -1
