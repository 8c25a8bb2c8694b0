"""Dead letters: listed, shown, and sent back exactly once."""

from __future__ import annotations

import asyncio
import json
import time

import pytest

from anabranch.cli.app import run
from anabranch.demo import demo_catalog
from anabranch.runtime import KafkaPipeline, Message, build_stages, kafka_worker
from anabranch.settings import load_settings
from anabranch.specs import Catalog
from tests.pipeline.test_dead_letters import completed


@pytest.fixture
def where(kafka, topic_prefix) -> list[str]:
    return ["--bootstrap", kafka, "--prefix", topic_prefix]


def settings(where: list[str]):
    return load_settings(
        bootstrap=where[1], prefix=where[3], partitions=2, breaker_share=1, session_timeout=6
    )


async def flow(where: list[str], catalog: Catalog, *messages: Message) -> dict[str, list]:
    """Run the stages over what is there, then say what is in which topic."""
    chosen = settings(where)
    async with KafkaPipeline(chosen) as pipeline:
        await pipeline.create_topics()
        await pipeline.publish(messages)
        worker = kafka_worker(build_stages(catalog, chosen), chosen)
        await worker.start()
        try:
            await pipeline.drain()
        finally:
            await worker.stop()
        return {t: list(await pipeline.records(t)) for t in ("observations", "telemetry.dlq")}


def answer(capsys, *arguments: str) -> object:
    capsys.readouterr()
    assert run(["dlq", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_forgotten_spec_is_mended_and_its_events_sent_back_once(where, capsys):
    """Telemetry came before its TelemetrySpec was deployed; one event is broken for good."""
    now = int(time.time() * 1000)
    users = [f"user-{n}" for n in range(30)]
    good = [
        Message("telemetry", u.encode(), completed(u, durationSeconds=1.5), [("trace", b"7")], now)
        for u in users
    ]
    bad = Message("telemetry", b"bad", b"{", (), now)
    experiments = Catalog.of(demo_catalog().experiments)
    before = asyncio.run(flow(where, experiments, *good[:20], bad, *good[20:]))
    assert before["observations"] == []
    assert len(before["telemetry.dlq"]) == 31

    assert answer(capsys, "list", *where) == [
        {"topic": "telemetry", "reason": "MalformedEventError", "count": 1},
        {"topic": "telemetry", "reason": "UndeclaredTelemetryError", "count": 30},
    ]
    assert run(["doctor", "gate", *where]) == 0
    assert "anabranch dlq show telemetry" in capsys.readouterr().out
    only = ["--reason", "UndeclaredTelemetryError"]
    dry = answer(capsys, "redrive", "telemetry", *where, *only, "--dry-run")
    assert dry == {"sent": 30, "left": 1, "dryRun": True}
    first = answer(capsys, "redrive", "telemetry", *where, *only, "--limit", "12")
    assert first == {"sent": 12, "left": 19, "dryRun": False}
    second = answer(capsys, "redrive", "telemetry", *where, *only)
    assert second == {"sent": 18, "left": 1, "dryRun": False}
    again = answer(capsys, "redrive", "telemetry", *where, *only)
    assert again == {"sent": 0, "left": 1, "dryRun": False}

    after = asyncio.run(flow(where, demo_catalog()))
    observed = [json.loads(r.value)["unit"] for r in after["observations"]]
    assert sorted(observed) == sorted(f"user:{u}" for u in users)
    assert answer(capsys, "list", *where) == [
        {"topic": "telemetry", "reason": "MalformedEventError", "count": 1}
    ]


def test_what_cannot_be_mended_comes_back_and_says_how_often(where, capsys):
    now = int(time.time() * 1000)
    asyncio.run(flow(where, demo_catalog(), Message("telemetry", b"bad", b"{", (), now)))
    assert answer(capsys, "redrive", "telemetry", *where)["sent"] == 1
    asyncio.run(flow(where, demo_catalog()))

    shown = answer(capsys, "show", "telemetry", *where)
    assert shown["reason"] == "MalformedEventError"
    assert (shown["key"], shown["value"]) == ("bad", "{")
    assert shown["topic"] == f"{where[3]}.telemetry.v1"
    assert shown["headers"]["anabranch.redriven"] == "2", "what another redrive would write"
    assert run(["dlq", "show", "telemetry", *where]) == 0
    assert "MalformedEventError" in capsys.readouterr().out


def test_an_unknown_topic_and_an_unknown_prefix(where, capsys):
    assert run(["dlq", "show", "nonsense", *where]) == 4
    said = " ".join(capsys.readouterr().err.split())
    assert "choose from" in said
    assert "contexts" in said
    assert run(["dlq", "redrive", "contexts", *where]) == 4
    assert "is the prefix" in " ".join(capsys.readouterr().err.split())
    assert run(["dlq", "list", *where]) == 4
    assert "`anabranch topics create` makes" in " ".join(capsys.readouterr().err.split())
