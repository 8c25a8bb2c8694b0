"""A worker in a process of its own; the clock is that of the one that produces and reads."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer

from anabranch.engine.kafka.batches import partition_batches
from anabranch.engine.outbox import Entry
from anabranch.runtime import KafkaPipeline
from anabranch.settings import Settings, load_settings
from anabranch.topology import Names
from benchmarks.assign.work import EXPERIMENT
from benchmarks.contestants import ContestantError, Figures

_TICK = 0.005
_WARM_UP = 20.0
"""Seconds at the rate that is measured: a broker's JVM compiles what it does often only then."""
_PATIENCE = 60.0


def compete(
    bootstrap: str,
    *,
    seconds: float,
    partitions: int,
    progress: Callable[[str], None],
) -> dict[str, Figures]:
    """Quantiles in milliseconds, at 5,000 contexts a second and at one.

    Raises:
        ContestantError: The worker ended, or an assignment did not come.
    """
    figures: dict[str, Figures] = {}
    for rate, duration in ((5_000, seconds), (1, max(seconds, 20))):
        progress(f"{rate:,} contexts a second")
        found = asyncio.run(_measure(bootstrap, rate, duration, partitions))
        cuts = statistics.quantiles(found, n=100, method="inclusive")
        for label, at in (("p50", 49), ("p99", 98)):
            figures[f"{label} at {rate:,}/s, of {len(found):,}"] = Figures([], [cuts[at] * 1000])
    return figures


async def _measure(bootstrap: str, rate: int, seconds: float, partitions: int) -> list[float]:
    settings = load_settings(
        bootstrap=bootstrap, prefix=f"bench{uuid.uuid4().hex[:8]}", partitions=partitions
    )
    with tempfile.TemporaryDirectory() as folder:
        specs = Path(folder) / "spec.json"
        document = EXPERIMENT.model_dump(mode="json", by_alias=True, exclude_none=True)
        specs.write_text(json.dumps({"kind": "Experiment", **document}))
        async with KafkaPipeline(settings) as pipeline:
            await pipeline.create_topics()
            worker = subprocess.Popen(  # noqa: ASYNC220 - started once, before anything is timed
                [
                    *(sys.executable, "-m", "anabranch", "worker", "assign"),
                    *("--bootstrap", bootstrap, "--prefix", settings.prefix),
                    *("--specs", str(specs)),
                ],
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env={**os.environ, "ANABRANCH_PARTITIONS": str(partitions)},
            )
            try:
                return await _run(settings, rate, seconds, worker)
            finally:
                worker.send_signal(signal.SIGTERM)
                worker.wait(30)
                await pipeline.destroy()


async def _run(
    settings: Settings, rate: int, seconds: float, worker: subprocess.Popen[bytes]
) -> list[float]:
    names = Names(settings.prefix)
    consumer = AIOKafkaConsumer(
        names.topic("assignments"),
        bootstrap_servers=settings.bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
    )
    producer = AIOKafkaProducer(bootstrap_servers=settings.bootstrap, linger_ms=0)
    await producer.start()
    await consumer.start()
    sent: dict[bytes, float] = {}
    found: dict[bytes, float] = {}
    reading = asyncio.create_task(_read(consumer, sent, found))
    try:
        warm = await _produce(
            producer, names.topic("contexts"), max(rate, 20), _WARM_UP, "warm", sent
        )
        await _until(lambda: len(found) >= warm, worker)
        sent.clear()
        found.clear()
        count = await _produce(producer, names.topic("contexts"), rate, seconds, "u", sent)
        await _until(lambda: len(found) >= count, worker)
    finally:
        reading.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await reading
        await consumer.stop()
        await producer.stop()
    return list(found.values())


async def _produce(
    producer: AIOKafkaProducer,
    topic: str,
    rate: int,
    seconds: float,
    name: str,
    sent: dict[bytes, float],
) -> int:
    """At an even pace, all that is due each tick as one batch; how many were sent."""
    partitions = len(await producer.partitions_for(topic))
    begin = time.perf_counter()
    count = 0
    while (now := time.perf_counter()) < begin + seconds:
        due = int((now - begin) * rate) + 1 - count
        if due > 0:
            entries: list[Entry] = []
            for n in range(count, count + due):
                unit = f"{name}-{n}"
                value = b'{"userId":"%b","exposure":false}' % unit.encode()
                entries.append((unit.encode(), value, [], None))
                sent[f"user:{unit}|{EXPERIMENT.key}".encode()] = now
            built = partition_batches(producer, topic, partitions, entries, keyless=0)
            for tp, batches in built.items():
                for batch in batches:
                    await producer.send_batch(batch, topic, partition=tp.partition)
            count += due
        await asyncio.sleep(_TICK)
    return count


async def _read(
    consumer: AIOKafkaConsumer, sent: dict[bytes, float], found: dict[bytes, float]
) -> None:
    while True:
        polled = await consumer.getmany(timeout_ms=100)
        now = time.perf_counter()
        for records in polled.values():
            for record in records:
                if record.key in sent:
                    found[record.key] = now - sent[record.key]


async def _until(done: Callable[[], bool], worker: subprocess.Popen[bytes]) -> None:
    deadline = time.perf_counter() + _PATIENCE
    while not done():
        if worker.poll() is not None:
            raise ContestantError(f"the worker ended with {worker.returncode}")
        if time.perf_counter() > deadline:
            raise ContestantError(f"an assignment did not come within {_PATIENCE:g} s")
        await asyncio.sleep(0.05)
