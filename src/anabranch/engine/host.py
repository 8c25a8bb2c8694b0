"""The tasks of one stage in one process, following what the group gives."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable

from anabranch.engine.port import Port
from anabranch.engine.stage import Stage, TaskSettings
from anabranch.engine.stats import TaskStats
from anabranch.engine.task import Task

log = logging.getLogger(__name__)


class StageHost:
    """Starts, keeps and stops the tasks of a stage.

    Tasks of partitions that stay run on through a rebalance; only partitions that moved stop or
    open. That is safe because the right to commit comes from the producer's epoch, not from
    membership.

    Args:
        stage: What the tasks run.
        make_port: Partition to the runtime's port for it.
        logical: Physical source topic to logical name.
        settings: Passed to every task.
        stats: Of the host before, to go on from.

    Attributes:
        stats: Partition to what its tasks have done here, of those that moved away too.
    """

    def __init__(
        self,
        stage: Stage,
        make_port: Callable[[int], Port],
        *,
        logical: dict[str, str],
        settings: TaskSettings | None = None,
        clock: Callable[[], float] = time.time,
        stats: dict[int, TaskStats] | None = None,
    ) -> None:
        self.stage = stage
        self.stats: dict[int, TaskStats] = {} if stats is None else stats
        self.tasks: dict[int, Task] = {}
        self._owned: frozenset[int] = frozenset()
        self._make_port = make_port
        self._logical = logical
        self._settings = settings
        self._clock = clock
        self._lock = asyncio.Lock()
        self._closed = False

    async def assign(self, partitions: Iterable[int]) -> None:
        """The group gives us exactly these partitions now."""
        async with self._lock:
            if self._closed:
                return
            want = self._owned = frozenset(partitions)
            await self._drop(set(self.tasks) - want)
            for task in self.tasks.values():
                task.kick()
            for partition in sorted(want - set(self.tasks)):
                self._start(partition)

    def revoke(self) -> None:
        """A rebalance has begun: running tasks run on, but none may open until it ends."""
        self._owned = frozenset()

    async def stop(self) -> None:
        """Finish open batches and stop every task, for good."""
        self._owned = frozenset()
        async with self._lock:
            self._closed = True
            await self._drop(set(self.tasks))

    async def kill(self) -> None:
        """Stop at once, as a crash would; nothing open is finished."""
        self._owned = frozenset()
        self._closed = True
        tasks, self.tasks = self.tasks, {}
        await asyncio.gather(*(task.kill() for task in tasks.values()))

    @property
    def ready(self) -> bool:
        """Every partition the group gave us is open and restored."""
        return all(task.ready.is_set() for task in self.tasks.values())

    def renew(self) -> None:
        """Every task makes its processor anew before its next batch, keeping its state."""
        for task in self.tasks.values():
            task.renew()

    async def wait_ready(self) -> None:
        """Until every partition the group gave us is open and restored.

        Raises:
            StateFormatError: A changelog is newer than the code.
        """
        await asyncio.gather(*(task.wait_open() for task in self.tasks.values()))

    def check(self) -> None:
        """Raises what keeps a task from running at all.

        Raises:
            StateFormatError: A changelog is newer than the code.
        """
        for task in self.tasks.values():
            if task.refusal is not None:
                raise task.refusal

    @property
    def progressed_at(self) -> float:
        """When the slowest task last made progress, on the monotonic clock."""
        return min((t.progressed_at for t in self.tasks.values()), default=time.monotonic())

    def _start(self, partition: int) -> None:
        task = Task(
            self.stage,
            partition,
            self._make_port(partition),
            logical=self._logical,
            owned=lambda: partition in self._owned,
            settings=self._settings,
            clock=self._clock,
            stats=self.stats.setdefault(partition, TaskStats()),
        )
        self.tasks[partition] = task
        task.start()

    async def _drop(self, partitions: set[int]) -> None:
        gone = [self.tasks.pop(p) for p in partitions]
        await asyncio.gather(*(task.stop() for task in gone))
