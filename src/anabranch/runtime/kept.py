"""What topics still hold, read from their beginning by whoever joins no group."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from heapq import heapify, heappop, heapreplace
from typing import TYPE_CHECKING, Final, Self

from aiokafka import TopicPartition

from anabranch.engine.kafka import Topics
from anabranch.errors import TopologyError
from anabranch.runtime.client import kafka_client
from anabranch.runtime.pipeline import Message
from anabranch.settings import Settings
from anabranch.topology import Names

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer
    from aiokafka.structs import ConsumerRecord

__all__ = ["KeptRecords"]

_POLL_MS: Final = 200
_RECORDS: Final = 5_000


class KeptRecords:
    """Committed records of some topics of one prefix; an async context manager.

    First :meth:`kept`, then, for those who stay, :meth:`follow`.

    Args:
        settings: Brokers and prefix.
        topics: Logical names.

    Raises:
        SettingsError: The settings name no broker.
        KafkaUnavailableError: On entering, when no broker answers.
        TopologyError: On entering, when a topic is not there.
    """

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        names = Names(settings.prefix)
        self._client = kafka_client(settings)
        self._logical = {names.topic(topic): topic for topic in topics}
        self._opened: AIOKafkaConsumer | None = None
        self._ends: Mapping[TopicPartition, int] = {}

    async def __aenter__(self) -> Self:
        async with Topics(self._client) as topics:
            counts = await topics.partitions(self._logical)
        missing = [name for name in self._logical if name not in counts]
        if missing:
            raise TopologyError(
                f"there is no topic {', '.join(missing)} on "
                f"{self._client.bootstrap}: check --prefix (ANABRANCH_PREFIX)"
            )
        self._opened = self._client.consumer()
        try:
            await self._opened.start()
            tps = [TopicPartition(name, n) for name, count in counts.items() for n in range(count)]
            self._consumer.assign(tps)
            await self._consumer.seek_to_beginning(*tps)
            self._ends = await self._consumer.end_offsets(tps)
        except BaseException:
            await self._opened.stop()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._consumer.stop()

    @property
    def _consumer(self) -> AIOKafkaConsumer:
        if self._opened is None:
            raise RuntimeError("enter it with `async with` before reading")
        return self._opened

    async def count(self) -> int:
        """About how many records are kept: offsets, so markers of transactions are among them."""
        begins = await self._begins()
        return sum(end - begins[tp] for tp, end in self._ends.items())

    async def trimmed(self) -> set[str]:
        """Topics whose first records are gone, by their retention; logical names."""
        return {self._logical[tp.topic] for tp, begin in (await self._begins()).items() if begin}

    async def _begins(self) -> Mapping[TopicPartition, int]:
        found: Mapping[TopicPartition, int] = await self._consumer.beginning_offsets(
            list(self._ends)
        )
        return found

    async def kept(self) -> AsyncIterator[list[Message]]:
        """What was there on entering, in the order of the records' timestamps.

        Within a partition the order is that of its offsets, whatever the timestamps say. A stage
        that joins two topics so sees them as it did when they were new: neither runs ahead by
        what it forgets after a while.
        """
        waiting: dict[TopicPartition, deque[ConsumerRecord]] = {tp: deque() for tp in self._ends}
        unread = set(waiting)
        while True:
            lacking = [tp for tp in unread if not waiting[tp]]
            if lacking:
                for tp, records in await self._poll(lacking):
                    waiting[tp].extend(r for r in records if r.offset < self._ends[tp])
                for tp in lacking:
                    if await self._consumer.position(tp) >= self._ends[tp]:
                        unread.discard(tp)
                continue
            merged = list(_merged(waiting, unread))
            if not merged:
                return
            yield [self._message(record) for record in merged]

    async def follow(self) -> AsyncIterator[list[Message]]:
        """What comes after that, without end; an empty list now and then while nothing does."""
        while True:
            found = await self._poll(())
            yield [self._message(record) for _, records in found for record in records]

    async def _poll(
        self, tps: Iterable[TopicPartition]
    ) -> Iterable[tuple[TopicPartition, list[ConsumerRecord]]]:
        polled = await self._consumer.getmany(*tps, timeout_ms=_POLL_MS, max_records=_RECORDS)
        return list(polled.items())

    def _message(self, record: ConsumerRecord) -> Message:
        return Message(
            self._logical[record.topic], record.key, record.value, record.headers, record.timestamp
        )


def _merged(
    waiting: Mapping[TopicPartition, deque[ConsumerRecord]], unread: set[TopicPartition]
) -> Iterable[ConsumerRecord]:
    """Records by timestamp, until a partition runs out that has more to give."""
    heads = [(q[0].timestamp, n, tp) for n, (tp, q) in enumerate(waiting.items()) if q]
    heapify(heads)
    while heads:
        _, n, tp = heads[0]
        queue = waiting[tp]
        yield queue.popleft()
        if queue:
            heapreplace(heads, (queue[0].timestamp, n, tp))
        elif tp in unread:
            return
        else:
            heappop(heads)
