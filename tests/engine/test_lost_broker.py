"""A worker to which nothing comes notices all the same that its broker is gone, and is back."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest

from anabranch.engine.kafka import KafkaClient, KafkaWorker, Topics
from anabranch.engine.kafka.admin import TopicSettings
from tests.engine.processors import counting, topics
from tests.support.clusters import TASKS, eventually
from tools.devkafka import DevKafkaMissingError, LocalBroker


@pytest.fixture
def broker(kafka: str) -> Iterator[LocalBroker]:
    """One that may be killed; ``kafka`` is asked for so that its rules of skipping hold."""
    try:
        made = LocalBroker()
    except DevKafkaMissingError as missing:
        pytest.skip(str(missing))
    with made:
        made.start()
        yield made


async def test_an_idle_worker_is_not_ready_without_its_broker(broker, caplog):
    client = KafkaClient(broker.bootstrap, session_timeout=6)
    async with Topics(client) as admin:
        await admin.create(
            TopicSettings(name, count, {"cleanup.policy": "delete"})
            for name, count in topics().items()
        )
    worker = KafkaWorker(client, [counting()], physical=str, group=str, settings=TASKS)
    await worker.start()
    try:
        await asyncio.wait_for(worker.wait_ready(), 60)
        with caplog.at_level(logging.WARNING, logger="anabranch.engine.kafka.worker"):
            await asyncio.to_thread(broker.kill)
            await eventually(lambda: not worker.ready, 60, "the worker to notice")
            assert "count: no broker of its group answers since" in caplog.text
            assert broker.bootstrap in caplog.text
            await asyncio.to_thread(broker.start)
            await eventually(lambda: worker.ready, 90, "the worker to be ready again")
            assert caplog.text.count("no broker of its group answers") == 1
    finally:
        await worker.stop()
