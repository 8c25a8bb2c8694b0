"""anabranch's stages as a worker runs them, until SIGTERM."""

from __future__ import annotations

import argparse
import asyncio
import signal
from dataclasses import replace
from pathlib import Path

from anabranch.engine import Stage
from anabranch.engine.disk import DiskStore
from anabranch.engine.kafka import KafkaWorker, Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.engine.stage import in_memory
from anabranch.runtime import build_stages, kafka_client
from anabranch.runtime.process import settle
from anabranch.runtime.stages import task_settings
from anabranch.settings import load_settings
from anabranch.specs import Catalog
from anabranch.topology import choose_stages
from benchmarks.assign.work import EXPERIMENT
from benchmarks.peers.counting import WindowCount
from benchmarks.peers.work import GRACE_MS, WINDOW_MS


def count_stage(store: str, state: Path) -> Stage:
    """Counting, with its state in memory or on disk."""
    return Stage(
        name="count",
        sources=("observations",),
        outputs=("counts",),
        make_processor=lambda: WindowCount(WINDOW_MS, GRACE_MS),
        changelog="count-changelog",
        make_store=in_memory
        if store == "memory"
        else lambda partition: DiskStore(state / f"{partition}.sqlite3"),
    )


async def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("job", "bootstrap", "source", "sink", "group", "store"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--state", type=Path, required=True)
    parser.add_argument("--batch", type=int, required=True)
    given, _ = parser.parse_known_args()
    settings = load_settings(bootstrap=given.bootstrap)
    if given.job == "assign":
        (stage,) = build_stages(Catalog.of([EXPERIMENT]), settings, choose_stages(["assign"]))
    else:
        stage = count_stage(given.store, given.state)
    stage = replace(stage, max_records=given.batch)
    # The last source is the one that feeds the stage: before it come claims, which it sends itself.
    known = {stage.sources[-1]: given.source, stage.outputs[0]: given.sink}

    def physical(logical: str) -> str:
        return known.get(logical, f"{given.sink}.{logical}")

    client = kafka_client(settings)
    async with Topics(client) as topics:
        partitions = (await topics.partitions([given.source]))[given.source]
        own = [physical(logical) for logical in stage.written if logical not in known]
        await topics.create([TopicSettings(name, partitions, {}) for name in own], 1)
    worker = KafkaWorker(
        client,
        [stage],
        physical=physical,
        group=lambda _: given.group,
        settings=task_settings(settings),
    )
    told = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, told.set)
    settle()
    await worker.start()
    await told.wait()
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(main())
