"""The whole pipeline in this process: for replays, demonstrations, notebooks and tests."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Self

from anabranch.engine import Stage
from anabranch.engine.embedded import EmbeddedWorker, Log
from anabranch.engine.place import Place
from anabranch.processors.protocol import Record
from anabranch.runtime.guarding import EmbeddedAlertsLog, Guarding
from anabranch.runtime.pipeline import Message
from anabranch.runtime.publishing import EmbeddedSpecStore
from anabranch.runtime.spec_logs import EmbeddedSpecsLog
from anabranch.runtime.specs import Following, LiveCatalog
from anabranch.runtime.stages import task_settings
from anabranch.settings import Settings
from anabranch.topology import OUTPUT_TOPICS, TOPICS, Names

_KEEP = 100_000
"""About how many records a partition keeps once they are consumed."""

_BACKLOG = 50_000
"""Publishing waits while more records than this are unprocessed."""


class EmbeddedPipeline:
    """All four stages over an in-process log; nothing is kept after it ends.

    Args:
        stages: From :func:`~anabranch.runtime.stages.build_stages`.
        settings: Prefix and partitions.
        live: The catalog the stages were built from, where it is to follow the specs topic, and
            guardrails that were breached are to pause experiments through it.
    """

    def __init__(
        self, stages: Sequence[Stage], settings: Settings, *, live: LiveCatalog | None = None
    ) -> None:
        self.names = Names(settings.prefix)
        self.log = Log()
        for topic in TOPICS:
            self.log.create_topic(
                self.names.topic(topic.name),
                settings.partitions,
                compact=topic.compacted,
                keep=_KEEP,
            )
        self._stages = stages
        self.worker = EmbeddedWorker(
            self.log,
            stages,
            physical=self.names.topic,
            group=self.names.group,
            settings=task_settings(settings),
        )
        self._following: Following | None = None
        self._guarding: Guarding | None = None
        if live is not None:
            live.on_change(self.worker.renew)
            self._following = Following(live, EmbeddedSpecsLog(self.log, self.names))
            self._guarding = Guarding(
                EmbeddedAlertsLog(self.log, self.names),
                EmbeddedSpecStore(self.log, self.names, live.files),
            )

    async def __aenter__(self) -> Self:
        if self._following is not None:
            await self._following.__aenter__()
        await self.worker.start()
        if self._guarding is not None:
            await self._guarding.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._guarding is not None:
            await self._guarding.__aexit__()
        await self.worker.stop()
        if self._following is not None:
            await self._following.__aexit__()

    async def publish(self, messages: Iterable[Message]) -> None:
        for count, m in enumerate(messages, start=1):
            self.log.append(self.names.topic(m.topic), m.key, m.value, m.headers, m.timestamp)
            if count % 1000 == 0:
                await asyncio.sleep(0)
                while self._lag() > _BACKLOG:
                    await self.log.wait(0.1)

    async def drain(self, progress: Callable[[int], None] | None = None) -> None:
        while True:
            left = self._lag()
            if progress is not None:
                progress(left)
            if not left:
                return
            await self.log.wait(0.1)

    def _lag(self) -> int:
        return sum(
            self.log.lag(self.names.group(stage.name), self.names.topic(source))
            for stage in self._stages
            for source in stage.sources
        )

    async def places(self) -> list[Place]:
        """How far every stage has come in what it reads."""
        return [
            Place(
                stage.name,
                source,
                n,
                0,
                self.log.end(topic, n),
                self.log.position(self.names.group(stage.name), topic, n),
            )
            for stage in self._stages
            for source in stage.sources
            for topic in (self.names.topic(source),)
            for n in range(self.log.partitions(topic))
        ]

    async def records(self, topic: str) -> Sequence[Record]:
        return self.log.all(self.names.topic(topic))

    async def feed(self) -> AsyncIterator[Message]:
        """Records of the output topics as they come, without end."""
        at = {
            (topic, n): 0
            for topic in OUTPUT_TOPICS
            for n in range(self.log.partitions(self.names.topic(topic)))
        }
        while True:
            idle = True
            for (topic, n), offset in at.items():
                for r in self.log.read(self.names.topic(topic), n, offset, 1000):
                    idle = False
                    at[topic, n] = r.offset + 1
                    yield Message(topic, r.key, r.value, r.headers, r.timestamp)
            if idle:
                await self.log.wait(1.0)
            else:
                await asyncio.sleep(0)
