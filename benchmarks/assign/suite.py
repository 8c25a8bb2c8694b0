"""Work A on Kafka: contestants by turns over one contexts topic, each into a topic of its own."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable

from anabranch.engine.kafka import Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.runtime import KafkaPipeline, kafka_client
from anabranch.settings import Settings, load_settings
from anabranch.topology import Names
from benchmarks.assign.work import contexts
from benchmarks.contestants import Contestant, ContestantError, Figures, run, take

RAW = "raw aiokafka, batches passed through"
WORKED = "raw aiokafka, the same work"
STAGE = "anabranch assign, exactly once"
STOCK = "Faust agent, stock, at least once"


def contestants(records: int) -> list[Contestant]:
    return [
        Contestant(RAW, "benchmarks.assign.passthrough", records),
        Contestant(WORKED, "benchmarks.assign.worked", records),
        Contestant(STAGE, "benchmarks.assign.stage", records),
        Contestant(STOCK, "benchmarks.assign.stock_agent", max(records // 25, 5_000)),
    ]


def compete(
    bootstrap: str,
    *,
    records: int,
    rounds: int,
    partitions: int,
    progress: Callable[[str], None],
) -> dict[str, Figures]:
    """Every contestant once a round, so that all see the same moods of the machine.

    Args:
        bootstrap: The broker.
        records: Contexts.
        rounds: How often.
        partitions: Of every topic.
        progress: Told what is done next.

    Raises:
        ContestantError: One failed, or did not put out one record a context.
    """
    figures: dict[str, Figures] = {}
    for number in range(rounds):
        settings = load_settings(
            bootstrap=bootstrap, prefix=f"bench{uuid.uuid4().hex[:8]}", partitions=partitions
        )
        names = Names(settings.prefix)
        asyncio.run(_fill(settings, records))
        for contestant in contestants(records):
            progress(f"round {number + 1} of {rounds}: {contestant.name}")
            # The stage writes where a worker of the prefix writes; the others into their own.
            sink = "assignments" if contestant.name == STAGE else f"sink{uuid.uuid4().hex[:8]}"
            asyncio.run(_create(settings, names.topic(sink)))
            found = run(
                contestant,
                bootstrap=bootstrap,
                source=names.topic("contexts"),
                sink=names.topic(sink),
            )
            asyncio.run(_check(settings, sink, contestant))
            take(figures.setdefault(contestant.name, Figures()), found)
        asyncio.run(_destroy(settings))
    return figures


async def _fill(settings: Settings, records: int) -> None:
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        await pipeline.publish(contexts(records))


async def _create(settings: Settings, topic: str) -> None:
    async with Topics(kafka_client(settings)) as topics:
        await topics.create([TopicSettings(topic, settings.partitions, {})], 1)


async def _check(settings: Settings, sink: str, contestant: Contestant) -> None:
    """Count what a reader of committed records gets."""
    async with KafkaPipeline(settings) as pipeline:
        count = len(await pipeline.records(sink))
    if count < contestant.records:
        raise ContestantError(
            f"{contestant.name} read {contestant.records} contexts and put out {count} records"
        )


async def _destroy(settings: Settings) -> None:
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.destroy()
