"""Topics on a broker: create, look at, measure the lag of, delete."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    TopicAuthorizationFailedError,
    for_code,
)

from anabranch.engine.kafka import _private, access
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.requests import Metadata
from anabranch.errors import KafkaUnavailableError, TopologyError

_TOPIC_EXISTS = 36
_UNKNOWN_TOPIC = 3
_TOPIC_REFUSED = 29

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class TopicSettings:
    """A topic as it should be: physical name, partitions, configuration."""

    name: str
    partitions: int
    config: Mapping[str, str] = field(default_factory=dict)


class Topics:
    """Topic administration over one admin connection; an async context manager.

    Raises:
        KafkaUnavailableError: On entering, when no broker answers.
        KafkaAccessError: On entering, when the broker refuses our credentials or we its
            certificate; later, when a right is missing.
    """

    def __init__(self, client: KafkaClient) -> None:
        self._client = client
        self._admin = client.admin()
        self._reader: AIOKafkaConsumer | None = None

    async def __aenter__(self) -> Self:
        try:
            await self._admin.start()
        except (KafkaConnectionError, OSError) as error:
            await self._admin.close()
            why = await access.login_refused(self._client)
            if why is not None:
                raise why from error
            raise KafkaUnavailableError(
                f"no Kafka broker answers at {self._client.bootstrap}: {error}. "
                "Check the address, or start one for development with `make kafka`"
            ) from error
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reader is not None:
            await self._reader.stop()
        await self._admin.close()

    async def create(
        self, topics: Iterable[TopicSettings], replication: int = -1, *, dry_run: bool = False
    ) -> list[str]:
        """Create what is missing; returns the names created.

        Args:
            topics: What should be there.
            replication: Replication factor; -1 takes the broker's default.
            dry_run: Only ask the broker whether it would.

        Raises:
            TopologyError: A topic is there with another number of partitions, or the broker
                refuses one.
        """
        wanted = {topic.name: topic for topic in topics}
        there = await self.partitions(wanted)
        for name, count in there.items():
            if count != wanted[name].partitions:
                raise TopologyError(
                    f"topic {name} has {count} partitions, not {wanted[name].partitions}: set "
                    f"partitions to {count}, or delete the topic"
                )
        missing = [topic for name, topic in wanted.items() if name not in there]
        if not missing:
            return []
        response = await self._admin.create_topics(
            [
                NewTopic(
                    t.name,
                    t.partitions,
                    replication,
                    # aiokafka takes the broker's default only beside an (empty) assignment.
                    replica_assignments={} if replication == -1 else None,
                    topic_configs=dict(t.config),
                )
                for t in missing
            ],
            validate_only=dry_run,
        )
        for name, code, *message in response.topic_errors:
            if code == _TOPIC_REFUSED:
                raise self._refused(TopicAuthorizationFailedError(name), right="CREATE")
            if code not in {0, _TOPIC_EXISTS}:
                reason = message[0] if message and message[0] else for_code(code).__name__
                raise TopologyError(f"the broker refuses topic {name}: {reason}")
        if not dry_run:
            await self._settle([t.name for t in missing])
        return [t.name for t in missing]

    async def _settle(self, names: Iterable[str]) -> None:
        """Until every new topic has leaders, so that clients may use it at once."""
        waiting = set(names)
        for _ in range(100):
            described = await self.send(Metadata(sorted(waiting)))
            for code, name, _, partitions, _ in described.topics:
                if code == 0 and partitions and all(leader >= 0 for _, _, leader, *_ in partitions):
                    waiting.discard(name)
            if not waiting:
                return
            await asyncio.sleep(0.05)
        raise TopologyError(f"topics without a leader: {', '.join(sorted(waiting))}")

    @property
    def admin(self) -> AIOKafkaAdminClient:
        """The connection, for what is asked beyond topics."""
        return self._admin

    async def send(self, request: Any, node: int | None = None) -> Any:
        """A request's answer, of any broker where none is named."""
        return await _private.ask(self._admin, request, node)

    def _refused(self, error: KafkaError, *, right: str = "DESCRIBE", group: str = "") -> Exception:
        return access.refused(error, self._client, right=right, group=group) or error

    async def _started_reader(self) -> AIOKafkaConsumer:
        if self._reader is None:
            reader = self._client.consumer(isolation_level="read_uncommitted")
            await reader.start()
            self._reader = reader
        return self._reader

    async def partitions(self, names: Iterable[str]) -> dict[str, int]:
        """Physical name to partition count, of those that are there.

        Raises:
            KafkaAccessError: A topic may not be looked at, so nobody knows whether it is there.
        """
        described = await self.send(Metadata(sorted(names)))
        hidden = [name for code, name, *_ in described.topics if code == _TOPIC_REFUSED]
        if hidden:
            raise self._refused(TopicAuthorizationFailedError(hidden))
        return {name: len(parts) for code, name, _, parts, _ in described.topics if code == 0}

    async def names(self) -> list[str]:
        """Every topic of the broker that is not internal to Kafka."""
        return sorted(n for n in await self._admin.list_topics() if not n.startswith("__"))

    async def delete(self, names: Iterable[str]) -> None:
        """Delete topics; those that are not there are passed over."""
        there = await self.partitions(names)
        if there:
            response = await self._admin.delete_topics(sorted(there))
            kept = [name for name, code, *_ in response.topic_error_codes if code == _TOPIC_REFUSED]
            if kept:
                raise self._refused(TopicAuthorizationFailedError(kept), right="DELETE")

    async def high_watermarks(
        self, partitions: Iterable[TopicPartition]
    ) -> dict[TopicPartition, int]:
        """Partition to the offset after its last record, of transactions still open too."""
        ends: dict[TopicPartition, int] = await (await self._started_reader()).end_offsets(
            list(partitions)
        )
        return ends

    async def lag(self, group: str, topics: Iterable[str]) -> dict[str, int]:
        """Topic to records that the group has not consumed yet.

        Counted to the high watermark: a transaction's offsets may be there before its markers are
        on all partitions that it wrote to, and a committed reader sees no records there yet.
        """
        lag: dict[str, int] = {}
        for (topic, _), (begin, end, position) in (await self.offsets(group, topics)).items():
            at = begin if position is None else max(position, begin)
            lag[topic] = lag.get(topic, 0) + max(0, end - at)
        return lag

    async def offsets(
        self, group: str, topics: Iterable[str]
    ) -> dict[tuple[str, int], tuple[int, int, int | None]]:
        """Topic and partition to its first offset, its high watermark, and where the group is.

        The last is None where the group never committed; topics that are not there are left out.
        """
        counts = await self.partitions(topics)
        tps = [TopicPartition(t, p) for t, n in counts.items() for p in range(n)]
        try:
            committed = await patiently(
                lambda: self._admin.list_consumer_group_offsets(group, partitions=tps)
            )
        except GroupAuthorizationFailedError as error:
            raise self._refused(error, group=group) from error
        ends = await self.high_watermarks(tps)
        begins = await (await self._started_reader()).beginning_offsets(tps)
        found: dict[tuple[str, int], tuple[int, int, int | None]] = {}
        for tp in tps:
            meta = committed.get(tp)
            position = meta.offset if meta is not None and meta.offset >= 0 else None
            found[tp.topic, tp.partition] = begins[tp], ends[tp], position
        return found


async def patiently(call: Callable[[], Awaitable[T]], attempts: int = 50) -> T:
    """Again while the broker asks for patience: a coordinator is elected on first use."""
    for attempt in range(1, attempts + 1):
        try:
            return await call()
        except KafkaError as error:
            if not error.retriable or attempt == attempts:
                raise
            await asyncio.sleep(0.1)
    raise AssertionError
