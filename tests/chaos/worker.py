"""A worker of all four stages, as ``anabranch worker`` runs it, with traps built around it."""

from __future__ import annotations

import asyncio
import ctypes
import faulthandler
import logging
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from multiprocessing import forkserver
from pathlib import Path
from typing import Any

from anabranch.cli.serving import until_told_to_stop
from anabranch.engine import Stage
from anabranch.engine.kafka import KafkaWorker
from anabranch.engine.kafka import worker as kafka_worker
from anabranch.processors.protocol import Processor
from anabranch.runtime import LiveCatalog, build_stages, follow_specs, kafka_client
from anabranch.runtime.stages import task_settings
from anabranch.settings import Settings, load_settings
from anabranch.specs import load_specs
from anabranch.topology import Names
from tests.chaos.traps import TrappedProcessor, Traps, trapped_port

log = logging.getLogger(__name__)

_PR_SET_PDEATHSIG = 1


def work(folder: Path, variables: Mapping[str, str]) -> None:
    """A worker process: run until SIGTERM.

    Args:
        folder: For its log, its journal and its traps.
        variables: Its settings, and what else its environment is to hold.
    """
    _die_with_the_runner()
    os.environ.update(variables)
    tempfile.tempdir = None
    with (folder / "worker.log").open("ab", buffering=0) as log:
        os.dup2(log.fileno(), sys.stdout.fileno())
        os.dup2(log.fileno(), sys.stderr.fileno())
    faulthandler.enable()
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)-7s %(name)s: %(message)s", force=True
    )
    for noisy in ("aiokafka", "faust", "mode"):
        logging.getLogger(noisy).setLevel(logging.WARNING)
    asyncio.run(_work(Traps(folder), load_settings()))


async def _work(traps: Traps, settings: Settings) -> None:
    # The engine has no seam for another port, and needs none for anything but this.
    kafka_worker.KafkaPort = trapped_port(traps)  # type: ignore[misc]
    live = LiveCatalog(load_specs(settings.specs))
    names = Names(settings.prefix)
    worker = KafkaWorker(
        kafka_client(settings),
        [_trapped(stage, traps) for stage in build_stages(live, settings)],
        physical=names.topic,
        group=names.group,
        settings=replace(
            task_settings(settings), fenced_wait=2.0, stop_grace=2.0, retry_backoff=0.05
        ),
    )
    live.on_change(worker.renew)
    asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, _say_where)
    async with follow_specs(live, settings):
        traps.journal.note("started")
        await worker.start()
        ready = asyncio.create_task(_say_ready(worker, traps))
        try:
            await until_told_to_stop(asyncio.create_task(worker.run()))
        finally:
            ready.cancel()
            await worker.stop()
    traps.journal.note("stopped")


async def _say_ready(worker: KafkaWorker, traps: Traps) -> None:
    while not worker.ready:  # noqa: ASYNC110 - there is no event of it that cannot miss a rebalance
        await asyncio.sleep(0.1)
    traps.journal.note("ready")


def _say_where() -> None:
    """Where every coroutine waits, for a run that does not go on."""
    for task in asyncio.all_tasks():
        places = []
        waiting: Any = task.get_coro()
        while waiting is not None:
            frame = getattr(waiting, "cr_frame", None) or getattr(waiting, "gi_frame", None)
            if frame is None:
                places.append(repr(waiting)[:200])
                break
            places.append(f"{frame.f_code.co_qualname}:{frame.f_lineno}")
            waiting = getattr(waiting, "cr_await", None) or getattr(waiting, "gi_yieldfrom", None)
        log.warning("%s waits in %s", task.get_name(), " > ".join(places))


def _trapped(stage: Stage, traps: Traps) -> Stage:
    make: Callable[[], Processor] = stage.make_processor
    return replace(stage, make_processor=lambda: TrappedProcessor(make(), stage.name, traps))


def _die_with_the_runner() -> None:
    """Nobody is left behind, not even a stopped worker, when the runner is killed (Linux).

    The fork server ends when nobody holds its pipe any more, and a worker inherits an end of it.
    """
    held = forkserver._forkserver._forkserver_alive_fd  # type: ignore[attr-defined]
    if held is not None:
        os.close(held)
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
