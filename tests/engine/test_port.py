"""What the Kafka port does when a client will not be stopped in order."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest

from anabranch.engine.kafka import KafkaClient, KafkaPort, _private, port
from tests.engine.processors import counting


class Stubborn:
    """A client that raises, lets out a cancellation, or hangs when it is stopped."""

    def __init__(self, way: str) -> None:
        self.way = way

    async def stop(self) -> None:
        match self.way:
            case "cancelled":
                raise asyncio.CancelledError
            case "raises":
                raise RuntimeError("no broker")
            case "hangs":
                await asyncio.Event().wait()


async def test_a_consumer_stops_whole_though_a_fetch_of_it_is_cancelled(kafka):
    """aiokafka's own raises CancelledError then, and leaves its connections open."""
    consumer = KafkaClient(kafka).consumer()
    await consumer.start()
    fetching = asyncio.create_task(asyncio.Event().wait())
    await asyncio.sleep(0)
    consumer._fetcher._pending_tasks.add(fetching)
    await consumer.stop()
    assert fetching.cancelled()
    assert all(not connection.connected() for connection in consumer._client._conns.values())


@pytest.mark.parametrize("way", ["cancelled", "raises", "hangs"])
async def test_closing_never_raises_and_lets_go_of_what_would_not_stop(way, monkeypatch):
    let_go = []

    async def note(client) -> None:
        let_go.append(client)

    monkeypatch.setattr(_private, "let_go", note)
    monkeypatch.setattr(port, "_STOP_SECONDS", 0.05)
    client = KafkaClient("127.0.0.1:1")
    closing = KafkaPort(client, counting(), 0, group="g", physical=str)
    producer, consumer = Stubborn(way), Stubborn("well")
    closing._producer, closing._reading = producer, SimpleNamespace(consumers=[consumer])
    await closing.close()
    assert let_go == [producer]
