"""``python -m tools.reload_latency``: how long until a published spec decides in every worker.

Starts workers as processes of their own, keeps contexts coming to every partition, publishes a
change of the experiment again and again, and takes the time from the publication's commit until
the first assignment of each partition that carries the new digest has been read back. The slowest
partition of each round counts: by then every worker has taken the change in.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from anabranch.demo import EXPERIMENT, demo_catalog
from anabranch.lifecycle import propose
from anabranch.runtime.client import kafka_client
from anabranch.runtime.kafka import KafkaPipeline
from anabranch.runtime.publishing import KafkaSpecStore
from anabranch.settings import Settings, load_settings
from anabranch.specs import ExperimentSpec, Spec
from anabranch.topology import Names
from tools.devkafka import start

_PATIENCE = 60.0


def main() -> int:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m tools.reload_latency", description=__doc__)
    parser.add_argument("--workers", type=int, default=2, help="processes (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=30, help="publications (default: 30)")
    parser.add_argument("--partitions", type=int, default=4, help="of every topic (default: 4)")
    parser.add_argument("--rate", type=int, default=400, help="contexts a second (default: 400)")
    parser.add_argument("--bootstrap", help="broker; by default one is started")
    options = parser.parse_args()
    if options.bootstrap:
        print(asyncio.run(_measure(options.bootstrap, options)))
    else:
        with start() as broker:
            print(asyncio.run(_measure(broker.bootstrap, options)))
    return 0


async def _measure(bootstrap: str, options: argparse.Namespace) -> str:
    prefix = f"reload{uuid.uuid4().hex[:8]}"
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, partitions=options.partitions)
    store = KafkaSpecStore(kafka_client(settings), Names(prefix))
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        try:
            await _publish(store, *demo_catalog())
            async with _workers(settings, options.workers), _Traffic(settings, options.rate) as t:
                first = demo_catalog().experiments.require(EXPERIMENT)
                await t.everywhere(first.digest)
                t.latencies.clear()
                taken = [await _round(store, t, n) for n in range(options.rounds)]
        finally:
            await pipeline.destroy()
    slowest = sorted(slow for slow, _ in taken)
    usual = sorted(1000 * seconds for seconds in t.latencies)
    return (
        f"{options.workers} workers, {options.partitions} partitions, {options.rate} contexts a "
        f"second, {options.rounds} publications\n"
        f"commit to the last partition's first assignment: median "
        f"{statistics.median(slowest):.0f} ms, maximum {slowest[-1]:.0f} ms\n"
        f"(of this, a context's own way to its assignment: median "
        f"{statistics.median(usual):.0f} ms, 99 % within {usual[len(usual) * 99 // 100]:.0f} ms)\n"
        f"publishing itself: median {statistics.median(took for _, took in taken):.0f} ms"
    )


async def _publish(store: KafkaSpecStore, *specs: Spec) -> None:
    publication = propose(await store.look(), specs)
    entries = publication.entries(at="", who="reload_latency", action="publish", why="")
    await store.publish(publication, list(entries))


async def _round(store: KafkaSpecStore, traffic: _Traffic, number: int) -> tuple[float, float]:
    """Milliseconds from the commit to the slowest partition, and of the publication itself."""
    spec: ExperimentSpec = demo_catalog().experiments.require(EXPERIMENT)
    changed = spec.model_copy(
        update={"meta": spec.meta.model_copy(update={"title": f"round {number}"})}
    )
    began = time.monotonic()
    await _publish(store, changed)
    committed = time.monotonic()
    last = await traffic.everywhere(changed.digest)
    await asyncio.sleep(0.1)
    return 1000 * (last - committed), 1000 * (committed - began)


@asynccontextmanager
async def _workers(settings: Settings, count: int) -> AsyncIterator[None]:
    with tempfile.TemporaryDirectory() as directory:
        logs = [(Path(directory) / f"{n}.log").open("wb") for n in range(count)]
        arguments = ("-m", "anabranch", "worker", "--bootstrap", str(settings.bootstrap))
        processes = [
            await asyncio.create_subprocess_exec(
                sys.executable, *arguments, "--prefix", settings.prefix, stdout=log, stderr=log
            )
            for log in logs
        ]
        try:
            yield
        finally:
            for process in processes:
                process.terminate()
            for process in processes:
                await process.wait()
            for log in logs:
                log.close()


class _Traffic:
    """Contexts of ever new users to every partition, and when each partition used which spec."""

    def __init__(self, settings: Settings, rate: int) -> None:
        names, client = Names(settings.prefix), kafka_client(settings)
        self._contexts = names.topic("contexts")
        self._assignments = names.topic("assignments")
        self._partitions = settings.partitions
        self._pause = settings.partitions / rate
        self._producer: AIOKafkaProducer = client.plain_producer()
        self._consumer: AIOKafkaConsumer = client.consumer()
        self._running: list[asyncio.Task[None]] = []
        self._seen: dict[str, dict[int, float]] = {}
        self._sent: dict[str, float] = {}
        self.latencies: list[float] = []
        """Seconds from sending each context until its assignment was read back."""

    async def __aenter__(self) -> Self:
        await self._producer.start()
        await self._consumer.start()
        tps = [TopicPartition(self._assignments, n) for n in range(self._partitions)]
        self._consumer.assign(tps)
        await self._consumer.seek_to_beginning(*tps)
        self._running = [asyncio.create_task(self._send()), asyncio.create_task(self._read())]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._running:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self._producer.stop()
        await self._consumer.stop()

    async def everywhere(self, digest: str) -> float:
        """When the last partition first used the spec, on the monotonic clock."""
        async with asyncio.timeout(_PATIENCE):
            while len(self._seen.get(digest, ())) < self._partitions:
                for task in self._running:
                    if task.done():
                        task.result()
                await asyncio.sleep(0.001)
        return max(self._seen[digest].values())

    async def _send(self) -> None:
        number = 0
        while True:
            number += 1
            for n in range(self._partitions):
                self._sent[f"user:{n}.{number}"] = time.monotonic()
                value = json.dumps({"userId": f"{n}.{number}"}).encode()
                await self._producer.send(self._contexts, value, partition=n)
            await asyncio.sleep(self._pause)

    async def _read(self) -> None:
        while True:
            polled = await self._consumer.getmany(timeout_ms=1000)
            now = time.monotonic()
            for records in polled.values():
                for record in records:
                    told = json.loads(record.value)
                    partition = int(told["unit"].removeprefix("user:").partition(".")[0])
                    self.latencies.append(now - self._sent.pop(told["unit"], now))
                    self._seen.setdefault(told["digest"], {}).setdefault(partition, now)


if __name__ == "__main__":
    sys.exit(main())
