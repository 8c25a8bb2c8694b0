"""Contestants by turns over one input topic; each figure stands for a run that was verified."""

from __future__ import annotations

import asyncio
import contextlib
import json
import subprocess
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import GroupCoordinatorNotAvailableError

from anabranch.engine.kafka import Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.processors.protocol import Record
from anabranch.runtime import KafkaPipeline, Message, kafka_client
from anabranch.settings import Settings, load_settings
from benchmarks.assign.work import contexts
from benchmarks.contestants import ContestantError
from benchmarks.peers import work
from benchmarks.peers.contestants import ASSIGNERS, COUNTERS, Peer
from benchmarks.peers.meter import Measured, Progress, between, watch

WARM_UP = 2
"""How many times the measured records are processed, as others of the same kind, before them."""

_PATIENCE = 60.0
_STOP = 30.0


@dataclass(frozen=True)
class Job:
    """A piece of work.

    Attributes:
        name: ``assign`` or ``count``.
        source: Logical name of the input topic.
        fill: Records to put there.
        expect: From the input as read to what must come out.
        wrong: What is wrong with the output as read, if anything.
        peers: Who does it.
    """

    name: str
    source: str
    fill: Callable[[int], Iterator[Message]]
    expect: Callable[[Iterable[Record]], Mapping[bytes, Any]]
    wrong: Callable[[Mapping[bytes, Any], Iterable[Record]], str | None]
    peers: Sequence[Peer]


ASSIGN = Job(
    "assign",
    "contexts",
    contexts,
    work.expected_assignments,
    work.wrong_assignments,
    ASSIGNERS,
)
COUNT = Job(
    "count",
    "observations",
    work.observations,
    work.expected_counts,
    work.wrong_counts,
    COUNTERS,
)


def compete(
    job: Job,
    bootstrap: str,
    *,
    records: int,
    rounds: int,
    partitions: int,
    progress: Callable[[str], None],
) -> dict[str, list[Measured]]:
    """Every contestant once a round, so that all see the same moods of the machine.

    Args:
        job: What they do.
        bootstrap: The broker.
        records: Those measured; the topic holds twice as many before them to warm up.
        rounds: How often.
        partitions: Of every topic.
        progress: Told what is done next.

    Raises:
        ContestantError: One could not be built, failed, or put out what it should not have.
    """
    found: dict[str, list[Measured]] = {peer.name: [] for peer in job.peers}
    progress("building the peers")
    commands = {peer.name: peer.command() for peer in job.peers}
    for number in range(rounds):
        settings = load_settings(
            bootstrap=bootstrap, prefix=f"peers{uuid.uuid4().hex[:8]}", partitions=partitions
        )
        try:
            expected = asyncio.run(_fill(settings, job, records * (1 + WARM_UP)))
            first = number % len(job.peers)
            turns = [*job.peers[first:], *job.peers[:first]]
            for peer in turns:
                progress(f"round {number + 1} of {rounds}: {peer.name}")
                try:
                    measured = asyncio.run(
                        _measure(settings, job, peer, commands[peer.name], records, expected)
                    )
                except ContestantError as error:
                    raise ContestantError(f"{peer.name}: {error}") from error
                found[peer.name].append(measured)
        finally:
            asyncio.run(_clear(settings))
    return found


async def _fill(settings: Settings, job: Job, count: int) -> Mapping[bytes, Any]:
    async with KafkaPipeline(settings) as pipeline:
        # Event times are of long ago: a broker would delete the records for it.
        await pipeline.create_topics(keep_all=True)
        await pipeline.publish(job.fill(count))
        return job.expect(await pipeline.records(job.source))


async def _measure(
    settings: Settings,
    job: Job,
    peer: Peer,
    command: Sequence[str],
    records: int,
    expected: Mapping[bytes, Any],
) -> Measured:
    async with KafkaPipeline(settings) as pipeline:
        sink = f"{job.name}-{peer.slug}"
        source, target = pipeline.names.topic(job.source), pipeline.names.topic(sink)
        group = f"{settings.prefix}-{job.name}-{peer.slug}"
        total = records * (1 + WARM_UP)
        async with Topics(kafka_client(settings)) as topics:
            wanted = TopicSettings(target, settings.partitions, {"retention.ms": "-1"})
            await topics.create([wanted], 1)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            document = Path(folder) / "work.json"
            document.write_text(json.dumps(work.description()))
            arguments = {
                "job": job.name,
                "bootstrap": str(settings.bootstrap),
                "source": source,
                "sink": target,
                "group": group,
                "state": f"{folder}/state",
                "work": str(document),
                "store": peer.store,
                "commit-ms": str(peer.commit_ms),
                "batch": str(peer.batch),
            }
            if not peer.commits:
                kept = ("bootstrap", "source", "sink")
                arguments = {name: arguments[name] for name in kept}
                # One more than there are, so that it waits to be stopped.
                arguments["records"] = str(total + 1)
            given = [part for name, value in arguments.items() for part in (f"--{name}", value)]
            async with _progress(settings, source, target, group if peer.commits else None) as ask:
                with _running([*command, *given], Path(folder) / "log") as process:
                    samples, rss = await watch(process, ask, records=total, patience=_PATIENCE)
        found = await pipeline.records(sink)
        if peer.commits:
            problem = job.wrong(expected, found)
        else:
            problem = None if len(found) == total else f"{len(found):,} of {total:,} records"
        if problem is not None:
            raise ContestantError(problem)
    return replace(between(samples, warm_up=records * WARM_UP, records=total), rss=rss)


@contextlib.asynccontextmanager
async def _progress(
    settings: Settings, source: str, sink: str, group: str | None
) -> AsyncIterator[Progress]:
    """What a group has committed of the source, or where there is none what the sink holds."""
    client = kafka_client(settings)
    tps = [TopicPartition(source if group else sink, n) for n in range(settings.partitions)]
    if group is None:
        consumer = client.consumer()
        await consumer.start()
        try:
            yield partial(_held, consumer, tps)
        finally:
            await consumer.stop()
    else:
        admin = client.admin()
        await admin.start()
        try:
            yield partial(_committed, admin, group, await _coordinator(admin, group), tps)
        finally:
            await admin.close()


async def _coordinator(admin: AIOKafkaAdminClient, group: str) -> int:
    """The group's broker; a broker that has just started makes the offsets topic first."""
    deadline = time.perf_counter() + _PATIENCE
    while True:
        try:
            found: int = await admin.find_coordinator(group)
        except GroupCoordinatorNotAvailableError:
            if time.perf_counter() > deadline:
                raise
            await asyncio.sleep(0.1)
        else:
            return found


async def _held(consumer: AIOKafkaConsumer, tps: Sequence[TopicPartition]) -> tuple[int, ...]:
    ends = await consumer.end_offsets(tps)
    return tuple(ends[tp] for tp in tps)


async def _committed(
    admin: AIOKafkaAdminClient, group: str, coordinator: int, tps: Sequence[TopicPartition]
) -> tuple[int, ...]:
    """Without asking for stable offsets (KIP-447), which would wait for the open transactions."""
    offsets = await admin.list_consumer_group_offsets(group, coordinator, partitions=tps)
    return tuple(max(offsets[tp].offset, 0) if tp in offsets else 0 for tp in tps)


@contextlib.contextmanager
def _running(command: Sequence[str], log: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The contestant's process, stopped at the end; what it said is added to an error."""
    with log.open("wb") as said:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        try:
            yield process
        except ContestantError as error:
            tail = log.read_text(errors="replace")[-4_000:]
            raise ContestantError(f"{error}\n{tail}") from error
        finally:
            process.terminate()
            try:
                process.wait(_STOP)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


async def _clear(settings: Settings) -> None:
    """Delete what the round made, the changelogs that peers made included."""
    async with Topics(kafka_client(settings)) as topics:
        names = await topics.names()
        await topics.delete(name for name in names if settings.prefix in name)
