"""Backlogs of several sizes, and one unit that does everything: what a worker holds meanwhile."""

from __future__ import annotations

import asyncio
import json
import tempfile
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from anabranch.engine.kafka import Topics
from anabranch.runtime import KafkaPipeline, Message, kafka_client
from anabranch.settings import Settings, load_settings
from anabranch.specs.writing import to_yaml
from anabranch.topology import Names
from benchmarks.contestants import Figures
from benchmarks.stages.suite import experiment, orders
from benchmarks.worker import WorkerProcess

_PATIENCE = 600
_NOW = 1_760_000_000_000


def compete(
    bootstrap: str, *, records: int, rounds: int, progress: Callable[[str], None]
) -> tuple[dict[str, Figures], dict[str, Figures]]:
    """Megabytes a worker of all stages holds at most, and the seconds that SIGTERM takes.

    Args:
        bootstrap: The broker.
        records: Contexts and telemetry events of the large backlog; a tenth makes the small one.
        rounds: How often.
        progress: Told what is done next.

    Raises:
        ContestantError: A worker ended badly, or not in time.
    """
    memory: dict[str, Figures] = {}
    stopping: dict[str, Figures] = {}
    cases = (
        (f"{records // 10:,} records, a unit each", records // 10, records),
        (f"{records:,} records, a unit each", records, records),
        (f"{records // 10:,} records, one unit", records // 10, 1),
    )
    with tempfile.TemporaryDirectory() as folder:
        specs = to_yaml(orders(), experiment(0))
        (Path(folder) / "specs.yaml").write_text(specs)
        for number in range(rounds):
            for name, count, units in cases:
                progress(f"round {number + 1} of {rounds}: {name}")
                settings = load_settings(
                    bootstrap=bootstrap, prefix=f"bench{uuid.uuid4().hex[:8]}", partitions=4
                )
                peak, seconds = asyncio.run(_run(settings, folder, count, units))
                memory.setdefault(name, Figures()).micros.append(peak / 1e6)
                stopping.setdefault(name, Figures()).micros.append(seconds)
    return memory, stopping


async def _run(settings: Settings, specs: str, count: int, units: int) -> tuple[int, float]:
    """Half of the backlog, then SIGTERM, then the rest by another worker; the greater peak."""
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        await pipeline.publish(_messages(count, units))
        with WorkerProcess(settings, specs) as first:
            await _until_left(settings, count // 2)
            peak = first.peak_bytes()
            seconds = first.stop()
        with WorkerProcess(settings, specs) as second:
            await _until_left(settings, 0)
            peak = max(peak, second.peak_bytes())
        await pipeline.destroy()
    return peak, seconds


async def _until_left(settings: Settings, least: int) -> None:
    names = Names(settings.prefix)
    async with asyncio.timeout(_PATIENCE), Topics(kafka_client(settings)) as topics:
        while True:
            left = 0
            for stage, sources in (
                ("assign", ["contexts"]),
                ("gate", ["telemetry"]),
                ("attribute", ["exposures", "observations"]),
                ("aggregate", ["deltas"]),
            ):
                lag = await topics.lag(names.group(stage), map(names.topic, sources))
                left += sum(lag.values())
            if left <= least:
                return
            await asyncio.sleep(0.2)


def _messages(count: int, units: int) -> Iterator[Message]:
    for number in range(count // 2):
        user = f"user-{number % units}"
        yield Message("contexts", None, json.dumps({"userId": user}).encode(), (), _NOW + number)
        value = {
            "name": "order.placed",
            "version": 1,
            "userId": user,
            "properties": {"amount": number % 97 + 0.5},
        }
        yield Message("telemetry", None, json.dumps(value).encode(), (), _NOW + number + 1)
