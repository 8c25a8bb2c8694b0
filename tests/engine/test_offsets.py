"""Committed offsets are told, waited for, or an error: never silently missing."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import GroupAuthorizationFailedError, KafkaError

from anabranch.engine.kafka import KafkaClient
from anabranch.engine.kafka.offsets import committed_offsets
from tests.support.clusters import KafkaCluster

TP, OTHER = TopicPartition("t", 0), TopicPartition("t", 1)


def answer(offset: int = 5, *, code: int = 0, partition_code: int = 0) -> SimpleNamespace:
    """What a broker says; with an error of its own it names no partition."""
    partitions = [(0, offset, -1, "", partition_code, {}), (1, -1, -1, "", 0, {})]
    return SimpleNamespace(error_code=code, topics=[] if code else [("t", partitions, {})])


class Coordinator:
    def __init__(self, *answers: SimpleNamespace) -> None:
        self.answers = list(answers)
        self.died = 0

    async def ensure_coordinator_known(self) -> None:
        return None

    def coordinator_dead(self) -> None:
        self.died += 1

    async def _send_req(self, _request) -> SimpleNamespace:
        return self.answers.pop(0)


async def asked(*answers: SimpleNamespace) -> tuple[dict[TopicPartition, int], Coordinator]:
    coordinator = Coordinator(*answers)
    consumer = SimpleNamespace(_coordinator=coordinator)
    return dict(await committed_offsets(consumer, "g", [TP, OTHER])), coordinator


async def test_what_was_never_committed_is_not_there():
    assert (await asked(answer()))[0] == {TP: 5}


@pytest.mark.parametrize(
    ("wait", "died"),
    [
        (answer(code=14), 0),  # loading its log
        (answer(code=15), 1),  # being elected
        (answer(code=16), 1),  # has moved
        (answer(partition_code=14), 0),
        (answer(partition_code=88), 0),  # a transaction is being settled
    ],
)
async def test_a_coordinator_that_cannot_tell_yet_is_asked_again(wait, died):
    found, coordinator = await asked(wait, wait, answer())
    assert found == {TP: 5}
    assert coordinator.died == 2 * died


async def test_a_missing_right_names_the_group():
    with pytest.raises(GroupAuthorizationFailedError) as refused:
        await asked(answer(code=30))
    assert refused.value.args == ("g",)


async def test_an_error_of_one_partition_is_an_error():
    with pytest.raises(KafkaError):
        await asked(answer(partition_code=29))


async def test_a_broker_tells_what_a_transaction_committed(kafka, topic_prefix):
    cluster = KafkaCluster(kafka, topic_prefix)
    await cluster.create({"t": 2})
    topic, group = cluster.physical("t"), cluster.group("stage")
    first, second = TopicPartition(topic, 0), TopicPartition(topic, 1)
    client = KafkaClient(kafka)
    producer, consumer = client.producer(f"{group}-0"), client.consumer(group)
    await producer.start()
    await consumer.start()
    try:
        assert await committed_offsets(consumer, group, [first, second]) == {}
        async with producer.transaction():
            await producer.send_offsets_to_transaction({first: 7}, group)
        assert await committed_offsets(consumer, group, [first, second]) == {first: 7}
    finally:
        await consumer.stop()
        await producer.stop()
