"""The assign stage as a worker runs it: exactly once, dead letters, CloudEvents and all."""

from __future__ import annotations

import asyncio

from anabranch.runtime import build_stages, kafka_worker
from anabranch.runtime.process import settle
from anabranch.settings import load_settings
from anabranch.specs import Catalog
from anabranch.topology import choose_stages
from benchmarks.assign.work import EXPERIMENT
from benchmarks.contestants import Clock, arguments, watch


async def main() -> None:
    given = arguments()
    prefix = given.source.partition(".")[0]
    settings = load_settings(bootstrap=given.bootstrap, prefix=prefix)
    stages = build_stages(Catalog.of([EXPERIMENT]), settings, choose_stages(["assign"]))
    worker = kafka_worker(stages, settings)
    settle()
    await worker.start()
    tasks = worker.hosts[0].tasks

    def done() -> int:
        return sum(task.stats.records for task in tasks.values())

    clock = Clock(given.records)
    await watch(clock, done)
    clock.print_figures(done())
    await worker.stop()


if __name__ == "__main__":
    asyncio.run(main())
