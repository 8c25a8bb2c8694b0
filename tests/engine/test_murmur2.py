"""Partitioning agrees with Kafka's own."""

from __future__ import annotations

import pytest
from aiokafka.partitioner import murmur2 as reference
from hypothesis import given
from hypothesis import strategies as st

from anabranch.engine.murmur2 import murmur2, partition_of, partitions_of


@pytest.mark.parametrize(
    ("key", "partition"),
    # As org.apache.kafka.clients.producer places them among 1,000 partitions.
    [(b"", 681), (b"a", 524), (b"ab", 434), (b"abc", 107), (b"123456789", 566), (b"\x00 ", 742)],
)
def test_known_answers(key, partition):
    assert partition_of(key, 1000) == partition
    assert partitions_of([key] * 30, 1000) == [partition] * 30


@given(st.lists(st.binary(max_size=40), max_size=80), st.integers(1, 50))
def test_a_batch_of_keys_is_placed_as_each_alone(keys, partitions):
    placed = partitions_of(keys, partitions)
    assert placed == [(reference(key) & 0x7FFFFFFF) % partitions for key in keys]
    assert placed == [partition_of(key, partitions) for key in keys]


@given(st.binary(max_size=64))
def test_the_hash_is_the_reference_hash(key):
    assert murmur2(key) == reference(key) & 0xFFFFFFFF
