"""Liveness and readiness of a worker tell the truth."""

from __future__ import annotations

import asyncio
import time

import httpx

from anabranch.web.health import HUNG_AFTER, health_app
from tests.engine.processors import counting, topics
from tests.support.clusters import EmbeddedCluster, eventually


async def ask(app, path: str) -> tuple[int, dict]:
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://worker"
    ) as client:
        answer = await client.get(path)
        return answer.status_code, answer.json()


async def test_a_working_worker_is_alive_and_ready():
    cluster, stage = EmbeddedCluster(), counting()
    await cluster.create(topics())
    worker = cluster.worker(stage)
    await worker.start()
    app = health_app(lambda: worker.hosts, lambda: all(h.ready for h in worker.hosts))
    assert await ask(app, "/livez") == (
        200,
        {"status": "ready", "hung": [], "stages": {"count": {"0": "open", "1": "open"}}},
    )
    assert (await ask(app, "/readyz"))[0] == 200
    await worker.stop()


async def test_a_worker_that_has_not_its_partitions_open_is_alive_but_not_ready():
    cluster, stage = EmbeddedCluster(), counting()
    await cluster.create(topics())
    worker = cluster.worker(stage)
    await worker.start()
    (host,) = worker.hosts
    host.tasks[0].ready.clear()
    app = health_app(lambda: worker.hosts, lambda: all(h.ready for h in worker.hosts))
    status, report = await ask(app, "/readyz")
    assert (status, report["status"], report["stages"]["count"]["0"]) == (
        503,
        "starting",
        "opening",
    )
    assert (await ask(app, "/livez"))[0] == 200
    await worker.stop()


async def test_refused_specs_are_told_and_are_no_reason_to_be_unready():
    refused: list[str] = []
    app = health_app(list, lambda: True, refused=lambda: refused)
    assert (await ask(app, "/readyz"))[1]["refusedSpecs"] == []
    refused.append("t.specs.v1[0]@3 nonsense: no key")
    status, report = await ask(app, "/readyz")
    assert (status, report["status"], report["refusedSpecs"]) == (200, "ready", refused)


async def test_a_hung_batch_is_a_reason_to_restart():
    class Hang:
        async def process(self, batch, state, cache, out) -> None:
            await asyncio.Event().wait()

    cluster, stage = EmbeddedCluster(), counting(Hang)
    await cluster.create(topics(partitions=1))
    await cluster.produce("in", [(b"k", b"v")])
    worker = cluster.worker(stage)
    await worker.start()
    await asyncio.sleep(0.1)
    now = time.monotonic() + HUNG_AFTER + 1
    app = health_app(lambda: worker.hosts, lambda: True, clock=lambda: now)
    status, report = await ask(app, "/livez")
    assert (status, report["hung"]) == (503, ["count[0]"])
    await worker.kill()


async def test_a_paused_partition_is_not_ready_and_says_why():
    class Broken:
        def process(self, batch, state, cache, out) -> None:
            for record in batch.sources["in"]:
                out.dead_letter(record, ValueError("no"))

    cluster, stage = EmbeddedCluster(), counting(Broken, max_records=1000)
    await cluster.create(topics(partitions=1))
    await cluster.produce("in", [(b"k", b"v")] * 200)
    worker = cluster.worker(stage)
    await worker.start()
    (host,) = worker.hosts
    await eventually(lambda: host.tasks[0].paused)
    app = health_app(lambda: worker.hosts, lambda: True)
    status, report = await ask(app, "/readyz")
    assert (status, report["status"]) == (503, "paused")
    assert "200 of the last 200 records" in report["stages"]["count"]["0"]
    assert (await ask(app, "/livez"))[0] == 200
    await worker.stop()
