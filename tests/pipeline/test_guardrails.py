"""From harm in the telemetry to a pause that workers follow, end to end, on both runtimes."""

from __future__ import annotations

import json
import time

import pytest

from anabranch.assignment import ExperimentEvaluator
from anabranch.lifecycle import decode_audit
from anabranch.runtime import Message
from anabranch.specs import Catalog, ExperimentSpec
from tests.metrics.shop import ORDER, TELEMETRY
from tests.support.clusters import eventually
from tests.support.pipelines import running

USERS = [f"u{n}" for n in range(1200)]


def spec(version: int = 1) -> ExperimentSpec:
    return ExperimentSpec.model_validate(
        {
            "meta": {"key": "checkout", "version": version},
            "controlVariant": "control",
            "variants": [{"id": "control"}, {"id": "short"}],
            "allocation": {"type": "random"},
            "successMetrics": [
                {
                    "name": "buyers",
                    "telemetryEvent": ORDER,
                    "aggregation": "unique",
                    "guardrail": {"onBreach": "pause"},
                }
            ],
        }
    )


@pytest.fixture(params=["embedded", "kafka"])
async def pipeline(request):
    async with running(request, Catalog.of([TELEMETRY, spec()]), partitions=2) as made:
        yield made


def asked(user: str, at: int) -> Message:
    return Message("contexts", None, json.dumps({"userId": user}).encode(), (), at)


def ordered(user: str, at: int) -> Message:
    data = {"name": ORDER["key"], "version": 1, "userId": user, "properties": {"amount": 5}}
    return Message("telemetry", user.encode(), json.dumps(data).encode(), (), at)


async def harmful_traffic(pipeline) -> None:
    """Everybody in control buys, and nobody with the short checkout does."""
    start = int(time.time() * 1000) - 3_600_000
    plan = ExperimentEvaluator(Catalog.of([spec()]).experiments)
    arms = {
        user: (await plan.choose_variant({"experiment": "checkout", "userId": user})).variant.id
        for user in USERS
    }
    await pipeline.publish(asked(user, start) for user in USERS)
    await pipeline.drain()
    await pipeline.publish(
        ordered(user, start + 60_000) for user, arm in arms.items() if arm == "control"
    )
    await pipeline.drain()


async def alerts(pipeline) -> list[dict]:
    return [json.loads(record.value) for record in await pipeline.records("alerts")]


async def audit(pipeline):
    return [decode_audit(record) for record in await pipeline.records("audit")]


async def assigned(pipeline, prefix: str) -> set[str]:
    users = [f"{prefix}{n}" for n in range(40)]
    await pipeline.publish(asked(user, int(time.time() * 1000)) for user in users)
    await pipeline.drain()
    told = [json.loads(record.value) for record in await pipeline.records("assignments")]
    return {one["variant"] for one in told if one["unit"].startswith(f"user:{prefix}")}


async def test_harm_pauses_the_experiment_once_with_who_and_why(pipeline):
    await harmful_traffic(pipeline)
    await eventually(lambda: audit_there(pipeline), 30, "the pause in the audit")

    (alert,) = await alerts(pipeline)
    assert (alert["kind"], alert["state"], alert["action"]) == ("guardrail", "raised", "pause")
    assert (alert["metric"], alert["variant"]) == ("buyers", "short")
    assert alert["evidence"]["high"] < 0
    (entry,) = await audit(pipeline)
    assert (entry.who, entry.action, entry.key, entry.version) == (
        "anabranch guardrail",
        "pause",
        "checkout",
        "1.0.0",
    )
    assert entry.why == f"guardrail: {alert['message']}"
    assert entry.cause == alert["id"]
    (said,) = await pipeline.records("specs")
    assert json.loads(said.value)["status"] == "paused"
    round_ = 0

    async def all_control() -> bool:
        nonlocal round_
        round_ += 1
        return await assigned(pipeline, f"later{round_}.") == {"control"}

    await eventually(all_control, 30, "workers that follow the pause")
    assert len(await audit(pipeline)) == 1
    assert len(await alerts(pipeline)) == 1


async def audit_there(pipeline) -> bool:
    """A transaction's records become visible partition by partition."""
    return bool(await audit(pipeline)) and bool(await pipeline.records("specs"))
