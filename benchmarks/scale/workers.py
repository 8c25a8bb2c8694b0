"""One to four worker processes over 4 to 64 partitions."""

from __future__ import annotations

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path

from anabranch.engine.kafka import Topics
from anabranch.runtime import KafkaPipeline, kafka_client
from anabranch.settings import Settings, load_settings
from anabranch.specs.writing import to_yaml
from anabranch.topology import Names
from benchmarks.assign.work import EXPERIMENT, contexts
from benchmarks.contestants import ContestantError, Figures
from benchmarks.worker import WorkerProcess

_FROM = 0.1
"""Share that is done before the clock starts: by then every worker has its partitions."""

_PATIENCE = 180.0


def compete(
    bootstrap: str,
    *,
    records: int,
    workers: Sequence[int],
    partitions: Sequence[int],
    rounds: int,
    progress: Callable[[str], None],
) -> dict[str, Figures]:
    """Rate of `anabranch worker assign`, and CPU a context of all workers together.

    Args:
        bootstrap: The broker.
        records: Contexts.
        workers: How many processes.
        partitions: How many partitions every topic has.
        rounds: How often.
        progress: Told what is done next.

    Raises:
        ContestantError: A worker ended, or the work was not done in time.
    """
    figures: dict[str, Figures] = {}
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "checkout.yaml").write_text(to_yaml(EXPERIMENT))
        for number in range(rounds):
            for width in partitions:
                for count in workers:
                    name = f"{count} workers, {width} partitions"
                    progress(f"round {number + 1} of {rounds}: {name}")
                    settings = load_settings(
                        bootstrap=bootstrap,
                        prefix=f"bench{uuid.uuid4().hex[:8]}",
                        partitions=width,
                    )
                    rate, cpu = asyncio.run(_run(settings, folder, records, count))
                    taken = figures.setdefault(name, Figures())
                    taken.rates.append(rate)
                    taken.micros.append(cpu)
    return figures


async def _run(settings: Settings, specs: str, records: int, workers: int) -> tuple[float, float]:
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        await pipeline.publish(contexts(records))
        with ExitStack() as stack:
            running = [
                stack.enter_context(WorkerProcess(settings, specs, "assign"))
                for _ in range(workers)
            ]
            return await _measure(settings, records, running)


async def _measure(
    settings: Settings, records: int, running: Sequence[WorkerProcess]
) -> tuple[float, float]:
    names = Names(settings.prefix)
    began: tuple[int, float, float] | None = None
    deadline = time.monotonic() + _PATIENCE
    async with Topics(kafka_client(settings)) as topics:
        while True:
            lag = await topics.lag(names.group("assign"), [names.topic("contexts")])
            left, now = sum(lag.values()), time.perf_counter()
            cpu = sum(worker.cpu_seconds() for worker in running)
            if began is None and left <= records * (1 - _FROM):
                began = left, now, cpu
            if not left and began is not None:
                done = began[0]
                if not done:
                    raise ContestantError("too few records: they were all done at once")
                return done / (now - began[1]), (cpu - began[2]) / done * 1e6
            if time.monotonic() > deadline:
                raise ContestantError(f"{left:,} of {records:,} contexts are left")
            await asyncio.sleep(0.02)
