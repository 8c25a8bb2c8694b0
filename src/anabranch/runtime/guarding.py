"""Pauses experiments whose guardrails were breached, on either runtime.

Alerts that pause are read from the alerts topic and published as a pause like anybody's: under the
publishers' one transactional id and held against what the topics say, so that of two who publish
at once one wins, and a newer version is never overwritten. The audit's entry names the alert; an
alert that is in the audit is done. So each pauses once, however often it is read: by several
workers, or again after a crash between the pause and the committed position.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final, Protocol, Self

import msgspec
from aiokafka.errors import KafkaError

from anabranch.engine.embedded import Log
from anabranch.engine.kafka import KafkaClient, access
from anabranch.errors import (
    FencedError,
    KafkaAccessError,
    OutcomeUnknownError,
    PublishConflictError,
    SpecError,
)
from anabranch.events.cloudevents import format_time
from anabranch.events.models import Alert
from anabranch.lifecycle import pause_for
from anabranch.processors.protocol import Record
from anabranch.runtime.publishing import SpecStore
from anabranch.topology import Names

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

__all__ = ["AlertsLog", "EmbeddedAlertsLog", "Guarding", "KafkaAlertsLog"]

log = logging.getLogger(__name__)

GROUP: Final = "guard"
"""Consumer group of the readers of alerts, and the right they need."""

_POLL: Final = 0.5
_CHUNK: Final = 1_000
_BACKOFF = 1.0
_ATTEMPTS: Final = 20

_decode = msgspec.json.Decoder(Alert).decode


class AlertsLog(Protocol):
    """The alerts topic, shared with the other workers' readers."""

    async def open(self) -> None: ...

    async def close(self) -> None: ...

    async def read(self, wait: float) -> Sequence[Record]:
        """The next records of this reader's share, none after ``wait`` seconds without any."""
        ...

    async def done(self) -> None:
        """All that was read has been seen to."""
        ...


class EmbeddedAlertsLog:
    """The topic of an in-process log, which has one reader."""

    def __init__(self, records: Log, names: Names) -> None:
        self._log = records
        self._topic = names.topic("alerts")
        self._seen: dict[int, int] = {}
        self._at: dict[int, int] = {}

    async def open(self) -> None:
        self._at = dict.fromkeys(range(self._log.partitions(self._topic)), 0) | self._seen

    async def close(self) -> None:
        return None

    async def read(self, wait: float) -> Sequence[Record]:
        found = self._read()
        if not found:
            await self._log.wait(wait)
            found = self._read()
        return found

    def _read(self) -> list[Record]:
        found: list[Record] = []
        for n, at in self._at.items():
            records = self._log.read(self._topic, n, at, _CHUNK)
            if records:
                found += records
                self._at[n] = records[-1].offset + 1
        return found

    async def done(self) -> None:
        self._seen = dict(self._at)


class KafkaAlertsLog:
    """The topic on brokers, read by one consumer group of all workers."""

    def __init__(self, client: KafkaClient, names: Names) -> None:
        self._client = client
        self._topic = names.topic("alerts")
        self._group = names.group(GROUP)
        self._consumer: AIOKafkaConsumer | None = None

    async def open(self) -> None:
        with self._rights():
            await self._open()

    @contextmanager
    def _rights(self) -> Iterator[None]:
        """Says which right is missing where the broker does not let us read."""
        try:
            yield
        except KafkaError as error:
            why = access.refused(
                error, self._client, right="READ", topics=[self._topic], group=self._group
            )
            if why is None:
                raise
            raise why from error

    async def _open(self) -> None:
        consumer = self._consumer = self._client.consumer(
            self._group,
            auto_offset_reset="earliest",
            session_timeout_ms=round(self._client.session_timeout * 1000),
            heartbeat_interval_ms=round(self._client.session_timeout * 1000 / 3),
            metadata_max_age_ms=5_000,
        )
        consumer.subscribe([self._topic])
        await consumer.start()

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    async def read(self, wait: float) -> Sequence[Record]:
        if self._consumer is None:
            return ()
        with self._rights():
            polled = await self._consumer.getmany(timeout_ms=round(wait * 1000), max_records=_CHUNK)
        return [record for of_partition in polled.values() for record in of_partition]

    async def done(self) -> None:
        if self._consumer is not None:
            await self._consumer.commit()


class Guarding:
    """Pauses what alerts say must be paused, for the time of an ``async with``.

    Where brokers go away it waits and goes on behind the last alert that was seen to.

    Args:
        alerts: Where they are told.
        store: Where a pause is published.
        clock: Seconds since the epoch, for the audit.
    """

    def __init__(
        self, alerts: AlertsLog, store: SpecStore, clock: Callable[[], float] = time.time
    ) -> None:
        self._alerts = alerts
        self._store = store
        self._clock = clock
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="guarding")
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                await self._alerts.open()
                while True:
                    records = await self._alerts.read(_POLL)
                    if records:
                        await self._see_to(records)
                        await self._alerts.done()
            except Exception as error:
                expected = isinstance(error, OutcomeUnknownError | KafkaAccessError | OSError)
                log.warning("guarding begins again after: %r", error, exc_info=not expected)
            finally:
                await self._alerts.close()
            await asyncio.sleep(_BACKOFF)

    async def _see_to(self, records: Iterable[Record]) -> None:
        for record in records:
            if b'"pause"' not in (record.value or b""):
                continue
            try:
                alert = _decode(record.value or b"")
            except msgspec.DecodeError as error:
                log.warning(
                    "%s[%d]@%d is no alert: %s",
                    record.topic,
                    record.partition,
                    record.offset,
                    error,
                )
                continue
            try:
                await self._pause(alert)
            except SpecError as error:
                log.error(  # noqa: TRY400 - the message says it all
                    "%s was not paused, %s: %s", alert.experiment, alert.message, error
                )

    async def _pause(self, alert: Alert) -> None:
        for _ in range(_ATTEMPTS):
            found = pause_for(
                await self._store.look(), alert, at=format_time(int(self._clock() * 1000))
            )
            if found is None:
                return
            try:
                await self._store.publish(*found)
            except PublishConflictError:
                continue  # somebody was faster: look again what there is to do
            log.warning(
                "paused %s %s, %s: %s", alert.experiment, alert.version, alert.kind, alert.message
            )
            return
        raise FencedError(
            f"{alert.experiment} {alert.version} was being changed all the time: tried "
            f"{_ATTEMPTS} times to pause it"
        )
