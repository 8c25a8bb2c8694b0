"""Units keep their variants on both runtimes: through weights, versions, sign-ins, restarts."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import Any

import pytest

from anabranch.engine.embedded import EmbeddedWorker
from anabranch.engine.kafka import KafkaWorker
from anabranch.lifecycle import encode_spec
from anabranch.runtime import (
    EmbeddedPipeline,
    KafkaPipeline,
    LiveCatalog,
    Message,
    Pipeline,
    build_stages,
    follow_specs,
    kafka_worker,
)
from anabranch.runtime.spec_logs import EmbeddedSpecsLog
from anabranch.runtime.specs import Following
from anabranch.settings import Settings, load_settings
from anabranch.specs import Catalog
from tests.processors.test_kept import experiment
from tests.support.clusters import eventually

USERS = [f"u{i}" for i in range(30)]


class Shop:
    """A pipeline whose worker can be stopped, and another started in its place."""

    def __init__(self, pipeline: Pipeline, settings: Settings) -> None:
        self.pipeline = pipeline
        self._settings = settings
        self._running = AsyncExitStack()

    async def start(self) -> None:
        """Start a worker, which has nothing but the topics."""
        live = LiveCatalog(Catalog())
        stages = build_stages(live, self._settings)
        worker: EmbeddedWorker | KafkaWorker
        if isinstance(self.pipeline, EmbeddedPipeline):
            names, log = self.pipeline.names, self.pipeline.log
            worker = EmbeddedWorker(log, stages, physical=names.topic, group=names.group)
            following = Following(live, EmbeddedSpecsLog(log, names))
        else:
            worker = kafka_worker(stages, self._settings)
            following = follow_specs(live, self._settings)
        live.on_change(worker.renew)
        await self._running.enter_async_context(following)
        await worker.start()
        self._running.push_async_callback(worker.stop)

    async def stop(self) -> None:
        await self._running.aclose()

    async def restart(self) -> None:
        await self.stop()
        await self.start()

    async def hold(self, **changes: Any) -> None:
        """Publish a spec, and wait until it decides."""
        spec = experiment(**changes)
        record = encode_spec(spec)
        await self.pipeline.publish([Message("specs", record.key, record.value, record.headers)])

        async def decides() -> bool:
            found = await self.ask(userId="whoever")
            return bool(found) and found[-1]["version"] == spec.version

        await eventually(decides, 30, f"{spec.version} to decide")

    async def ask(self, **who: str) -> list[dict[str, Any]]:
        """All assignments of whoever asks, after asking."""
        now = int(time.time() * 1000)
        value = json.dumps(who).encode()
        await self.pipeline.publish([Message("contexts", None, value, (), now)])
        await self.pipeline.drain()
        unit = f"user:{who['userId']}" if "userId" in who else f"session:{who['sessionId']}"
        return [one for one in await self.assignments() if one["unit"] == unit]

    async def ask_all(self) -> dict[str, tuple[str, str]]:
        """What every user gets: variant and version."""
        now = int(time.time() * 1000)
        await self.pipeline.publish(
            Message("contexts", b"%d" % n, json.dumps({"userId": user}).encode(), (), now)
            for n, user in enumerate(USERS)
        )
        await self.pipeline.drain()
        found = {one["unit"]: one for one in await self.assignments()}
        return {u: (found[f"user:{u}"]["variant"], found[f"user:{u}"]["version"]) for u in USERS}

    async def assignments(self) -> list[dict[str, Any]]:
        return [json.loads(r.value or b"") for r in await self.pipeline.records("assignments")]


@pytest.fixture(params=["embedded", "kafka"])
async def shop(request: pytest.FixtureRequest) -> AsyncIterator[Shop]:
    async with AsyncExitStack() as stack:
        pipeline: Pipeline
        if request.param == "embedded":
            chosen = load_settings(prefix="t", partitions=3)
            # not entered, which would start a worker of its own
            pipeline = EmbeddedPipeline(build_stages(Catalog(), chosen), chosen)
        else:
            chosen = load_settings(
                bootstrap=request.getfixturevalue("kafka"),
                prefix=request.getfixturevalue("topic_prefix"),
                partitions=3,
                session_timeout=6,
            )
            pipeline = await stack.enter_async_context(KafkaPipeline(chosen))
            await pipeline.create_topics()
        found = Shop(pipeline, chosen)
        await found.start()
        stack.push_async_callback(found.stop)
        yield found


async def test_a_unit_keeps_its_variant_until_the_salt_changes(shop: Shop) -> None:
    await shop.hold()
    first = await shop.ask_all()
    assert {variant for variant, _ in first.values()} == {"control", "short"}

    await shop.hold(version=2, weights=(0.01, 0.99))  # the version is bumped, the weights change
    second = await shop.ask_all()
    assert second == {user: (variant, "2.0.0") for user, (variant, _) in first.items()}

    await shop.restart()
    assert await shop.ask_all() == second

    await shop.hold(version=3, weights=(1, 0), allocation={"type": "random", "salt": "again"})
    assert set((await shop.ask_all()).values()) == {("control", "3.0.0")}

    exposed = [json.loads(r.value or b"") for r in await shop.pipeline.records("exposures")]
    assert {(e["unit"][5:], e["variant"]) for e in exposed if e["version"] == "2.0.0"} >= {
        (user, variant) for user, (variant, _) in first.items()
    }
    for topic in ("contexts.dlq", "claims.dlq"):
        assert not await shop.pipeline.records(topic)


async def test_a_user_takes_over_what_the_session_was_given_after_a_restart_too(
    shop: Shop,
) -> None:
    await shop.hold(weights=(0, 1))
    assert (await shop.ask(sessionId="s"))[-1]["variant"] == "short"
    await shop.hold(version=2, weights=(1, 0))
    await shop.restart()
    signed_in = (await shop.ask(sessionId="s", userId="ada"))[-1]
    assert (signed_in["variant"], signed_in["reason"]) == ("short", "sticky")
    assert (await shop.ask(userId="ada"))[-1]["variant"] == "short"
    assert (await shop.ask(sessionId="phone", userId="ada"))[-1]["variant"] == "short"
    assert (await shop.ask(sessionId="phone"))[-1]["variant"] == "short"
    assert (await shop.ask(sessionId="desk", userId="bob"))[-1]["variant"] == "control"
