"""Whole record batches, built record by record and sent at once.

aiokafka's ``send`` costs some 100 us a record in tasks and futures; appending to a batch that is
sent as a whole costs about one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from anabranch.engine.murmur2 import partitions_of
from anabranch.engine.outbox import Entry

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer
    from aiokafka.producer.message_accumulator import BatchBuilder


def partition_batches(
    producer: AIOKafkaProducer,
    topic: str,
    partitions: int,
    entries: Sequence[Entry],
    *,
    keyless: int,
) -> dict[TopicPartition, list[BatchBuilder]]:
    """Entries of one topic as closed batches by partition, in order.

    Args:
        producer: Makes the batches.
        topic: Physical name.
        partitions: How many the topic has.
        entries: Key, value, headers, timestamp of each.
        keyless: Partition number of records without a key, modulo the count.
    """
    fillers = [BatchFiller(producer) for _ in range(partitions)]
    numbers = iter(partitions_of([e[0] for e in entries if e[0] is not None], partitions))
    own = keyless % partitions
    for key, value, headers, timestamp in entries:
        fillers[own if key is None else next(numbers)].append(key, value, headers, timestamp)
    closed = {TopicPartition(topic, n): filler.close() for n, filler in enumerate(fillers)}
    return {tp: batches for tp, batches in closed.items() if batches}


class BatchFiller:
    """Appends records to batches of one partition, beginning a new one when one is full."""

    __slots__ = ("_append", "_batches", "_producer")

    def __init__(self, producer: AIOKafkaProducer) -> None:
        self._producer = producer
        self._batches: list[BatchBuilder] = []
        self._append: Callable[..., object | None] | None = None

    def append(
        self,
        key: bytes | None,
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        timestamp: int | None,
    ) -> None:
        if type(headers) is not list:
            headers = list(headers)
        append = self._append
        if (
            append is None
            or append(key=key, value=value, headers=headers, timestamp=timestamp) is None
        ):
            batch = self._producer.create_batch()
            self._batches.append(batch)
            self._append = batch.append
            batch.append(key=key, value=value, headers=headers, timestamp=timestamp)

    def close(self) -> list[BatchBuilder]:
        """No more records; the batches, none if there was no record."""
        for batch in self._batches:
            batch.close()
        return self._batches
