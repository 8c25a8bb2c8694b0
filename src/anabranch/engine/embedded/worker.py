"""A worker of the embedded runtime: hosts for its stages, sharing partitions with its peers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence

from anabranch.engine.embedded.log import Log
from anabranch.engine.embedded.port import EmbeddedPort
from anabranch.engine.host import StageHost
from anabranch.engine.stage import Stage, TaskSettings
from anabranch.errors import TopologyError


class EmbeddedWorker:
    """Runs stages over a :class:`Log`; several workers on one log share the partitions.

    Args:
        log: The log, with the stages' topics created.
        stages: What to run.
        physical: Logical to physical topic name.
        group: Stage name to consumer group name.
        settings: Passed to every task.
    """

    def __init__(
        self,
        log: Log,
        stages: Sequence[Stage],
        *,
        physical: Callable[[str], str],
        group: Callable[[str], str],
        settings: TaskSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._log = log
        self._physical = physical
        self._group = group
        self._hosts = [self._host(stage, settings, clock) for stage in stages]

    def _host(
        self, stage: Stage, settings: TaskSettings | None, clock: Callable[[], float]
    ) -> StageHost:
        return StageHost(
            stage,
            lambda partition: EmbeddedPort(
                self._log,
                stage,
                partition,
                group=self._group(stage.name),
                physical=self._physical,
            ),
            logical={self._physical(source): source for source in stage.sources},
            settings=settings,
            clock=clock,
        )

    @property
    def hosts(self) -> Sequence[StageHost]:
        """One per stage, for inspection."""
        return self._hosts

    def renew(self) -> None:
        """Every task makes its processor anew before its next batch."""
        for host in self._hosts:
            host.renew()

    async def start(self) -> None:
        """Join every stage's group and wait until the tasks are open."""
        for host in self._hosts:
            counts = {self._log.partitions(self._physical(s)) for s in host.stage.sources}
            if len(counts) != 1:
                raise TopologyError(
                    f"stage {host.stage.name}: its sources {', '.join(host.stage.sources)} "
                    "need the same number of partitions"
                )
            await self._log.members.join(self._group(host.stage.name), host, counts.pop())
        for host in self._hosts:
            await host.wait_ready()

    async def stop(self) -> None:
        """Finish open batches, then leave."""
        await asyncio.gather(*(host.stop() for host in self._hosts))
        await self._leave()

    async def kill(self) -> None:
        """Vanish in the middle of whatever is going on, as a crash would."""
        await asyncio.gather(*(host.kill() for host in self._hosts))
        await self._leave()

    async def _leave(self) -> None:
        for host in self._hosts:
            await self._log.members.leave(self._group(host.stage.name), host)
