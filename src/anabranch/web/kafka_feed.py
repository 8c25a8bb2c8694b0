"""Output topics on Kafka as a feed for the board: the present state first, then what comes."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterable
from typing import TYPE_CHECKING, Final, Self

from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, OffsetOutOfRangeError

from anabranch.engine.kafka import KafkaClient, Topics
from anabranch.errors import KafkaUnavailableError
from anabranch.runtime import Message
from anabranch.topology import OUTPUT_TOPICS, Names

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

__all__ = ["KafkaFeed"]

log = logging.getLogger(__name__)

FROM_BEGINNING: Final = frozenset({"metric-windows", "results", "segments"})
"""Compacted topics: the latest record of each key is the state."""

FROM_END: Final = frozenset({"assignments", "exposures"})
"""Counted as they come: what is older than the charts would show as a burst that never was."""

TAIL: Final = 100
"""Records per partition that alerts and dead letters reach back."""

_RECORDS: Final = 2000
_POLLS_BETWEEN_LOOKS: Final = 60
_POLL_MS: Final = 500


class KafkaFeed:
    """Committed records of every output topic of a prefix; an async context manager and iterator.

    It joins no group: any number of dashboards may run. Topics and partitions that come into
    being later are found within about half a minute.

    Args:
        client: The brokers.
        prefix: First part of the topic names.

    Raises:
        KafkaUnavailableError: On entering, when no broker answers.
    """

    def __init__(self, client: KafkaClient, prefix: str) -> None:
        self._client = client
        names = Names(prefix)
        self._logical = {names.topic(topic): topic for topic in OUTPUT_TOPICS}
        self._topics = Topics(client)
        self._consumer: AIOKafkaConsumer | None = None
        self._assigned: list[TopicPartition] = []

    async def __aenter__(self) -> Self:
        await self._topics.__aenter__()
        consumer = self._client.consumer()
        try:
            await consumer.start()
            self._consumer = consumer
            await self._look(consumer)
        except (KafkaConnectionError, OSError) as error:
            await self._close(consumer)
            raise KafkaUnavailableError(
                f"no Kafka broker answers at {self._client.bootstrap}: {error}. Check the address"
            ) from error
        except BaseException:
            await self._close(consumer)
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._consumer is not None:
            await self._close(self._consumer)

    async def _close(self, consumer: AIOKafkaConsumer) -> None:
        self._consumer = None
        try:
            await consumer.stop()
        finally:
            await self._topics.__aexit__()

    async def __aiter__(self) -> AsyncIterator[Message]:
        consumer = self._consumer
        if consumer is None:
            raise RuntimeError("enter the feed with `async with` before reading it")
        polls = 0
        while True:
            polls += 1
            if not self._assigned or polls % _POLLS_BETWEEN_LOOKS == 0:
                await self._look(consumer)
            for record in await self._poll(consumer):
                yield record

    async def _poll(self, consumer: AIOKafkaConsumer) -> list[Message]:
        try:
            batches = await consumer.getmany(timeout_ms=_POLL_MS, max_records=_RECORDS)
        except OffsetOutOfRangeError as error:
            gone: list[TopicPartition] = list(error.args[0])
            log.warning("records were deleted before they were read: %s", gone)
            await consumer.seek_to_beginning(*gone)
            return []
        return [
            Message(self._logical[r.topic], r.key, r.value, r.headers, r.timestamp)
            for records in batches.values()
            for r in records
        ]

    # -- what is read, and from where ---------------------------------------------------------

    async def _look(self, consumer: AIOKafkaConsumer) -> None:
        """Assign every partition there is; those that are known go on where they are."""
        counts = await self._topics.partitions(self._logical)
        there = [TopicPartition(topic, n) for topic, count in counts.items() for n in range(count)]
        if set(there) == set(self._assigned):
            return
        starts = {tp: await consumer.position(tp) for tp in self._assigned if tp in there}
        new = [tp for tp in there if tp not in starts]
        first = not self._assigned
        consumer.assign(there)
        self._assigned = there
        starts |= await self._starts(consumer, new, from_beginning=not first)
        for tp, offset in starts.items():
            consumer.seek(tp, offset)

    async def _starts(
        self, consumer: AIOKafkaConsumer, new: Iterable[TopicPartition], *, from_beginning: bool
    ) -> dict[TopicPartition, int]:
        """Where to begin; partitions that were made while we watched begin at their beginning."""
        tps = list(new)
        beginnings = await consumer.beginning_offsets(tps)
        if from_beginning:
            return dict(beginnings)
        ends = await consumer.end_offsets(tps)
        starts: dict[TopicPartition, int] = {}
        for tp in tps:
            logical = self._logical[tp.topic]
            if logical in FROM_BEGINNING:
                starts[tp] = beginnings[tp]
            elif logical in FROM_END:
                starts[tp] = ends[tp]
            else:
                starts[tp] = max(beginnings[tp], ends[tp] - TAIL)
        return starts
