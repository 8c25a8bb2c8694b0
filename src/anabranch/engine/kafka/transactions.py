"""A few records in one transaction, for what is written now and then."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from anabranch.engine.kafka import _private
from anabranch.engine.kafka.batches import partition_batches
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.outbox import Entry

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer, TopicPartition
    from aiokafka.producer.message_accumulator import BatchBuilder

__all__ = ["transact", "transactional"]


@asynccontextmanager
async def transactional(
    client: KafkaClient, transactional_id: str
) -> AsyncIterator[AIOKafkaProducer]:
    """A producer that has fenced every earlier one of its id; what they left open is aborted."""
    producer = client.producer(transactional_id)
    try:
        await producer.start()
        await _private.wait_for_producer_id(producer)
        yield producer
    finally:
        await producer.stop()


async def transact(producer: AIOKafkaProducer, records: Iterable[tuple[str, Entry]]) -> None:
    """Write records in one transaction, all or nothing.

    Args:
        producer: From :func:`transactional`.
        records: Physical topic, and the record.

    Raises:
        ProducerFenced: Another producer of the id has begun; nothing was written.
        KafkaError: Whether it was written is not known.
    """
    by_topic: dict[str, list[Entry]] = {}
    for topic, entry in records:
        by_topic.setdefault(topic, []).append(entry)
    built: dict[TopicPartition, list[BatchBuilder]] = {}
    for topic, entries in by_topic.items():
        count = len(await producer.partitions_for(topic))
        built |= partition_batches(producer, topic, count, entries, keyless=0)
    await producer.begin_transaction()
    futures = [
        await producer.send_batch(batch, tp.topic, partition=tp.partition)
        for tp, batches in built.items()
        for batch in batches
    ]
    for result in await asyncio.gather(*futures, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result
    await producer.commit_transaction()
