"""Exposures count as sent when they are acknowledged; what happens when they are not."""

from __future__ import annotations

import asyncio

from anabranch.assignment import Evaluation, ExperimentContext, Plan
from anabranch.engine.kafka import KafkaClient
from anabranch.flags import ExposureEvent
from anabranch.flags.exposures import DAY
from anabranch.runtime import KafkaPipeline
from anabranch.runtime.exposures import ExposureQueue, KafkaExposures
from anabranch.settings import load_settings
from tests.assignment.specs import experiment
from tests.support.clusters import eventually
from tools.devkafka import LocalBroker

NOW = 1_760_000_000_000
PLAN = Plan(experiment())


def found(user: str) -> Evaluation:
    return PLAN.evaluate(ExperimentContext(user_id=user), NOW)


class Shelf:
    """A delivery that can be away."""

    def __init__(self, *, away: bool = False) -> None:
        self.away = away
        self.got: list[ExposureEvent] = []
        self.tried = asyncio.Event()
        self.closed = False

    async def deliver(self, events):
        self.tried.set()
        if self.away:
            raise OSError("away")
        self.got += events

    async def close(self) -> None:
        self.closed = True


async def test_what_waits_is_delivered_before_the_end():
    shelf = Shelf()
    async with ExposureQueue(shelf) as queue:
        for n in range(2_500):
            queue.use(found(str(n)), NOW)
        assert queue.sent == 0
    assert [event.key for event in shelf.got] == [b"user:%d" % n for n in range(2_500)]
    assert (queue.sent, len(queue), queue.lost, queue.reachable) == (2_500, 0, 0, True)
    assert shelf.closed


async def test_an_exposure_is_told_once_a_period():
    shelf = Shelf()
    async with ExposureQueue(shelf) as queue:
        for time in (NOW, NOW + 1, NOW + DAY):
            queue.use(found("7"), time)
    assert (queue.sent, queue.repeated) == (2, 1)
    assert len({event.id for event in shelf.got}) == 2


async def test_who_is_not_enrolled_is_not_told():
    shelf = Shelf()
    async with ExposureQueue(shelf) as queue:
        queue.use(Plan(experiment(coverage=0)).evaluate(ExperimentContext(user_id="7"), NOW), NOW)
    assert (queue.sent, queue.repeated, queue.dropped) == (0, 0, 0)


async def test_what_does_not_fit_is_dropped_and_told_by_the_next_use(caplog):
    shelf = Shelf(away=True)
    async with ExposureQueue(shelf, most=2) as queue:
        for user in "abc":
            queue.use(found(user), NOW)
        await asyncio.wait_for(shelf.tried.wait(), 10)
        await eventually_failed(queue)
        assert (queue.sent, queue.dropped, len(queue)) == (0, 1, 2)
        shelf.away = False
        await eventually(lambda: emptied(queue), 10, "the queue to be empty")
        queue.use(found("c"), NOW)
    assert (queue.sent, queue.dropped, queue.lost) == (3, 1, 0)
    assert "exposures are dropped" in caplog.text


async def test_what_is_never_acknowledged_is_lost_and_said(caplog):
    queue = ExposureQueue(Shelf(away=True), grace=0)
    async with queue:
        queue.use(found("7"), NOW)
    assert (queue.sent, queue.lost) == (0, 1)
    assert "are lost" in caplog.text


async def eventually_failed(queue: ExposureQueue) -> None:
    async def failed() -> bool:
        return queue.reachable is False

    await eventually(failed, 60, "an attempt to fail")


async def emptied(queue: ExposureQueue) -> bool:
    return not len(queue)


async def test_a_broker_that_goes_away_and_comes_back(kafka):
    """A broker of its own, because others' must not be stopped."""
    assert kafka
    broker = await asyncio.to_thread(LocalBroker)
    try:
        await asyncio.to_thread(broker.start)
        settings = load_settings(bootstrap=broker.bootstrap, prefix="served", partitions=3)
        async with KafkaPipeline(settings) as pipeline:
            await pipeline.create_topics()
        delivery = KafkaExposures(KafkaClient(broker.bootstrap), "served.exposures.v1", patience=3)
        async with ExposureQueue(delivery, grace=30) as queue:
            queue.use(found("before"), NOW)
            await eventually(lambda: emptied(queue), 60, "the first to be acknowledged")
            assert (queue.sent, queue.reachable) == (1, True)

            await asyncio.to_thread(broker.stop)
            queue.use(found("while"), NOW)
            await eventually_failed(queue)
            assert (queue.sent, len(queue)) == (1, 1)

            await asyncio.to_thread(broker.start)
            await eventually(lambda: emptied(queue), 120, "the second to be acknowledged")
            assert (queue.sent, queue.reachable) == (2, True)
        async with KafkaPipeline(settings) as pipeline:
            keys = {record.key for record in await pipeline.records("exposures")}
        assert keys == {b"user:before", b"user:while"}
    finally:
        await asyncio.to_thread(broker.close)
