"""A partition with many units is taken over: from nothing, and from what lies on disk."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import orjson

from anabranch.engine import MemoryStore
from anabranch.engine.disk import DiskStore
from anabranch.engine.kafka.port import KafkaPort
from anabranch.engine.store import Store
from anabranch.runtime import KafkaPipeline, Message, build_stages, kafka_client
from anabranch.settings import Settings, load_settings
from anabranch.specs import Catalog
from anabranch.topology import Names, choose_stages
from benchmarks.contestants import ContestantError, Figures

_CHANGELOG = "attribute-changelog"
_NOW = 1_760_000_000_000


def compete(
    bootstrap: str, *, units: int, rounds: int, progress: Callable[[str], None]
) -> dict[str, Figures]:
    """Seconds until a task of the attribute stage has its state back.

    Args:
        bootstrap: The broker.
        units: In the one partition of the changelog, each with two metrics and three events.
        rounds: How often.
        progress: Told what is done next.

    Raises:
        ContestantError: Units were missing.
    """
    return asyncio.run(_compete(bootstrap, units, rounds, progress))


async def _compete(
    bootstrap: str, units: int, rounds: int, progress: Callable[[str], None]
) -> dict[str, Figures]:
    settings = load_settings(
        bootstrap=bootstrap, prefix=f"bench{uuid.uuid4().hex[:8]}", partitions=1
    )
    figures: dict[str, Figures] = {}
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        progress(f"filling a changelog with {units:,} units")
        await pipeline.publish(_records(0, units))
        with tempfile.TemporaryDirectory() as folder:
            for number in range(rounds):
                progress(f"round {number + 1} of {rounds}")
                file = Path(folder) / f"{number}.db"
                await _take(figures, "memory, from nothing", settings, MemoryStore(), units)
                await _take(figures, "disk, from nothing", settings, DiskStore(file), units)
                await pipeline.publish(_records(0, units // 100))
                await _take(figures, "disk, 1 % behind", settings, DiskStore(file), units)
        await pipeline.destroy()
    return figures


async def _take(
    figures: dict[str, Figures], name: str, settings: Settings, store: Store, units: int
) -> None:
    names = Names(settings.prefix)
    (stage,) = build_stages(Catalog.of([]), settings, choose_stages(["attribute"]))
    port = KafkaPort(
        kafka_client(settings), stage, 0, group=names.group("attribute"), physical=names.topic
    )
    began = time.perf_counter()
    await port.open()
    await port.restore(store, lambda: None)
    taken = time.perf_counter() - began
    await port.close()
    if len(store) != units:
        raise ContestantError(f"{name}: {len(store):,} of {units:,} units are back")
    store.close()
    figures.setdefault(name, Figures()).micros.append(taken)


def _records(begin: int, end: int) -> Iterator[Message]:
    for number in range(begin, end):
        first = _NOW + number
        amounts = [round(number % 97 + n * 0.37, 2) for n in range(3)]
        unit = {
            "r": {
                "bench.checkout@1.0.0": [
                    first,
                    ["green"],
                    {"orders": [3], "revenue": [3, f"{sum(amounts):.2f}", "11666.9269"]},
                ]
            },
            "l": [
                first + 60_000,
                [["order.placed@1.0.0", "amount"]],
                [number * 3 + n for n in range(3)],
                [0, 40_000, 90_000],
                [5, 40_005, 90_005],
                [0, 0, 0],
                amounts,
            ],
        }
        yield Message(_CHANGELOG, b"u|user:user-%d" % number, orjson.dumps(unit))
