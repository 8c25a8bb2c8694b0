"""What every test may ask for: a real broker, topics of its own, reproducible properties."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import uuid
from collections.abc import Iterator

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError
from hypothesis import settings

from tools.devkafka import DevKafkaMissingError, start

IN_CI = os.environ.get("CI") == "true"

settings.register_profile("dev", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE") or ("ci" if IN_CI else "dev"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark whatever needs a broker, so that ``-m "not kafka"`` leaves it out.

    A suite that runs on both runtimes asks for the broker by a parameter named "kafka".
    """
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        callspec = getattr(item, "callspec", None)
        asked = "kafka" in fixtures or "secured" in fixtures
        if asked or (callspec and "kafka" in callspec.params.values()):
            item.add_marker(pytest.mark.kafka)


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """Commands set up the process's logging; what they leave must not reach the next test.

    A handler on a captured stream that is closed, and debug logs of every heartbeat, would.
    """
    loggers = [logging.getLogger(name) for name in ("", "anabranch", "aiokafka")]
    handlers, levels = [list(one.handlers) for one in loggers], [one.level for one in loggers]
    yield
    for one, before, level in zip(loggers, handlers, levels, strict=True):
        one.setLevel(level)
        if one.handlers != before:
            one.handlers[:] = before


@pytest.fixture(scope="session")
def kafka() -> Iterator[str]:
    """``host:port`` of a real broker, started at most once a session and only when asked for.

    Where none can be had the test is skipped, in CI it fails: a suite that quietly left Kafka
    out would prove nothing.
    """
    try:
        broker = start()
    except DevKafkaMissingError as missing:
        if IN_CI:
            pytest.fail(f"CI must test on a real broker: {missing}")
        pytest.skip(str(missing))
    with broker:
        yield broker.bootstrap


@pytest.fixture
def topic_prefix(kafka: str) -> Iterator[str]:
    """A prefix that no other test uses; topics that start with it are deleted afterwards.

    Synchronous, so that asynchronous fixtures may ask for it while their loop is running.
    """
    prefix = f"t{uuid.uuid4().hex[:12]}"
    yield prefix
    # On a thread of its own: the test's event loop is not to be replaced.
    cleaner = threading.Thread(target=lambda: asyncio.run(_delete_topics(kafka, prefix)))
    cleaner.start()
    cleaner.join()


async def _delete_topics(bootstrap: str, prefix: str) -> None:
    """Only tidiness: what a broker will not delete is no failure of the test."""
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    with contextlib.suppress(KafkaError):
        try:
            await admin.start()
            made = [topic for topic in await admin.list_topics() if topic.startswith(prefix)]
            if made:
                await admin.delete_topics(made)
        finally:
            await admin.close()
