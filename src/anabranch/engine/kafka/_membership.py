"""Everything private of Faust that the engine touches, in one place; of aiokafka: ``_private``.

Checked against faust-streaming 0.15.3, which ``pyproject.toml`` pins. A test
(``tests/engine/test_private.py``) fails when an upgrade moves any of it. Faust takes a second to
import, so nothing but workers imports this.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError
from aiokafka.protocol.group import LeaveGroupRequest
from faust.transport.drivers import aiokafka as driver

from anabranch.engine.kafka._private import coordinator, let_go

log = logging.getLogger(__name__)


def group_consumer(app: faust.App) -> Any | None:
    """The aiokafka consumer that keeps the app's membership; None before it is started."""
    thread = getattr(app.consumer, "_thread", None)
    return None if thread is None else thread._consumer  # noqa: SLF001


def connected(app: faust.App) -> bool:
    """Whether the app has got as far as to join its group: it connects to nothing new after that.

    A start that is cancelled while it connects leaves the connection behind, open.
    """
    return getattr(group_consumer(app), "_coordinator", None) is not None


def reached(app: faust.App) -> bool:
    """Whether the broker that coordinates the group answers; aiokafka forgets one that does not."""
    found = getattr(group_consumer(app), "_coordinator", None)
    return getattr(found, "coordinator_id", None) is not None


def membership_failure(app: faust.App) -> BaseException | None:
    """Why the group does not take us; aiokafka keeps it for a poll, and nobody polls.

    Until it is asked for, aiokafka's coordinator waits: a missing right would look like a
    rebalance that never ends.
    """
    coordinator = getattr(group_consumer(app), "_coordinator", None)
    if coordinator is None:
        return None
    failure: BaseException | None = getattr(coordinator, "_pending_exception", None)
    running = getattr(coordinator, "_coordination_task", None)
    if failure is None and running is not None and running.done() and not running.cancelled():
        failure = running.exception()
    return failure


def note_progress(app: faust.App, at: float) -> None:
    """Tell the membership consumer when the slowest task last made progress.

    Nobody polls it, so aiokafka would leave the group after ``max_poll_interval``; this keeps
    the setting's meaning.
    """
    consumer = group_consumer(app)
    if consumer is not None and consumer._subscription is not None:  # noqa: SLF001
        consumer._subscription._last_fetch_ended = at  # noqa: SLF001


class MembershipThread(driver.AIOKafkaConsumerThread):  # type: ignore[misc]
    """Faust's thread of the membership, which ends when it is told to, also while it starts."""

    async def stop(self) -> None:
        # A thread that has not begun would not hear of it, and never end.
        while self._begins():  # noqa: ASYNC110 - what it begins with has no event of ours
            await asyncio.sleep(0.01)
        await super().stop()

    def _begins(self) -> bool:
        thread = self._thread
        return thread is not None and thread.is_alive() and not self._started.is_set()

    async def on_thread_stop(self) -> None:
        """Stop the consumer; it lets out cancellations of its own, see ``_private.Consumer``.

        It waits for an answer to its joining the group, which comes when all others have joined
        or were given up: we do not.
        """
        stopping = asyncio.ensure_future(super().on_thread_stop())
        await asyncio.wait([stopping], timeout=_JOIN_SECONDS)
        if not stopping.done() and self._consumer is not None:
            await _leave_while_joining(self._consumer)
            await asyncio.wait([stopping], timeout=_JOIN_SECONDS)
        if stopping.done() and not stopping.cancelled():
            stopping.result()
            return
        stopping.cancel()
        await asyncio.wait([stopping])
        if self._consumer is not None:
            await let_go(self._consumer)


_JOIN_SECONDS = 1.0


async def _leave_while_joining(consumer: AIOKafkaConsumer) -> None:
    """Leave the group over another connection: a broker answers one request after the other."""
    of_group = coordinator(consumer)
    if not of_group.member_id or of_group.coordinator_id is None:
        return
    request = LeaveGroupRequest(of_group.group_id, of_group.member_id)
    try:
        async with asyncio.timeout(_JOIN_SECONDS):
            await consumer._client.send(of_group.coordinator_id, request)  # noqa: SLF001
    except (KafkaError, TimeoutError) as error:
        log.warning("%s: leaving while joining: %r", of_group.group_id, error)


class MembershipConsumer(driver.Consumer):  # type: ignore[misc]
    """Faust's consumer, kept from fetching or seeking the stages' sources.

    The app carries ``stage_topics``, the sources that tasks read themselves, and
    ``stop_tasks``, awaited before the group is left.
    """

    def _new_consumer_thread(self) -> MembershipThread:
        return MembershipThread(self, loop=self.loop, beacon=self.beacon)

    def resume_partitions(self, tps: Iterable[Any]) -> None:
        mine = {tp for tp in tps if tp.topic in self.app.stage_topics}
        super().resume_partitions(set(tps) - mine)
        consumer = self._thread._consumer  # noqa: SLF001
        own = [TopicPartition(*tp) for tp in mine if TopicPartition(*tp) in consumer.assignment()]
        if own:
            self._thread.thread_loop.call_soon_threadsafe(consumer.pause, *own)

    def verify_event_path(self, now: float, tp: Any) -> None:
        """Leave the stages' sources out: nobody fetches them here, so that is no error.

        Faust would log each of them as one every few seconds, from five minutes after the start.
        Whether their tasks make progress is what ``/livez`` watches.
        """
        if tp.topic not in self.app.stage_topics:
            super().verify_event_path(now, tp)

    async def on_stop(self) -> None:
        await self.app.stop_tasks()
        await super().on_stop()


class MembershipTransport(driver.Transport):  # type: ignore[misc]
    """Faust's transport with :class:`MembershipConsumer`."""

    Consumer = MembershipConsumer


# Services of Faust log under the module that defines them; these are Faust's own doings.
MembershipThread.logger = MembershipConsumer.logger = logging.getLogger("faust.membership")


def use_membership_transport(app: faust.App) -> None:
    """Put the transport in place; before the app starts."""
    app.transport = MembershipTransport(app.conf.broker_consumer, app, loop=None)
