"""A worker of the Kafka runtime: one Faust app a stage for membership, our tasks for the data."""

from __future__ import annotations

import asyncio
import logging
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

import faust
from aiokafka.errors import KafkaConnectionError

from anabranch.engine.host import StageHost
from anabranch.engine.kafka import _membership, access
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.port import KafkaPort
from anabranch.engine.stage import Stage, TaskSettings
from anabranch.engine.stats import TaskStats
from anabranch.errors import EngineError, StateFormatError

log = logging.getLogger(__name__)

_RESTART_BACKOFF = 1.0

_CONNECT_SECONDS = 2.0

_METADATA_AGE_MS = 5_000
"""A broker that has just started may name no topics yet. A leader that asked it then gives nobody
anything, and finds out when it asks again: aiokafka's default is five minutes."""


class KafkaWorker:
    """Runs stages against Kafka; start as many workers as there are partitions.

    Each stage has a consumer group of its own, so that stages may be deployed apart and a
    rebalance of one leaves the others alone.

    Args:
        client: The brokers.
        stages: What to run.
        physical: Logical to physical topic name.
        group: Stage name to consumer group name.
        settings: Passed to every task.
    """

    def __init__(
        self,
        client: KafkaClient,
        stages: Sequence[Stage],
        *,
        physical: Callable[[str], str],
        group: Callable[[str], str],
        settings: TaskSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._members = [
            _Member(
                client,
                stage,
                physical=physical,
                group=group(stage.name),
                settings=settings,
                clock=clock,
            )
            for stage in stages
        ]

    @property
    def hosts(self) -> Sequence[StageHost]:
        """One per stage, for inspection."""
        return [member.host for member in self._members]

    def renew(self) -> None:
        """Every task makes its processor anew before its next batch."""
        for host in self.hosts:
            host.renew()

    async def start(self) -> None:
        """Begin to join every stage's group; partitions arrive when the group has settled."""
        for member in self._members:
            member.start()

    @property
    def ready(self) -> bool:
        """Every group has settled and every partition given to us is open."""
        return all(member.ready for member in self._members)

    async def wait_ready(self) -> None:
        """Until every group has settled and every partition given to us is open."""
        await asyncio.gather(*(member.wait_ready() for member in self._members))

    async def run(self) -> None:
        """Until stopped; raises what no restart can mend."""
        await asyncio.gather(*(member.wait() for member in self._members))

    async def stop(self) -> None:
        """Finish open batches, then leave the groups."""
        await asyncio.gather(*(member.stop() for member in self._members))

    async def kill(self) -> None:
        """Abandon open batches, as a crash would, then leave the groups."""
        await asyncio.gather(*(member.host.kill() for member in self._members))
        await self.stop()


class _StageApp(faust.App):  # type: ignore[misc]
    """A Faust app that only keeps membership of a stage's group."""

    stage_topics: frozenset[str] = frozenset()
    host: StageHost | None = None

    async def stop_tasks(self) -> None:
        if self.host is not None:
            await self.host.stop()


_StageApp.logger = logging.getLogger("faust.membership")


class _Member:
    """One stage's membership, started again when Faust gives up."""

    def __init__(
        self,
        client: KafkaClient,
        stage: Stage,
        *,
        physical: Callable[[str], str],
        group: str,
        settings: TaskSettings | None,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._stage = stage
        self._physical = physical
        self._group = group
        self._settings = settings
        self._clock = clock
        self._topics = frozenset(map(physical, stage.sources))
        self._stopping = asyncio.Event()
        self._assigned = asyncio.Event()
        self._reached_at: float | None = None
        self._alone = False
        self._runner: asyncio.Task[None] | None = None
        self._stats: dict[int, TaskStats] = {}
        self.host = self._new_host()

    def _new_host(self) -> StageHost:
        return StageHost(
            self._stage,
            lambda partition: KafkaPort(
                self._client,
                self._stage,
                partition,
                group=self._group,
                physical=self._physical,
            ),
            logical={self._physical(source): source for source in self._stage.sources},
            settings=self._settings,
            clock=self._clock,
            stats=self._stats,
        )

    def start(self) -> None:
        self._runner = asyncio.create_task(self._run(), name=f"member {self._group}")

    async def wait(self) -> None:
        if self._runner is not None:
            await asyncio.shield(self._runner)

    @property
    def ready(self) -> bool:
        return self._assigned.is_set() and self.host.ready and not self._alone

    async def wait_ready(self) -> None:
        await self._assigned.wait()
        await self.host.wait_ready()

    async def stop(self) -> None:
        """Leave; what ended the membership for good is told by :meth:`wait`."""
        self._stopping.set()
        if self._runner is not None:
            await asyncio.wait([self._runner])

    async def _run(self) -> None:
        while not self._stopping.is_set():
            self._assigned.clear()
            with tempfile.TemporaryDirectory(prefix="anabranch-") as directory:
                app = self._app(directory)
                # Faust starts until the group has given us partitions, which may be never.
                starting = asyncio.create_task(app.start(), name=f"start {self._group}")
                try:
                    await self._watch(app, starting)
                except StateFormatError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever ends Faust, we join again
                    await self._say(error)
                finally:
                    await self._connect(app, starting)
                    starting.cancel()
                    await asyncio.wait([starting])
                    await self._leave(app)
            if not self._stopping.is_set():
                self.host = self._new_host()
                await self._pause(_RESTART_BACKOFF)

    async def _say(self, error: Exception) -> None:
        """A missing right is told in our own words, and we wait until it is granted."""
        why = access.refused(
            error, self._client, right="READ", topics=self._topics, group=self._group
        )
        if why is None and isinstance(error, KafkaConnectionError):
            why = await access.login_refused(self._client)
        if why is None:
            log.warning("%s: membership lost: %r; joining again", self._group, error)
        else:
            log.error("%s cannot join its group, trying again: %s", self._group, why)

    async def _watch(self, app: faust.App, starting: asyncio.Task[None]) -> None:
        """Keep the membership alive as long as the tasks make progress."""
        while not self._stopping.is_set():
            if starting.done():
                starting.result()
            self.host.check()
            if app.crashed:
                raise EngineError(f"Faust stopped: {app.crash_reason!r}") from app.crash_reason
            failure = _membership.membership_failure(app)
            if failure is not None:
                raise EngineError(f"the group does not take us: {failure!r}") from failure
            _membership.note_progress(app, self.host.progressed_at)
            self._look_for_coordinator(app, time.monotonic())
            await self._pause(0.5)

    def _look_for_coordinator(self, app: faust.App, now: float) -> None:
        """Tell once when the broker of the group is gone: tasks without input would not notice.

        Only after the time that takes a worker for dead, since every restart of a broker moves
        the group to another one for a moment.
        """
        if self._reached_at is None or _membership.reached(app):
            self._reached_at = now
            if self._alone:
                self._alone = False
                log.warning("%s: the broker of its group answers again", self._group)
        elif not self._alone and now - self._reached_at > self._client.session_timeout:
            self._alone = True
            log.error(
                "%s: no broker of its group answers since %.0f s: waiting for one at %s",
                self._group,
                now - self._reached_at,
                self._client.bootstrap,
            )

    async def _pause(self, seconds: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return

    async def _connect(self, app: faust.App, starting: asyncio.Task[None]) -> None:
        deadline = time.monotonic() + _CONNECT_SECONDS
        while not (starting.done() or app.crashed or _membership.connected(app)):
            if time.monotonic() > deadline:
                return
            await asyncio.sleep(0.02)

    async def _leave(self, app: faust.App) -> None:
        try:
            await app.stop()
        except Exception as error:  # noqa: BLE001 - leaving must not keep us from joining again
            log.warning("%s: leaving: %r", self._group, error)
        await self.host.stop()

    def _app(self, directory: str) -> faust.App:
        app = _StageApp(
            self._group,
            broker=f"kafka://{self._client.bootstrap.replace(',', ';kafka://')}",
            broker_credentials=self._client.security.for_faust(),
            autodiscover=False,
            datadir=directory,
            web_enabled=False,
            topic_disable_leader=True,
            stream_recovery_delay=0.0,
            stream_wait_empty=False,
            # Without standby replicas Faust picks an assignor that does not co-partition.
            table_standby_replicas=1,
            consumer_metadata_max_age_ms=_METADATA_AGE_MS,
            broker_session_timeout=self._client.session_timeout,
            broker_heartbeat_interval=max(0.5, self._client.session_timeout / 4),
            broker_request_timeout=max(90.0, self._client.session_timeout * 2),
        )
        app.host = self.host
        app.stage_topics = self._topics
        _membership.use_membership_transport(app)
        for topic in app.stage_topics:
            app.topics.add(app.topic(topic, acks=False))

        host, sources = self.host, len(app.stage_topics)

        async def assigned(_: Any, assigned: Any = (), **__: Any) -> None:
            seen: dict[int, int] = {}
            for tp in assigned:
                if tp.topic in app.stage_topics:
                    seen[tp.partition] = seen.get(tp.partition, 0) + 1
            await host.assign(p for p, n in seen.items() if n == sources)
            self._assigned.set()

        async def revoked(_: Any, *__: Any, **___: Any) -> None:
            host.revoke()

        app.on_partitions_assigned.connect(assigned, weak=False)
        app.on_partitions_revoked.connect(revoked, weak=False)
        return app
