"""From contexts and telemetry to assignments, exposures, windows and results."""

from __future__ import annotations

import json
import time
from collections import Counter

from aiokafka.partitioner import DefaultPartitioner

from anabranch.assignment import ExperimentEvaluator
from anabranch.demo import EXPERIMENT, Traffic, demo_catalog
from anabranch.runtime import Message, latest_values
from tests.pipeline.test_dead_letters import completed, context


def values(records) -> list[dict]:
    return [json.loads(record.value) for record in records]


async def test_the_stream_assigns_as_the_library_does(onboarding):
    segments = ["vip", "regular", None]
    people = {f"u{n}": segments[n % 3] for n in range(60)}
    now = int(time.time() * 1000)
    await onboarding.publish(
        Message("contexts", None, context(u, attributes={"segment": s} if s else {}), (), now)
        for u, s in people.items()
    )
    await onboarding.drain()

    evaluator = ExperimentEvaluator(demo_catalog().experiments)
    records = await onboarding.records("assignments")
    by_unit = {v["unit"]: v for v in values(records)}
    assert len(by_unit) == len(records) == 60
    for user, segment in people.items():
        expected = await evaluator.choose_variant(
            {"experiment": EXPERIMENT, "userId": user, "attributes": {"segment": segment}}
        )
        found = by_unit[f"user:{user}"]
        assert (found["variant"], found["reason"]) == (expected.variant.id, expected.reason)
        assert (found["version"], found["digest"]) == (expected.version, expected.digest)
    exposed = Counter(v["unit"] for v in values(await onboarding.records("exposures")))
    assert exposed == Counter(f"user:{u}" for u in people)


async def test_assignments_are_cloudevents_keyed_for_compaction(onboarding):
    now = int(time.time() * 1000)
    await onboarding.publish([Message("contexts", None, context("ann"), (), now)])
    await onboarding.drain()

    (assignment,) = await onboarding.records("assignments")
    (exposure,) = await onboarding.records("exposures")
    headers = dict(assignment.headers)
    assert assignment.key == f"user:ann|{EXPERIMENT}".encode()
    assert exposure.key == b"user:ann"
    assert headers["ce_type"] == b"anabranch.assignment.v1"
    assert dict(exposure.headers)["ce_type"] == b"anabranch.exposure.v1"
    assert headers["ce_specversion"] == b"1.0"
    assert headers["content-type"] == b"application/json"
    assert assignment.timestamp == exposure.timestamp == now
    assert exposure.partition == DefaultPartitioner()(b"user:ann", [0, 1], [0, 1])


async def test_a_repeated_context_gives_the_same_ids_and_no_second_exposure(onboarding):
    now = int(time.time() * 1000)
    headers = [
        ("ce_id", b"c-1"),
        ("ce_source", b"app"),
        ("ce_specversion", b"1.0"),
        ("ce_type", b"anabranch.context.v1"),
    ]
    for _ in range(2):
        await onboarding.publish([Message("contexts", b"ann", context("ann"), headers, now)])
        await onboarding.drain()

    first, second = await onboarding.records("assignments")
    assert dict(first.headers)["ce_id"] == dict(second.headers)["ce_id"]
    assert first.value == second.value
    assert len(await onboarding.records("exposures")) == 1


async def test_a_prefetch_assigns_without_exposing(onboarding):
    now = int(time.time() * 1000)
    await onboarding.publish([Message("contexts", None, context("ann", exposure=False), (), now)])
    await onboarding.drain()

    assert len(await onboarding.records("assignments")) == 1
    assert await onboarding.records("exposures") == []
    assert await onboarding.records("results") == []


async def test_windows_follow_event_time_and_close_behind_the_watermark(onboarding):
    minute = 60_000
    start = int(time.time() * 1000) // minute * minute - 30 * minute
    messages = [Message("contexts", None, context("ann"), (), start)]
    messages += [
        Message("telemetry", b"%d" % n, completed("ann", durationSeconds=n + 1.0), (),
                start + n * minute + 1000)
        for n in range(6)
    ]  # fmt: skip
    messages.append(Message("contexts", None, context("bob"), (), start + 6 * minute))
    await onboarding.publish(messages)
    await onboarding.drain()

    windows = [
        json.loads(v) for v in latest_values(await onboarding.records("metric-windows")).values()
    ]
    counted = {
        w["window"]["start"]: w for w in windows if w["aggregation"] == "count" and w["events"]
    }
    assert [w["events"] for _, w in sorted(counted.items())] == [1] * 6
    assert [w["units"] for w in counted.values()] == [1] * 6
    assert sum(w["final"] for w in counted.values()) >= 3
    assert not counted[max(counted)]["final"]
    averages = {
        w["window"]["start"]: w["value"]
        for w in windows
        if w["aggregation"] == "avg" and w["events"]
    }
    assert [value for _, value in sorted(averages.items())] == [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]


async def test_made_up_traffic_adds_up(onboarding):
    now = int(time.time() * 1000)
    messages = Traffic(11, 100).batch(now - 60_000, now)
    await onboarding.publish(messages)
    await onboarding.drain()

    exposures = values(await onboarding.records("exposures"))
    units = {(v["unit"], v["variant"]) for v in exposures}
    (result,) = [json.loads(v) for v in latest_values(await onboarding.records("results")).values()]
    assert {v["id"]: v["units"] for v in result["variants"]} == Counter(v for _, v in units)
    assert all(v["crossovers"] == 0 for v in result["variants"])
    observed = values(await onboarding.records("observations"))
    distinct = {(o["source"], o["id"]) for o in observed}
    assert len(distinct) < len(observed), "the traffic repeats some events"
