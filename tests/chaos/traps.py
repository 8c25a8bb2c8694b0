"""Traps inside a worker: where it raises, hangs, is killed or stopped, once, when told to.

The runner arms a trap by a file in the worker's folder; the worker springs it at the next place
that fits and takes the file away, so that a trap is sprung at most once.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import time
from dataclasses import asdict, dataclass
from inspect import isawaitable
from pathlib import Path
from typing import Any

from anabranch.engine.kafka import KafkaPort
from anabranch.processors.protocol import Batch, Cache, Outputs, Processor, State

PLACES = ("received", "processed", "sent", "acknowledged")
"""Before a batch is processed; when its outputs are made; when they are sent and the transaction
is open; when the broker has acknowledged the commit."""


class TrapError(Exception):
    """What a trap raises."""


@dataclass(frozen=True)
class Trap:
    """What is to happen, and where.

    Attributes:
        action: raise, hang, block, kill, stop or slow. A hang leaves the event loop to others, a
            block does not; slow makes every batch wait a little until the seconds are over.
        place: One of PLACES.
        stage: Name of a stage; None takes whichever comes first.
        seconds: How long it hangs, blocks or is slow.
    """

    action: str
    place: str
    stage: str | None = None
    seconds: float = 0.0


class Journal:
    """What a worker tells of itself, a line of JSON each."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("a", encoding="utf-8", buffering=1)

    def note(self, event: str, **details: Any) -> None:
        line = {"at": time.time(), "event": event, "pid": os.getpid(), **details}
        self._file.write(json.dumps(line) + "\n")


class Traps:
    """The traps of one worker, in its folder."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "trap.json"
        self.journal = Journal(folder / "journal.jsonl")
        self._slow_until = 0.0

    @staticmethod
    def arm(folder: Path, trap: Trap) -> None:
        """From outside: put the trap there, whole."""
        scratch = folder / "trap.new"
        scratch.write_text(json.dumps(asdict(trap)), encoding="utf-8")
        scratch.rename(folder / "trap.json")

    @staticmethod
    def withdraw(folder: Path) -> bool:
        """From outside: take the trap away; False when it was sprung."""
        try:
            (folder / "trap.json").unlink()
        except FileNotFoundError:
            return False
        return True

    async def spring(self, place: str, stage: str, partition: int) -> None:
        """Whatever the runner wants to happen here and now."""
        if time.monotonic() < self._slow_until:
            await asyncio.sleep(0.25)
        try:
            trap = Trap(**json.loads(self._path.read_text(encoding="utf-8")))
            if trap.place != place or trap.stage not in {None, stage}:
                return
            self._path.unlink()
        except FileNotFoundError:
            return
        self.journal.note(
            "trap",
            stage=stage,
            partition=partition,
            action=trap.action,
            place=place,
            seconds=trap.seconds,
        )
        match trap.action:
            case "raise":
                raise TrapError(f"{place} in {stage}[{partition}]")
            case "hang":
                await asyncio.sleep(trap.seconds)
            case "block":
                time.sleep(trap.seconds)  # noqa: ASYNC251 - that is what it is for
            case "slow":
                self._slow_until = time.monotonic() + trap.seconds
            case "kill":
                os.kill(os.getpid(), signal.SIGKILL)
            case "stop":
                os.kill(os.getpid(), signal.SIGSTOP)


class TrappedProcessor:
    """A processor with traps before and behind it."""

    def __init__(self, inner: Processor, stage: str, traps: Traps) -> None:
        self._inner = inner
        self._stage = stage
        self._traps = traps

    async def process(self, batch: Batch, state: State, cache: Cache, out: Outputs) -> None:
        await self._traps.spring("received", self._stage, batch.partition)
        result = self._inner.process(batch, state, cache, out)
        if isawaitable(result):
            await result
        await self._traps.spring("processed", self._stage, batch.partition)


def trapped_port(traps: Traps) -> type[KafkaPort]:
    """A port class with traps inside and behind its transaction."""

    class TrappedPort(KafkaPort):
        async def open(self) -> None:
            await super().open()
            traps.journal.note("open", stage=self._stage.name, partition=self._partition)

        async def _send(self, *arguments: Any) -> Any:
            sent = await super()._send(*arguments)
            await traps.spring("sent", self._stage.name, self._partition)
            return sent

        async def commit(self, *arguments: Any) -> Any:
            committed = await super().commit(*arguments)
            await traps.spring("acknowledged", self._stage.name, self._partition)
            return committed

    return TrappedPort
