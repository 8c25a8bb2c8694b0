"""Whatever cannot be processed lands in the dead letters with its reason; the rest goes on."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime, timedelta

from anabranch.runtime import Message, latest_values

EXPERIMENT = "sigil.onboarding.split_form"
COMPLETED = "sigil.telemetry.onboarding_completed"


def binary(kind: str, event_id: str, **more: str) -> list[tuple[str, bytes]]:
    attributes = {"id": event_id, "source": "test", "specversion": "1.0", "type": kind, **more}
    return [(f"ce_{name}", value.encode()) for name, value in attributes.items()]


def context(user: str, **data) -> bytes:
    return json.dumps({"userId": user, **data}).encode()


def completed(user: str, **properties) -> bytes:
    data = {"name": COMPLETED, "version": 1, "userId": user, "properties": properties}
    return json.dumps(data).encode()


TOMORROW = (datetime.now(UTC) + timedelta(days=1)).isoformat()
HUGE = context("huge", attributes={"blob": "x" * 2_000_000})

BAD = {
    # name: (topic, value, headers, reason, what the message says)
    "malformed JSON": ("contexts", b'{"userId": ', [], "MalformedEventError", "not JSON"),
    "no unit": ("contexts", b'{"attributes": {}}', [], "MissingUnitError", "userId"),
    "a field of the wrong type": (
        "contexts", b'{"userId": 7}', [], "EventSchemaError", "userId: expected string"),
    "unknown experiment": (
        "contexts", context("u", experiment="sigil.onboarding.split_from"), [],
        "UnknownExperimentError", EXPERIMENT),
    "unknown version": (
        "contexts", context("u", experiment=EXPERIMENT, version=9), [],
        "UnknownExperimentError", "its versions are 1.0.0"),
    "2 MB": ("contexts", HUGE, [], "OversizedEventError", "2,000,"),
    "null value": ("contexts", None, [], "EmptyEventError", "null"),
    "a date in the future": (
        "contexts", context("u"), binary("anabranch.context.v1", "f", time=TOMORROW),
        "FutureEventError", "time"),
    "a type that belongs elsewhere": (
        "contexts", context("u"), binary("anabranch.telemetry.v1", "t"),
        "MalformedEventError", "type"),
    "a missing field": (
        "telemetry", b'{"version": 1, "userId": "u"}', [], "EventSchemaError", "name: is missing"),
    "undeclared telemetry": (
        "telemetry", json.dumps({"name": COMPLETED + "x", "version": 1, "userId": "u"}).encode(),
        [], "UndeclaredTelemetryError", COMPLETED),
    "a property of the wrong type": (
        "telemetry", completed("u", durationSeconds="long"), [],
        "EventSchemaError", "durationSeconds"),
    "an exposure to no variant": (
        "exposures",
        json.dumps({"experiment": EXPERIMENT, "version": 1, "variant": "blue",
                    "unit": "user:u"}).encode(),
        [], "UnknownVariantError", "control"),
    "an exposure of no experiment": (
        "exposures",
        json.dumps({"experiment": "nowhere", "version": 1, "variant": "control",
                    "unit": "user:u"}).encode(),
        [], "UnknownExperimentError", "nowhere"),
}  # fmt: skip


async def test_each_lands_there_with_its_reason_and_nothing_else_is_disturbed(onboarding):
    users = [f"user-{n}" for n in range(40)]
    now = int(time.time() * 1000)
    good = [Message("contexts", b"k", context(u), (), now) for u in users]
    good += [
        Message("telemetry", b"k", completed(u, durationSeconds=12.5), (), now + 1) for u in users
    ]
    bad = [
        Message(topic, name.encode(), value, [*headers, ("trace", b"42")], now)
        for name, (topic, value, headers, _, _) in BAD.items()
    ]
    mixed = [*good[:20], *bad, *good[20:]]
    await onboarding.publish(mixed)
    await onboarding.drain()

    letters = {}
    for topic in ("contexts", "telemetry", "exposures"):
        for record in await onboarding.records(f"{topic}.dlq"):
            assert record.key not in letters, "a dead letter once, not twice"
            letters[record.key] = topic, record
    assert sorted(k.decode() for k in letters) == sorted(BAD)
    for name, (topic, value, headers, reason, words) in BAD.items():
        found_topic, letter = letters[name.encode()]
        told = dict(letter.headers)
        assert found_topic == topic
        assert letter.value == value
        assert [h for h in letter.headers if not h[0].startswith("__")] == [
            *headers,
            ("trace", b"42"),
        ]
        assert told["__streams.errors.exception"].decode() == reason
        assert words in told["__streams.errors.message"].decode()
        assert told["__streams.errors.topic"].decode().endswith(f".{topic}.v1")
        assert told["__streams.errors.offset"].isdigit()
        assert told["__streams.errors.partition"].isdigit()

    results = [json.loads(v) for v in latest_values(await onboarding.records("results")).values()]
    assert [r["experiment"] for r in results] == [EXPERIMENT]
    assert sum(v["units"] for v in results[0]["variants"]) == len(users)
    (count,) = [m for m in results[0]["metrics"] if m["aggregation"] == "count"]
    assert sum(v["events"] for v in count["variants"]) == len(users)
