"""A task's way into Kafka: a fencing producer, consumers of committed records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka import TopicPartition
from aiokafka.errors import (
    InvalidProducerEpoch,
    InvalidTimestampError,
    KafkaConnectionError,
    KafkaError,
    MessageSizeTooLargeError,
    ProducerFenced,
    RecordListTooLargeError,
)

from anabranch.engine.kafka import _private, access
from anabranch.engine.kafka.batches import full_batches, partition_batches
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.sources import Sources
from anabranch.engine.outbox import Outbox
from anabranch.engine.port import Poll
from anabranch.engine.stage import Stage
from anabranch.engine.state import Changes
from anabranch.engine.store import Store
from anabranch.errors import AnabranchError, FencedError, OutcomeUnknownError, ProcessingError

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
    from aiokafka.producer.message_accumulator import BatchBuilder

log = logging.getLogger(__name__)

_STOP_SECONDS = 5.0

_FENCED = (ProducerFenced, InvalidProducerEpoch)
_REFUSED = (MessageSizeTooLargeError, RecordListTooLargeError, InvalidTimestampError)


class KafkaPort:
    """The :class:`~anabranch.engine.port.Port` of the Kafka runtime.

    aiokafka speaks version 0 of the transaction requests, without group metadata, so fencing
    rests on one transactional id per partition: ``<group>-<partition>`` and nothing else.

    Args:
        client: The brokers.
        stage: Whose task this is.
        partition: The task's partition.
        group: Consumer group.
        physical: Logical to physical topic name.
    """

    def __init__(
        self,
        client: KafkaClient,
        stage: Stage,
        partition: int,
        *,
        group: str,
        physical: Callable[[str], str],
    ) -> None:
        self._client = client
        self._stage = stage
        self._partition = partition
        self._group = group
        self._physical = physical
        self._id = f"{group}-{partition}"
        self._sources = {
            source: TopicPartition(physical(source), partition) for source in stage.sources
        }
        self._producer: AIOKafkaProducer | None = None
        self._reading: Sources | None = None
        self._counts: dict[str, int] = {}

    # -- opening ------------------------------------------------------------------------------

    async def open(self) -> None:
        try:
            self._producer = producer = self._client.producer(self._id)
            await producer.start()
            await _private.wait_for_producer_id(producer)
            for topic in map(self._physical, self._stage.written):
                self._counts[topic] = len(await producer.partitions_for(topic))
            self._reading = Sources(
                self._client, self._sources, group=self._group, together=self._stage.in_step
            )
            await self._reading.start()
        except _FENCED as error:
            raise FencedError(f"{self._id}: {error!r}") from error
        except KafkaConnectionError as error:
            why = await access.login_refused(self._client)
            raise why or self._failed("open", error) from error
        except KafkaError as error:
            raise self._failed("open", error) from error

    async def restore(self, store: Store, progress: Callable[[], None]) -> int:
        try:
            count = await self._read_changelog(store, progress)
            await self._open_sources().seek()
        except (KafkaError, TimeoutError) as error:
            raise self._failed("restore", error) from error
        return count

    async def _read_changelog(self, store: Store, progress: Callable[[], None]) -> int:
        """By position, never by counting records: the end holds transaction markers.

        With a consumer of its own, without a group: aiokafka's coordinator dies of a second
        manual assignment that comes while it still looks for the group's broker.
        """
        if self._stage.changelog is None:
            return 0
        consumer = self._client.consumer()
        await consumer.start()
        try:
            tp = TopicPartition(self._physical(self._stage.changelog), self._partition)
            consumer.assign([tp])
            begin = (await consumer.beginning_offsets([tp]))[tp]
            end = (await consumer.end_offsets([tp]))[tp]
            at = store.position
            if at is None or not begin <= at <= end:
                store.clear()
                at = begin
            consumer.seek(tp, at)
            count = 0
            while (at := await consumer.position(tp)) < end:
                records = (await consumer.getmany(tp, timeout_ms=100)).get(tp, ())
                changes = {r.key: r.value for r in records if r.key is not None}
                store.apply(changes, records[-1].offset + 1 if records else at)
                count += len(records)
                progress()
        finally:
            await consumer.stop()
        return count

    def _failed(self, doing: str, error: BaseException) -> AnabranchError:
        """The error to raise: the right that is missing, or whatever else it was.

        No right is missing half-way: what a refused transaction held was never committed, and
        the task opens again from what was.
        """
        changelog = self._stage.changelog
        read = {self._physical(source) for source in self._stage.sources}
        if changelog is not None and doing == "restore":
            read.add(self._physical(changelog))
        why = access.refused(
            error,
            self._client,
            right=lambda topic: "READ" if topic in read else "WRITE",
            group=self._group,
            transactional_id=self._id,
        )
        return why or OutcomeUnknownError(f"{self._id} cannot {doing}: {error!r}")

    def _open_sources(self) -> Sources:
        if self._reading is None:
            raise OutcomeUnknownError(f"{self._id} is not open")
        return self._reading

    # -- working ------------------------------------------------------------------------------

    async def poll(self, limit: int, wait: float) -> Poll:
        try:
            return await self._open_sources().poll(limit, wait)
        except KafkaError as error:
            raise self._failed("read", error) from error

    async def positions(self) -> Mapping[str, int]:
        return await self._open_sources().positions()

    def ends(self) -> Mapping[str, int]:
        """As the last answers to fetches said; nothing is asked of a broker."""
        return {} if self._reading is None else self._reading.ends()

    async def commit(
        self, outbox: Outbox, changes: Changes, positions: Mapping[str, int]
    ) -> int | None:
        producer = self._producer
        if producer is None:
            raise OutcomeUnknownError(f"{self._id} is not open")
        try:
            batches = self._build(producer, outbox, changes)
        except Exception as error:
            raise ProcessingError(f"an output cannot be encoded: {error!r}") from error
        offsets = {self._sources[source]: at for source, at in positions.items()}
        try:
            # Past the transaction's time-out the broker has aborted it: find out by opening again.
            async with asyncio.timeout(2 * self._client.transaction_timeout):
                await producer.begin_transaction()
                try:
                    written = await self._send(producer, batches, offsets)
                except _REFUSED as error:
                    await producer.abort_transaction()
                    raise ProcessingError(f"the broker refused an output: {error!r}") from error
                await producer.commit_transaction()
        except _FENCED as error:
            raise FencedError(f"{self._id}: {error!r}") from error
        except (KafkaError, TimeoutError) as error:
            # A sender that was refused leaves us waiting, and is the better reason.
            raise self._failed("commit", _private.sender_failure(producer) or error) from error
        if not changes or self._stage.changelog is None:
            return None
        return written[TopicPartition(self._physical(self._stage.changelog), self._partition)]

    def _build(
        self, producer: AIOKafkaProducer, outbox: Outbox, changes: Changes
    ) -> dict[TopicPartition, list[BatchBuilder]]:
        """Whole record batches by partition; a record without a key goes to our own number."""
        built: dict[TopicPartition, list[BatchBuilder]] = {}
        for logical, entries in outbox.topics.items():
            topic = self._physical(logical)
            made = partition_batches(
                producer, topic, self._counts[topic], entries, keyless=self._partition
            )
            outbox.sizes[logical] = sum(batch.size() for ready in made.values() for batch in ready)
            built |= made
        if changes and self._stage.changelog is not None:
            tp = TopicPartition(self._physical(self._stage.changelog), self._partition)
            built[tp] = full_batches(
                producer, [(key, value, [], None) for key, value in changes.items()]
            )
            outbox.sizes[self._stage.changelog] = sum(batch.size() for batch in built[tp])
        return built

    async def _send(
        self,
        producer: AIOKafkaProducer,
        batches: Mapping[TopicPartition, Sequence[BatchBuilder]],
        offsets: Mapping[TopicPartition, int],
    ) -> dict[TopicPartition, int]:
        """Offsets first, then all partitions at once; returns the next offset of each partition.

        A broker checks a batch against the transaction, and answers NOT_ENOUGH_REPLICAS while the
        transaction is just taking in a partition or a group (KIP-890): the batch would be sent
        twice.
        """
        await producer.send_offsets_to_transaction(offsets, self._group)
        sent = [
            (tp, batch, await producer.send_batch(batch, tp.topic, partition=tp.partition))
            for tp, ready in batches.items()
            for batch in ready
        ]
        results = await asyncio.gather(*(future for _, _, future in sent), return_exceptions=True)
        written: dict[TopicPartition, int] = {}
        for (tp, batch, _), result in zip(sent, results, strict=True):
            if isinstance(result, BaseException):
                raise result
            written[tp] = result.offset + batch.record_count()
        return written

    async def close(self) -> None:
        producer, reading = self._producer, self._reading
        self._producer = self._reading = None
        clients = [
            *([] if producer is None else [producer]),
            *([] if reading is None else reading.consumers),
        ]
        await asyncio.gather(*map(self._end, clients))
        if producer is not None:
            _private.take_note(producer)

    async def _end(self, client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
        if not await self._stop(client, client.stop()):
            await self._stop(client, _private.let_go(client))

    async def _stop(self, client: object, stopping: Coroutine[Any, Any, None]) -> bool:
        """Whether it has stopped; it never raises, and nothing it cancels inside cancels us."""
        task = asyncio.ensure_future(stopping)
        await asyncio.wait([task], timeout=_STOP_SECONDS)
        if task.done() and not task.cancelled() and task.exception() is None:
            return True
        error = None if task.cancelled() or not task.done() else task.exception()
        task.cancel()
        log.warning("%s: closing %s: %r", self._id, type(client).__name__, error or "not in order")
        return False
