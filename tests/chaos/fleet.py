"""Worker processes that can be killed, stopped, woken and asked to leave."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import os
import shutil
import signal
import time
from collections import Counter
from pathlib import Path
from typing import Any

from anabranch.settings import Settings, environment
from tests.chaos.history import History
from tests.chaos.traps import Trap, Traps
from tests.chaos.worker import work

_LEAVE_SECONDS = 25.0

_FORKSERVER = multiprocessing.get_context("forkserver")
# Importing everything takes seconds; forked from a process that has, a worker starts at once.
_FORKSERVER.set_forkserver_preload(["tests.chaos.worker"])


class WorkerProcess:
    """One worker; its folder has its log, its journal and its trap.

    Args:
        name: Never used twice in a run.
        folder: Its own.
        settings: Of the run.
        disk: Where it keeps state on disk; None for state in memory.

    Attributes:
        leaving: Whether it was asked to stop.
        clean: Whether it ended by itself, in time and without an error, when it was asked to; None
            where another fault killed it meanwhile, which says nothing of how it would have ended.
    """

    def __init__(self, name: str, folder: Path, settings: Settings, disk: Path | None) -> None:
        self.name = name
        self.disk = disk
        self.folder = folder
        self.leaving = False
        self.clean: bool | None = None
        self._killed = False
        local = folder / "local"
        local.mkdir(parents=True)
        own = settings.model_copy(update={"state_dir": disk})
        variables = {**environment(own), "TMPDIR": str(local)}
        self._process = _FORKSERVER.Process(target=work, args=(folder, variables), daemon=True)
        self._process.start()

    def __repr__(self) -> str:
        return self.name

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.is_alive()

    def signal(self, number: signal.Signals) -> None:
        if self.running and self.pid is not None:
            os.kill(self.pid, number)

    async def kill(self) -> None:
        self._killed = self._killed or self.running
        self.signal(signal.SIGKILL)
        await self.ended(within=10.0)

    async def leave(self) -> None:
        """Ask it to stop, and kill it when it does not."""
        if not self.running:
            return
        if self.leaving:  # a second SIGTERM would end it at once
            await self.ended(_LEAVE_SECONDS)
            return
        self.leaving = True
        self.signal(signal.SIGCONT)
        self.signal(signal.SIGTERM)
        ended = await self.ended(_LEAVE_SECONDS)
        if not self._killed:
            self.clean = ended and self._process.exitcode in self._lawful
        if self.running:
            self.signal(signal.SIGABRT)  # faulthandler tells where it stands
            await self.ended(within=1.0)
            await self.kill()

    @property
    def _lawful(self) -> set[int]:
        """Exit codes of a worker that was asked to stop, and of one that dies while it does."""
        journal = self.journal
        codes = {0}
        if not any(line["event"] == "ready" for line in journal):
            codes.add(-signal.SIGTERM)  # it was still starting
        if any(line["event"] == "trap" and line["action"] == "kill" for line in journal):
            codes.add(-signal.SIGKILL)
        return codes

    async def ended(self, within: float) -> bool:
        """Whether it ends within so many seconds."""
        end = time.monotonic() + within
        while self.running:
            if time.monotonic() > end:
                return False
            await asyncio.sleep(0.02)
        return True

    async def told(self, event: str, within: float) -> bool:
        """Whether its journal has such an event within so many seconds."""
        end = time.monotonic() + within
        while not any(line["event"] == event for line in self.journal):
            if time.monotonic() > end or not self.running:
                return False
            await asyncio.sleep(0.1)
        return True

    async def spring(self, trap: Trap, within: float) -> bool:
        """Set a trap; whether it was sprung in time. One that was not is taken away."""
        Traps.arm(self.folder, trap)
        armed = self.folder / "trap.json"
        for _ in range(round(within / 0.05)):
            if not armed.exists():
                return True
            if not self.running:
                break
            await asyncio.sleep(0.05)
        return not Traps.withdraw(self.folder)

    @property
    def log(self) -> str:
        return (self.folder / "worker.log").read_text(encoding="utf-8", errors="replace")

    @property
    def journal(self) -> list[dict[str, Any]]:
        path = self.folder / "journal.jsonl"
        if not path.exists():
            return []
        lines = path.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.endswith("}")]


class Fleet:
    """The workers of a run, those that are gone included.

    Args:
        settings: Handed to every worker.
        folder: Where their folders are made.
        history: Told of every start.
        disk: Whether they keep state on disk.
    """

    def __init__(self, settings: Settings, folder: Path, history: History, *, disk: bool) -> None:
        self._settings = settings
        self._disk = disk
        self._folder = folder
        self._history = history
        self.all: list[WorkerProcess] = []

    @property
    def running(self) -> list[WorkerProcess]:
        return [worker for worker in self.all if worker.running]

    @property
    def staying(self) -> list[WorkerProcess]:
        """Those that run and were not asked to stop."""
        return [worker for worker in self.running if not worker.leaving]

    def join(self, disk: Path | None = None) -> WorkerProcess:
        """One worker more, with a disk of its own, or with one that somebody has left."""
        name = f"w{len(self.all) + 1}"
        if self._disk and disk is None:
            disk = self._folder / f"disk-{name}"
        worker = WorkerProcess(name, self._folder / name, self._settings, disk)
        self.all.append(worker)
        self._history.note("worker", worker=worker.name, pid=worker.pid)
        return worker

    def replace(self, worker: WorkerProcess) -> WorkerProcess:
        """Another one for a worker that is gone, on the disk that it has left."""
        self._history.note("gone", worker=worker.name)
        return self.join(worker.disk)

    def forget_local_state(self) -> None:
        """Delete whatever workers that are gone had on disk."""
        for worker in self.all:
            if not worker.running:
                shutil.rmtree(worker.folder / "local", ignore_errors=True)
                if worker.disk is not None:
                    shutil.rmtree(worker.disk, ignore_errors=True)

    async def leave(self) -> None:
        await asyncio.gather(*(worker.leave() for worker in self.running))

    async def kill(self) -> None:
        await asyncio.gather(*(worker.kill() for worker in self.running))

    def count(self, text: str) -> int:
        """How often a text is in the logs."""
        return sum(worker.log.count(text) for worker in self.all)

    def openings(self, stage: str) -> Counter[int]:
        """How often each partition of a stage was opened."""
        return Counter(
            line["partition"]
            for worker in self.all
            for line in worker.journal
            if line["event"] == "open" and line["stage"] == stage
        )
