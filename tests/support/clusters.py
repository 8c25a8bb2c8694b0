"""Both runtimes behind one face, for tests that must not know which one they run on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from aiokafka import TopicPartition

from anabranch.engine import Stage, TaskSettings
from anabranch.engine.breaker import BreakerSettings
from anabranch.engine.embedded import EmbeddedPort, EmbeddedWorker, Log
from anabranch.engine.kafka import KafkaClient, KafkaPort, KafkaWorker, Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.engine.port import Port
from anabranch.processors.protocol import Record

TASKS = TaskSettings(
    poll_timeout=0.05,
    retry_backoff=0.01,
    idle_commit=0.2,
    fenced_wait=2.0,
    stop_grace=3.0,
    breaker=BreakerSettings(pause=0.5),
)

Message = tuple[Any, ...]
"""Key, value and, where given, headers and timestamp."""


class Cluster(Protocol):
    name: str

    async def create(self, topics: dict[str, int], compact: Iterable[str] = ()) -> None: ...
    async def produce(self, topic: str, messages: Iterable[Message]) -> None: ...
    async def read(self, topic: str) -> list[Record]: ...
    async def lag(self, stage: Stage) -> int: ...
    def worker(self, *stages: Stage) -> Any: ...
    def port(self, stage: Stage, partition: int) -> Port: ...
    async def close(self) -> None: ...


class _Naming:
    prefix: str

    def physical(self, logical: str) -> str:
        return f"{self.prefix}.{logical}"

    def group(self, stage: str) -> str:
        return f"{self.prefix}-{stage}"


class EmbeddedCluster(_Naming):
    name = "embedded"
    prefix = "t"

    def __init__(self) -> None:
        self.log = Log()

    async def create(self, topics, compact=()) -> None:
        for topic, partitions in topics.items():
            self.log.create_topic(self.physical(topic), partitions, compact=topic in compact)

    async def produce(self, topic, messages) -> None:
        for key, value, *headers in messages:
            self.log.append(self.physical(topic), key, value, *headers)

    async def read(self, topic) -> list[Record]:
        return list(self.log.all(self.physical(topic)))

    async def lag(self, stage) -> int:
        group = self.group(stage.name)
        return sum(self.log.lag(group, self.physical(s)) for s in stage.sources)

    def worker(self, *stages):
        return _Embedded(
            EmbeddedWorker(
                self.log, stages, physical=self.physical, group=self.group, settings=TASKS
            )
        )

    def port(self, stage, partition) -> Port:
        return EmbeddedPort(
            self.log, stage, partition, group=self.group(stage.name), physical=self.physical
        )

    async def close(self) -> None:
        return None


class _Embedded:
    def __init__(self, worker: EmbeddedWorker) -> None:
        self._worker = worker
        self.hosts = worker.hosts
        self.start, self.stop, self.kill = worker.start, worker.stop, worker.kill

    async def wait_ready(self) -> None:
        for host in self._worker.hosts:
            await host.wait_ready()


class KafkaCluster(_Naming):
    name = "kafka"

    def __init__(self, bootstrap: str, prefix: str) -> None:
        self.prefix = prefix
        self.client = KafkaClient(bootstrap, session_timeout=6.0)

    async def create(self, topics, compact=()) -> None:
        async with Topics(self.client) as admin:
            await admin.create(
                TopicSettings(
                    self.physical(topic),
                    partitions,
                    {"cleanup.policy": "compact"} if topic in compact else {},
                )
                for topic, partitions in topics.items()
            )

    async def produce(self, topic, messages) -> None:
        producer = self.client.plain_producer()
        await producer.start()
        try:
            sent = [
                await producer.send(
                    self.physical(topic),
                    key=key,
                    value=value,
                    headers=list(more[0]) if more else [],
                    timestamp_ms=more[1] if more[1:] else None,
                )
                for key, value, *more in messages
            ]
            await asyncio.gather(*sent)
        finally:
            await producer.stop()

    async def read(self, topic) -> list[Record]:
        physical = self.physical(topic)
        consumer = self.client.consumer()
        await consumer.start()
        try:
            async with Topics(self.client) as admin:
                count = (await admin.partitions([physical]))[physical]
                tps = [TopicPartition(physical, n) for n in range(count)]
                ends = await admin.high_watermarks(tps)
            consumer.assign(tps)
            await consumer.seek_to_beginning(*tps)
            found: dict[TopicPartition, list[Record]] = {tp: [] for tp in tps}
            while any([await consumer.position(tp) < ends[tp] for tp in tps]):
                for tp, records in (await consumer.getmany(timeout_ms=100)).items():
                    found[tp] += records
            return [record for tp in tps for record in found[tp]]
        finally:
            await consumer.stop()

    async def lag(self, stage) -> int:
        async with Topics(self.client) as admin:
            lag = await admin.lag(self.group(stage.name), map(self.physical, stage.sources))
        return sum(lag.values())

    def worker(self, *stages):
        return KafkaWorker(
            self.client, stages, physical=self.physical, group=self.group, settings=TASKS
        )

    def port(self, stage, partition) -> Port:
        return KafkaPort(
            self.client, stage, partition, group=self.group(stage.name), physical=self.physical
        )

    async def close(self) -> None:
        async with Topics(self.client) as admin:
            await admin.delete(n for n in await admin.names() if n.startswith(self.prefix))


async def drained(cluster: Cluster, *stages: Stage, within: float = 60.0) -> None:
    """Until no stage has anything left to read."""
    await eventually(lambda: _no_lag(cluster, stages), within, "the stages to catch up")


async def _no_lag(cluster: Cluster, stages: Sequence[Stage]) -> bool:
    return not any([await cluster.lag(stage) for stage in stages])


async def eventually(condition: Any, within: float = 30.0, what: str = "the condition") -> None:
    """Until the (possibly async) condition holds; fails after ``within`` seconds."""
    deadline = time.monotonic() + within
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {within} s in vain for {what}")
        await asyncio.sleep(0.05)
