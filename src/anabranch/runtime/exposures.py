"""Exposures on their way to Kafka: a bounded queue, and a sender that believes only answers.

An exposure counts as sent once all in-sync replicas have acknowledged it. Until then it stays in
the queue and is tried again, under the id it had, so that a repeat can be told. While no broker
answers the queue fills; what does not fit is dropped and counted, and is told again by the unit's
next use, for only what is in the queue or was sent is taken for told.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict, deque
from contextlib import suppress
from typing import TYPE_CHECKING, Final, Protocol, Self

from aiokafka.errors import KafkaError

from anabranch.assignment import Evaluation
from anabranch.engine.kafka import KafkaClient
from anabranch.engine.kafka.batches import partition_batches
from anabranch.events.records import Headers
from anabranch.events.tracing import NO_TRACE
from anabranch.flags.exposures import DAY, ExposureEvent, exposure_event

if TYPE_CHECKING:
    from aiokafka import AIOKafkaProducer

__all__ = ["Delivery", "ExposureQueue", "KafkaExposures"]

log = logging.getLogger(__name__)

_BATCH: Final = 1_000
_BACKOFF: Final = 0.5


class Delivery(Protocol):
    """Takes exposures to wherever they are kept."""

    async def deliver(self, events: list[ExposureEvent]) -> None:
        """Returns once they are acknowledged.

        Raises:
            Exception: Some may not have arrived; try all of them again.
        """
        ...

    async def close(self) -> None: ...


class KafkaExposures:
    """The topic ``exposures`` on brokers.

    Args:
        client: The brokers.
        topic: Physical name.
        patience: Seconds until what is not acknowledged is taken for failed.
    """

    def __init__(self, client: KafkaClient, topic: str, *, patience: float = 10.0) -> None:
        self._client = client
        self._topic = topic
        self._patience = patience
        self._producer: AIOKafkaProducer | None = None

    async def deliver(self, events: list[ExposureEvent]) -> None:
        try:
            async with asyncio.timeout(self._patience):
                await self._send(events)
        except BaseException:
            # A new producer: what an idempotent one gave up on leaves a gap in its sequence.
            await self.close()
            raise

    async def _send(self, events: list[ExposureEvent]) -> None:
        producer = self._producer
        if producer is None:
            producer = self._producer = self._client.plain_producer()
            await producer.start()
        count = len(await producer.partitions_for(self._topic))
        entries = [(event.key, event.value, event.headers, event.time) for event in events]
        built = partition_batches(producer, self._topic, count, entries, keyless=0)
        sent = [
            await producer.send_batch(batch, self._topic, partition=tp.partition)
            for tp, batches in built.items()
            for batch in batches
        ]
        await asyncio.gather(*sent)

    async def close(self) -> None:
        """At once: what is not acknowledged is the queue's to try again."""
        producer, self._producer = self._producer, None
        if producer is None:
            return
        with suppress(TimeoutError, KafkaError, OSError):
            async with asyncio.timeout(1):
                await producer.stop()


class ExposureQueue:
    """Delivers for the time of an ``async with``, and for a grace after it.

    Args:
        delivery: Where to.
        most: Exposures that wait at most.
        told: Exposures that are remembered at most, so that they are not told twice in a period.
        period_ms: How long an exposure of a unit to a variant is told once.
        grace: Seconds that what waits at the end may take.

    Attributes:
        sent: Acknowledged.
        repeated: Not told, for they had been.
        dropped: Not told, for the queue was full.
        failed: Attempts that were not acknowledged.
        lost: Waiting when the grace was over.
        reachable: Whether the last attempt was acknowledged; None before the first.
    """

    def __init__(
        self,
        delivery: Delivery,
        *,
        most: int = 10_000,
        told: int = 200_000,
        period_ms: int = DAY,
        grace: float = 5.0,
    ) -> None:
        self._delivery = delivery
        self._most = most
        self._remembered = told
        self._period_ms = period_ms
        self._grace = grace
        self._waiting: deque[ExposureEvent] = deque()
        self._told: OrderedDict[tuple[str, str, str | None, str, int], None] = OrderedDict()
        self._there = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = False
        self.sent = self.repeated = self.dropped = self.failed = self.lost = 0
        self.reachable: bool | None = None

    def __len__(self) -> int:
        """How many wait, those under way included."""
        return len(self._waiting)

    def use(
        self,
        found: Evaluation,
        now: int,
        trace: Headers = NO_TRACE,
        segments: dict[str, str] | None = None,
    ) -> None:
        """Tell the exposure that a use is, unless it was told in this period.

        Args:
            found: What was used; whoever is not enrolled is not exposed.
            now: Milliseconds since the epoch.
            trace: Headers of the trace that the use belongs to.
            segments: Those of the experiment that the context belongs to.
        """
        if not found.enrolled or found.unit is None:
            return
        period = now // max(1, self._period_ms)
        name = found.experiment, found.version, found.unit, found.variant.id, period
        told = self._told
        if name in told:
            told.move_to_end(name)
            self.repeated += 1
            return
        if len(self._waiting) >= self._most:
            if not self.dropped:
                log.error("exposures are dropped: %d wait, and no broker takes them", self._most)
            self.dropped += 1
            return
        event = exposure_event(
            found, now, period_ms=self._period_ms, trace=trace, segments=segments
        )
        if event is None:
            return
        told[name] = None
        if len(told) > self._remembered:
            told.popitem(last=False)
        self._waiting.append(event)
        self._there.set()

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="exposures")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        self._there.set()
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=self._grace)
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
        await self._delivery.close()
        if self._waiting:
            self.lost += len(self._waiting)
            log.error("%d exposures were not acknowledged in time, and are lost", self.lost)

    async def _run(self) -> None:
        while True:
            if not self._waiting:
                if self._closing:
                    return
                self._there.clear()
                await self._there.wait()
                continue
            batch = [self._waiting[n] for n in range(min(_BATCH, len(self._waiting)))]
            try:
                await self._delivery.deliver(batch)
            except Exception as error:  # noqa: BLE001 - tried again, whatever it was
                if self.reachable is not False:
                    log.warning("exposures wait, for they were not acknowledged: %r", error)
                self.failed += 1
                self.reachable = False
                await asyncio.sleep(_BACKOFF)
                continue
            if self.reachable is False:
                log.info("exposures are acknowledged again")
            self.reachable = True
            self.sent += len(batch)
            for _ in batch:
                self._waiting.popleft()
