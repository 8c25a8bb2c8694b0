"""The specs topic of either runtime, as a reader of its own has it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec
from aiokafka import TopicPartition
from aiokafka.errors import KafkaConnectionError, KafkaError, ProducerFenced

from anabranch.engine.embedded import Log
from anabranch.engine.kafka import KafkaClient, Topics, access
from anabranch.engine.kafka.transactions import transact, transactional
from anabranch.engine.outbox import ERROR_PREFIX, error_headers
from anabranch.errors import KafkaUnavailableError, SpecLoadError, TopologyError
from anabranch.events.cloudevents import format_time
from anabranch.events.ids import alert_id
from anabranch.events.models import Alert
from anabranch.lifecycle import Refusal, SpecName
from anabranch.metrics.kinds import Kind
from anabranch.processors.protocol import Record
from anabranch.specs import ExperimentSpec
from anabranch.topology import Names

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

__all__ = ["EmbeddedSpecsLog", "KafkaSpecsLog", "missing_topic", "read_all"]

log = logging.getLogger(__name__)

_CHUNK = 10_000
_ATTEMPTS = 10


class EmbeddedSpecsLog:
    """The specs topic of an in-process log (a :class:`~anabranch.runtime.specs.SpecsLog`)."""

    def __init__(self, records: Log, names: Names) -> None:
        self._log = records
        self._topic = names.topic("specs")
        self._dead = names.topic("specs.dlq")
        self._alerts = names.topic("alerts")
        self._at: dict[int, int] = {}

    async def open(self, positions: Mapping[int, int]) -> bool:
        self._at = dict.fromkeys(range(self._log.partitions(self._topic)), 0) | dict(positions)
        return True

    async def close(self) -> None:
        return None

    async def ends(self) -> Mapping[int, int]:
        return {n: self._log.end(self._topic, n) for n in self._at}

    async def read(self, wait: float) -> tuple[Sequence[Record], Mapping[int, int]]:
        found = self._read()
        if not found:
            await self._log.wait(wait)
            found = self._read()
        return found, dict(self._at)

    def _read(self) -> list[Record]:
        found: list[Record] = []
        for n, at in self._at.items():
            records = self._log.read(self._topic, n, at, _CHUNK)
            if records:
                found += records
                self._at[n] = records[-1].offset + 1
        return found

    async def bury(self, refusal: Refusal) -> bool:
        if _buried(refusal, self._log.all(self._dead)):
            return False
        record = refusal.record
        headers = [*record.headers, *error_headers(record, refusal.error)]
        self._log.append(self._dead, record.key, record.value, headers, record.timestamp)
        self._log.append(self._alerts, *_alert(refusal))
        return True


class KafkaSpecsLog:
    """The specs topic on brokers (a :class:`~anabranch.runtime.specs.SpecsLog`).

    Args:
        client: The brokers.
        names: Prefix of the topics.
        buries: Whether refused records go to the dead letters; who only looks leaves that to
            workers, and needs no right to write.

    Raises:
        TopologyError: On opening, when the topic is missing.
        KafkaUnavailableError: On opening, when no broker answers.
        KafkaAccessError: On opening, when the broker refuses us or does not let us read it.
    """

    def __init__(self, client: KafkaClient, names: Names, *, buries: bool = True) -> None:
        self._client = client
        self._buries = buries
        self._topic = names.topic("specs")
        self._dead = names.topic("specs.dlq")
        self._alerts = names.topic("alerts")
        self._transactional_id = names.group("specs-refusals")
        self._consumer: AIOKafkaConsumer | None = None
        self._tps: list[TopicPartition] = []

    async def open(self, positions: Mapping[int, int]) -> bool:
        async with Topics(self._client) as topics:
            count = (await topics.partitions([self._topic])).get(self._topic)
        if count is None:
            raise missing_topic(self._topic)
        self._tps = [TopicPartition(self._topic, n) for n in range(count)]
        consumer = self._consumer = await _started(self._client)
        consumer.assign(self._tps)
        begins = await consumer.beginning_offsets(self._tps)
        ends = await consumer.end_offsets(self._tps)
        same = all(positions.get(tp.partition, 0) <= ends[tp] for tp in self._tps)
        for tp in self._tps:
            at = positions.get(tp.partition, 0) if same else 0
            consumer.seek(tp, max(at, begins[tp]))
        return same

    async def close(self) -> None:
        consumer, self._consumer = self._consumer, None
        if consumer is not None:
            await consumer.stop()

    def _open(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            raise KafkaUnavailableError(f"{self._topic} is not open: its broker went away")
        return self._consumer

    async def ends(self) -> Mapping[int, int]:
        consumer = self._open()
        with _rights(self._client, [self._topic]):
            ends = await consumer.end_offsets(self._tps)
        return {tp.partition: end for tp, end in ends.items()}

    async def read(self, wait: float) -> tuple[Sequence[Record], Mapping[int, int]]:
        consumer = self._open()
        with _rights(self._client, [self._topic]):
            polled = await consumer.getmany(timeout_ms=round(wait * 1000))
        if len(consumer.partitions_for_topic(self._topic) or ()) > len(self._tps):
            await self._widen()
        records = [record for of_partition in polled.values() for record in of_partition]
        return records, {tp.partition: await self._open().position(tp) for tp in self._tps}

    async def _widen(self) -> None:
        """Read new partitions too; they are noticed when the client refreshes its metadata."""
        at = {tp.partition: await self._open().position(tp) for tp in self._tps}
        log.warning("%s has more partitions than before: reading those too", self._topic)
        await self.close()
        await self.open(at)

    async def bury(self, refusal: Refusal) -> bool:
        """In a transaction that looks first: of all workers that refuse the record, one writes."""
        if not self._buries:
            return False
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                return await self._bury(refusal)
            except ProducerFenced:
                await asyncio.sleep(0.05 * attempt)
        return False

    async def _bury(self, refusal: Refusal) -> bool:
        record = refusal.record
        headers = [*record.headers, *error_headers(record, refusal.error)]
        async with transactional(self._client, self._transactional_id) as producer:
            if _buried(refusal, (await read_all(self._client, [self._dead]))[self._dead]):
                return False
            letter = record.key, record.value, headers, record.timestamp
            told = *_alert(refusal), (), None
            await transact(producer, [(self._dead, letter), (self._alerts, told)])
        return True


async def read_all(client: KafkaClient, names: Collection[str]) -> dict[str, list[Record]]:
    """Every committed record of some topics, partition by partition.

    Raises:
        TopologyError: A topic is missing.
        KafkaUnavailableError: No broker answers.
        KafkaAccessError: It refuses us, or does not let us read a topic.
    """
    async with Topics(client) as topics:
        counts = await topics.partitions(names)
    for name in names:
        if name not in counts:
            raise missing_topic(name)
    tps = [TopicPartition(name, n) for name in names for n in range(counts[name])]
    consumer = await _started(client)
    try:
        consumer.assign(tps)
        await consumer.seek_to_beginning(*tps)
        ends = await consumer.end_offsets(tps)
        found: dict[TopicPartition, list[Record]] = {tp: [] for tp in tps}
        with _rights(client, names):
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[tp] += records
    finally:
        await consumer.stop()
    return {
        name: [
            record
            for tp in tps
            if tp.topic == name
            for record in found[tp]
            if record.offset < ends[tp]
        ]
        for name in names
    }


@contextmanager
def _rights(client: KafkaClient, topics: Collection[str]) -> Iterator[None]:
    """Says which right is missing where the broker does not let us read."""
    try:
        yield
    except KafkaError as error:
        why = access.refused(error, client, right="READ", topics=topics)
        if why is None:
            raise
        raise why from error


def missing_topic(name: str) -> TopologyError:
    """What to say of a topic that is not there."""
    return TopologyError(
        f"topic {name} is missing: is the prefix right? `anabranch topics create` makes it"
    )


async def _started(client: KafkaClient) -> AIOKafkaConsumer:
    consumer = client.consumer()
    try:
        await consumer.start()
    except (KafkaConnectionError, OSError) as error:
        await consumer.stop()
        raise KafkaUnavailableError(
            f"no Kafka broker answers at {client.bootstrap}: {error}"
        ) from error
    except KafkaError:
        await consumer.stop()
        raise
    return consumer


def _alert(refusal: Refusal) -> tuple[bytes, bytes]:
    """Key and value of the alert about a refusal; keyed by experiment where it is of one."""
    record = refusal.record
    experiment: str | msgspec.UnsetType = msgspec.UNSET
    version: str | msgspec.UnsetType = msgspec.UNSET
    with suppress(SpecLoadError):
        name = SpecName.parse(record.key)
        if name.kind == ExperimentSpec.kind:
            experiment, version = name.key, name.version
    at = format_time(record.timestamp)
    alert = Alert(
        id=alert_id(str(Kind.SPEC_REFUSED), record.topic, record.partition, record.offset),
        kind=str(Kind.SPEC_REFUSED),
        state="raised",
        at=at,
        since=at,
        message=f"a record of the specs topic is refused, what held before stays: {refusal}",
        evidence={
            "key": refusal.key,
            "partition": record.partition,
            "offset": record.offset,
            "error": type(refusal.error).__name__,
        },
        experiment=experiment,
        version=version,
    )
    return (experiment or refusal.key).encode(), msgspec.json.encode(alert)


def _buried(refusal: Refusal, letters: Iterable[Record]) -> bool:
    """Whether some letter is of this record, by the place that its headers tell."""
    record = refusal.record
    place = {
        (f"{ERROR_PREFIX}partition", str(record.partition).encode()),
        (f"{ERROR_PREFIX}offset", str(record.offset).encode()),
    }
    return any(place <= set(letter.headers) for letter in letters)
