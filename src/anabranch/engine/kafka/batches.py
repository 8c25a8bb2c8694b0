"""Whole record batches, built record by record and sent at once.

aiokafka's ``send`` costs some 100 us a record in tasks and futures; appending to a batch that is
sent as a whole costs about one.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from aiokafka import TopicPartition

from anabranch.engine.kafka import _private
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
    own = keyless % partitions
    by_partition: list[list[Entry]] = [[] for _ in range(partitions)]
    keys = [entry[0] for entry in entries if entry[0] is not None]
    numbers = partitions_of(keys, partitions)
    if len(keys) == len(entries):
        for entry, number in zip(entries, numbers, strict=True):
            by_partition[number].append(entry)
    else:
        keyed = iter(numbers)
        for entry in entries:
            by_partition[own if entry[0] is None else next(keyed)].append(entry)
    return {
        TopicPartition(topic, number): full_batches(producer, of_partition)
        for number, of_partition in enumerate(by_partition)
        if of_partition
    }


def full_batches(producer: AIOKafkaProducer, entries: Sequence[Entry]) -> list[BatchBuilder]:
    """Entries of one partition as closed batches, each as full as it may be."""
    batches = []
    begin = 0
    while begin < len(entries):
        batch = producer.create_batch()
        begin += _private.fill(batch, entries[begin:] if begin else entries)
        batches.append(batch)
    return batches
