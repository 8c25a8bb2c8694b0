"""The sources of a task: a consumer for each, or one for all that are read in step.

A consumer of aiokafka has one fetch at a time under way to a broker, and asks in it only for
partitions whose records it has handed out. Two sources in one consumer wait for each other: while a
fetch of the idle one is held by the broker (``fetch.max.wait.ms``), nobody asks for the busy one's
next records. Sources that are read in step want just that: what is there of both comes together.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.offsets import committed_offsets
from anabranch.processors.protocol import Record

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, TopicPartition

log = logging.getLogger(__name__)

Read = dict["TopicPartition", Sequence[Record]]


class Sources:
    """Consumers of committed records, each on partitions of its own.

    Args:
        client: The brokers.
        partitions: Source to its topic and partition.
        group: Consumer group whose committed offsets are gone on from.
        together: Whether one consumer reads them all.
    """

    def __init__(
        self,
        client: KafkaClient,
        partitions: Mapping[str, TopicPartition],
        *,
        group: str,
        together: bool,
    ) -> None:
        self._partitions = partitions
        self._group = group
        tps = list(partitions.values())
        shares = [tps] if together else [[tp] for tp in tps]
        # The first one finds the group's coordinator, which tells the offsets of all.
        self._consumers: list[tuple[AIOKafkaConsumer, list[TopicPartition]]] = [
            (client.consumer(None if n else group), share) for n, share in enumerate(shares)
        ]

    @property
    def consumers(self) -> Sequence[AIOKafkaConsumer]:
        """Those to close."""
        return [consumer for consumer, _ in self._consumers]

    async def start(self) -> None:
        """Connect.

        Raises:
            KafkaError: No broker can be reached, or lets us in.
        """
        for consumer in self.consumers:
            await consumer.start()

    async def seek(self) -> None:
        """Go to what the group committed, or to the beginning where it never did.

        Raises:
            KafkaError: The offsets cannot be told.
        """
        first, _ = self._consumers[0]
        begins: dict[TopicPartition, int] = {}
        for consumer, tps in self._consumers:
            consumer.assign(tps)
            begins |= await consumer.beginning_offsets(tps)
        committed = await committed_offsets(first, self._group, begins)
        for consumer, tps in self._consumers:
            for tp in tps:
                at = committed.get(tp, begins[tp])
                if at < begins[tp]:
                    log.error(
                        "%s[%d]: records %d to %d were deleted by the topic's retention before "
                        "this stage processed them; going on at %d",
                        tp.topic,
                        tp.partition,
                        at,
                        begins[tp] - 1,
                        begins[tp],
                    )
                    at = begins[tp]
                consumer.seek(tp, at)

    async def poll(self, limit: int, wait: float) -> dict[str, Sequence[Record]]:
        """What is there of each source; waits up to ``wait`` seconds for any when none is.

        Raises:
            KafkaError: A source cannot be read.
        """
        got: Read = {}
        count = len(self._partitions)
        if count > 1:  # else one source's backlog would fill the batch
            left = limit
            asked = 0
            for consumer, tps in self._consumers:
                for tp in tps:
                    share = max(1, left // (count - asked))
                    got |= await consumer.getmany(tp, timeout_ms=0, max_records=share)
                    left -= len(got.get(tp, ()))
                    asked += 1
        if not got:
            got = await self._wait(limit, max(1, int(wait * 1000)))
        empty: Sequence[Record] = ()
        return {source: got.get(tp, empty) for source, tp in self._partitions.items()}

    async def _wait(self, limit: int, within_ms: int) -> Read:
        share = max(1, limit // len(self._consumers))
        reads = [
            consumer.getmany(*tps, timeout_ms=within_ms, max_records=share)
            for consumer, tps in self._consumers
        ]
        if len(reads) == 1:
            alone: Read = await reads[0]
            return alone
        running = [asyncio.ensure_future(read) for read in reads]
        try:
            await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # A read takes records in the step in which it ends: one that is cancelled took none.
            for read in running:
                read.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        got: Read = {}
        for read in running:
            if not read.cancelled():
                got |= read.result()
        return got

    async def positions(self) -> dict[str, int]:
        """Source to the offset of its next record."""
        at = {tp: await consumer.position(tp) for consumer, tps in self._consumers for tp in tps}
        return {source: at[tp] for source, tp in self._partitions.items()}

    def ends(self) -> dict[str, int]:
        """Source to its last stable offset, as the last answers to fetches said."""
        ends = {
            tp: consumer.last_stable_offset(tp)
            for consumer, tps in self._consumers
            for tp in tps
            if tp in consumer.assignment()
        }
        known = {source: ends.get(tp) for source, tp in self._partitions.items()}
        return {source: end for source, end in known.items() if end is not None and end >= 0}
