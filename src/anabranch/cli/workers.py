"""Worker processes of a replay, started again when one dies."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from pathlib import Path
from typing import Self

from anabranch.cli.console import errors
from anabranch.errors import EngineError
from anabranch.settings import Settings, environment

_QUICK_DEATH = 5.0
_QUICK_DEATHS = 3
_STOP_GRACE = 15.0


class WorkerProcesses:
    """So many ``anabranch worker`` processes; one that dies is replaced, and it is said.

    Raises:
        EngineError: A worker dies at once, again and again; the message has the end of its log.
    """

    def __init__(self, settings: Settings, count: int) -> None:
        self._settings = settings
        self._count = count
        self._tasks: list[asyncio.Task[None]] = []
        self._directory = tempfile.TemporaryDirectory(prefix="anabranch-")
        self._owner = asyncio.current_task()
        self._failure: EngineError | None = None

    async def __aenter__(self) -> Self:
        self._owner = asyncio.current_task()
        self._tasks = [asyncio.create_task(self._keep(n)) for n in range(self._count)]
        return self

    async def __aexit__(self, kind: object, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._directory.cleanup()
        if self._failure is not None and kind is asyncio.CancelledError:
            raise self._failure

    async def _keep(self, number: int) -> None:
        log = Path(self._directory.name) / f"worker-{number}.log"
        quick = 0
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            code = await self._one(log)
            quick = quick + 1 if loop.time() - started < _QUICK_DEATH else 0
            if quick >= _QUICK_DEATHS:
                tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
                self._failure = EngineError(
                    f"worker {number} died {quick} times within seconds of its start, last with "
                    f"exit code {code}. The end of its log:\n{tail}"
                )
                if self._owner is not None:
                    self._owner.cancel()
                return
            errors.print(
                f"worker {number} died (exit code {code}); starting another", highlight=False
            )

    async def _one(self, log: Path) -> int:
        settings = self._settings
        with log.open("ab") as sink:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "anabranch",
                "worker",
                "--bootstrap",
                str(settings.bootstrap),
                "--prefix",
                settings.prefix,
                "--specs",
                str(settings.specs),
                stdout=sink,
                stderr=sink,
                # Never on the command line, where any user of the machine could read a secret.
                env={**os.environ, **environment(settings)},
            )
        try:
            return await process.wait()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGTERM)
            try:
                await asyncio.wait_for(process.wait(), _STOP_GRACE)
            except TimeoutError:
                process.kill()
                await process.wait()
            raise
