"""What makes a batch: how long a task waits for more of a source, and when it takes what is there.

Three reasons to wait, each bounded: a stage that lingers gathers for its time; sources that are
read in step give one that has nothing a moment to catch up; and a small batch that comes right
after another one gathers while the task rests, see :class:`~anabranch.engine.stage.TaskSettings`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence

from anabranch.engine import ordering
from anabranch.engine.port import Port
from anabranch.engine.stage import Stage, TaskSettings
from anabranch.processors.protocol import Record

__all__ = ["Gatherer", "Records", "count", "positions", "split"]

Records = Mapping[str, Sequence[Record]]

_IN_STEP_WAIT = 0.01
"""Seconds that records which ran ahead wait for the other source before it counts as idle."""
_SMALL = 8
"""A batch of less than this part of the most that a stage takes at once is small."""
_LONGEST_REST = 0.05
_SHORTEST_NAP = 0.002


class Gatherer:
    """Gathers the batches of one task.

    Args:
        port: Where records come from.
        stage: Its sources, limits and linger.
        settings: How long an empty poll waits, and how long to rest.
        stopping: Ends every wait when it is set.
    """

    def __init__(
        self, port: Port, stage: Stage, settings: TaskSettings, stopping: asyncio.Event
    ) -> None:
        self._port = port
        self._stage = stage
        self._settings = settings
        self._stopping = stopping
        self._idle: set[str] = set()
        self._rested_at = 0.0

    def committed(self, took: float) -> None:
        """Rest from now on, as long as is due after a commit of ``took`` seconds."""
        rest = min(took * self._settings.rest, _LONGEST_REST)
        self._rested_at = time.monotonic() + rest

    async def gather(self, limit: int) -> dict[str, Sequence[Record]] | None:
        """The next batch, about ``limit`` records at most; None where nothing came."""
        polled = dict(await self._port.poll(limit, self._settings.poll_timeout))
        if not count(polled):
            return None
        while count(polled) < limit // _SMALL and (left := self._left(self._rested_at)):
            # A fetch brings what has come first; naps let more come, and each poll fetches that.
            await asyncio.sleep(max(left / 2, _SHORTEST_NAP))
            left = max(0.0, self._rested_at - time.monotonic())
            polled = _joined(polled, await self._port.poll(limit - count(polled), left))
        deadline = time.monotonic() + self._stage.linger_ms / 1000
        while count(polled) < limit and (left := self._left(deadline)):
            polled = _joined(polled, await self._port.poll(limit - count(polled), left))
        if self._stage.in_step and count(polled) < limit:
            polled = await self.level(polled, limit - count(polled))
        return polled

    def _left(self, deadline: float) -> float:
        """Seconds to the deadline; zero when it is past, or we are to stop."""
        return 0.0 if self._stopping.is_set() else max(0.0, deadline - time.monotonic())

    async def level(self, polled: Records, room: int) -> dict[str, Sequence[Record]]:
        """Give a source that has nothing a moment to catch up, unless it had none of late."""
        idle = self._idle
        idle -= {source for source, records in polled.items() if records}
        if any(not records and source not in idle for source, records in polled.items()):
            polled = _joined(polled, await self._port.poll(room, _IN_STEP_WAIT))
            idle |= {source for source, records in polled.items() if not records}
        return dict(polled)


def split(
    polled: Records, limit: int, *, in_step: bool
) -> tuple[dict[str, Sequence[Record]], dict[str, Sequence[Record]] | None]:
    """At most ``limit`` records, source by source, and what is left (None when nothing is)."""
    now = dict(polled)
    later: dict[str, Sequence[Record]] = {}
    if in_step:
        now, later = ordering.in_step(polled)
    if count(now) > limit:
        for source, records in now.items():
            now[source] = records[:limit]
            later[source] = [*records[limit:], *later.get(source, ())]
            limit -= len(now[source])
    return now, later if any(later.values()) else None


def _joined(first: Records, second: Records) -> dict[str, Sequence[Record]]:
    """The records of both, source by source."""
    joined = dict(first)
    for source, records in second.items():
        if records:
            joined[source] = [*joined[source], *records] if joined[source] else records
    return joined


def count(batch: Records) -> int:
    """Records of all sources."""
    return sum(map(len, batch.values()))


def positions(batch: Records) -> dict[str, int]:
    """Source to the offset after its last record, of those that have any."""
    return {source: records[-1].offset + 1 for source, records in batch.items() if records}
