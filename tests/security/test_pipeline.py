"""The whole pipeline behind logins and rights, with no right but those of docs/security.md."""

from __future__ import annotations

import json
import time

from anabranch.demo import demo_catalog
from anabranch.runtime import (
    KafkaPipeline,
    LiveCatalog,
    Message,
    build_stages,
    follow_specs,
    kafka_worker,
)
from anabranch.settings import load_settings
from anabranch.topology import STAGES
from tests.pipeline.test_dead_letters import completed
from tests.security.broker import grant, make_user
from tests.security.grants import documented
from tests.support.clusters import eventually

PASSWORD = "correct-horse-of-scram"
STAGE_NAMES = [shape.name for shape in STAGES]


async def test_all_four_stages_run_with_the_documented_rights(secured, prefix):
    user = f"{prefix}-worker"
    await make_user(secured, user, PASSWORD)
    rights = documented("every worker", *STAGE_NAMES, prefix=prefix)
    await grant(secured, f"User:{user}", rights)
    common = {"prefix": prefix, "partitions": 2, "session_timeout": 6}
    chosen = load_settings(**secured.scram(user, PASSWORD), **common)
    now = int(time.time() * 1000)
    async with KafkaPipeline(load_settings(bootstrap=secured.owner, **common)) as owner:
        await owner.create_topics()
        live = LiveCatalog(demo_catalog())
        worker = kafka_worker(build_stages(live, chosen), chosen)
        async with follow_specs(live, chosen):
            await worker.start()
            try:
                await worker.wait_ready()
                contexts = [
                    Message("contexts", None, json.dumps({"userId": f"u{n}"}).encode(), (), now)
                    for n in range(50)
                ]
                await owner.publish([*contexts, Message("contexts", None, b"{", (), now)])
                await owner.publish([Message("specs", b"Experiment|no|1.0.0", b"{", (), now)])
                await owner.drain()
                await owner.publish(
                    Message("telemetry", None, completed(f"u{n}", durationSeconds=2.0), (), now)
                    for n in range(50)
                )
                await owner.drain()
                await eventually(lambda: owner.records("specs.dlq"))
            finally:
                await worker.stop()
        assert len(await owner.records("assignments")) == 50
        assert len(await owner.records("contexts.dlq")) == 1
        assert await owner.records("results")
        assert await owner.records("metric-windows")
        assert len(await owner.records("specs.dlq")) == 1, "a spec that was refused"
        await owner.destroy()
