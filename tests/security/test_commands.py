"""Every command with the rights that docs/security.md gives to whoever runs it, and no others."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
import time
from pathlib import Path

import httpx
import psutil
import pytest

from anabranch.cli.app import run
from anabranch.engine.outbox import error_headers
from anabranch.errors import MalformedEventError
from anabranch.runtime import KafkaPipeline, LiveCatalog, Message, follow_specs
from anabranch.runtime.client import kafka_client
from anabranch.runtime.publishing import KafkaSpecStore
from anabranch.settings import Settings, environment, load_settings
from anabranch.topology import STAGES, TOPICS, Names
from anabranch.web import Board, create_app
from anabranch.web.access import Access, Client
from anabranch.web.desk import Desk
from anabranch.web.kafka_feed import KafkaFeed
from anabranch.web.kafka_pipeline import KafkaLook
from tests.security.broker import grant, make_user
from tests.security.grants import documented, principals
from tests.support.bench import In

EXAMPLE = Path(__file__).parents[2] / "examples" / "onboarding"
PASSWORD = "correct-horse-of-commands"


@pytest.fixture
def acting(secured, prefix, monkeypatch, capsys):
    """Makes a user with some row's rights and becomes that user; returns the user's settings."""

    def become(*who: str) -> dict:
        user = f"{prefix}-{who[0].replace(' ', '-').replace(',', '')}"

        async def make() -> None:
            await make_user(secured, user, PASSWORD)
            await grant(secured, f"User:{user}", documented(*who, prefix=prefix))

        asyncio.run(make())
        settings = secured.scram(user, PASSWORD) | {"prefix": prefix, "partitions": 1}
        for name in os.environ:
            if name.startswith("ANABRANCH_"):
                monkeypatch.delenv(name)
        for name, value in environment(load_settings(**settings)).items():
            monkeypatch.setenv(name, value)
        return settings

    return become


def said(capsys, *arguments: str | Path, code: int = 0) -> str:
    """What a command writes; it ends as it should and gives no secret away."""
    capsys.readouterr()
    ended = run(list(map(str, arguments)))
    out, err = capsys.readouterr()
    assert ended == code, err
    assert PASSWORD not in out + err
    return out


TESTED = [
    "every worker",
    *(shape.name for shape in STAGES),
    "publish",
    "list, show, history",
    "topics create",
    "topics describe",
    "dashboard",
    "dlq list, dlq show",
    "dlq redrive",
    "replay --bootstrap",
    "replay --from-topics",
    "results",
    "applications",
]


def test_the_page_gives_rights_to_nobody_who_is_not_tested():
    assert principals() == TESTED


def test_topics_specs_and_dead_letters(owner, acting, prefix, capsys):
    acting("topics create")
    assert f"created {prefix}.contexts.v1" in said(capsys, "topics", "create")
    assert "there already" in said(capsys, "topics", "create")
    acting("topics describe")
    described = json.loads(said(capsys, "topics", "describe", "--json"))
    assert {topic["partitions"] for topic in described} == {1}

    acting("publish")
    said(capsys, "publish", EXAMPLE / "specs", "--yes", "--json")
    acting("list, show, history")
    assert "sigil.onboarding.split_form" in said(capsys, "list", "--json")
    assert "sigil.onboarding.split_form" in said(capsys, "history", "--json")
    assert "control" in said(capsys, "show", "sigil.onboarding.split_form", "--json")

    asyncio.run(bury(owner))
    acting("dlq list, dlq show")
    waiting = [{"topic": "contexts", "reason": "MalformedEventError", "count": 1}]
    assert json.loads(said(capsys, "dlq", "list", "--json")) == waiting
    assert "MalformedEventError" in said(capsys, "dlq", "show", "contexts", "--json")
    acting("dlq redrive")
    sent = json.loads(said(capsys, "dlq", "redrive", "contexts", "--json"))
    assert sent == {"sent": 1, "left": 0, "dryRun": False}

    acting("results")
    assert said(capsys, "results", "--json") == ""
    acting("replay --from-topics")
    again = ["replay", "--from-topics", prefix, "--specs", EXAMPLE / "specs", "--json"]
    assert said(capsys, *again) == said(capsys, *again, "--raw") == ""

    dashboard = acting("dashboard")
    assert asyncio.run(first_of_feed(dashboard)) == "alerts"
    assert asyncio.run(stages_looked_at(dashboard)) == {shape.name for shape in STAGES}
    assert asyncio.run(specs_followed(dashboard)) == "running"
    assert asyncio.run(paused_by_desk(acting("dashboard", "publish"))) == 200


@pytest.fixture
def owner(secured, prefix) -> Settings:
    """Settings of the broker's owner, made before a test acts as anybody else."""
    return load_settings(bootstrap=secured.owner, prefix=prefix, partitions=1)


async def bury(settings: Settings) -> None:
    """A dead letter of contexts, and an alert for the dashboard."""
    now = int(time.time() * 1000)
    lost = In(f"{settings.prefix}.contexts.v1", b"{", timestamp=now)
    headers = error_headers(lost, MalformedEventError("not JSON"))
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        await pipeline.publish([Message("contexts.dlq", None, b"{", headers, now)])
        await pipeline.publish([Message("alerts", b"k", b"{}", (), now)])


async def first_of_feed(settings: dict) -> str:
    chosen = load_settings(**settings)
    async with KafkaFeed(kafka_client(chosen), chosen.prefix) as feed:
        records = aiter(feed)
        try:
            while True:
                record = await asyncio.wait_for(anext(records), 20)
                if record.topic == "alerts":
                    return record.topic
        finally:
            await records.aclose()


async def stages_looked_at(settings: dict) -> set[str]:
    chosen = load_settings(**settings)
    async with KafkaLook(kafka_client(chosen), chosen.prefix) as look:
        return {place.stage for place in await look()}


async def specs_followed(settings: dict) -> str:
    """The experiment's status, as the dashboard sees it."""
    live = LiveCatalog()
    async with follow_specs(live, load_settings(**settings), buries=False):
        return str(live.catalog.experiments.require("sigil.onboarding.split_form").status)


async def paused_by_desk(settings: dict) -> int:
    """What the dashboard answers to a pause."""
    chosen = load_settings(**settings)
    store = KafkaSpecStore(kafka_client(chosen), Names(chosen.prefix))
    desk = Desk(LiveCatalog(), store, clock=time.time, access=Access([Client("ada", PASSWORD)]))
    transport = httpx.ASGITransport(create_app(Board(), clock=time.time, desk=desk))
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as http:
        shown = await http.get("/api/published/sigil.onboarding.split_form")
        held = shown.json()["versions"][0]
        asked = {"experiment": "sigil.onboarding.split_form", "action": "pause"}
        asked |= {name: held[name] for name in ("version", "digest")}
        bearer = {"authorization": f"Bearer {PASSWORD}"}
        return (await http.post("/api/actions", json=asked, headers=bearer)).status_code


def test_a_redrive_names_the_right_it_misses(owner, acting, prefix, capsys):
    asyncio.run(bury(owner))
    acting("dlq list, dlq show")
    capsys.readouterr()
    assert run(["dlq", "redrive", "contexts"]) == 3
    err = " ".join(capsys.readouterr().err.split())
    assert f"may not WRITE transactional id {prefix}-redrive-contexts" in err


def test_replay_with_worker_processes(acting, prefix, capsys):
    """The workers get the password by their environment, and nobody sees it in ``ps``."""
    acting("replay --bootstrap")
    lines: set[str] = set()
    done = threading.Event()
    watcher = threading.Thread(target=watch_command_lines, args=(lines, done))
    watcher.start()
    try:
        replayed = said(
            capsys, "replay", EXAMPLE / "events.jsonl", "--specs", EXAMPLE / "specs",
            "--prefix", prefix, "--json",
        )  # fmt: skip
    finally:
        done.set()
        watcher.join()
    results = [json.loads(line) for line in replayed.splitlines()]
    assert results[0]["experiment"] == "sigil.onboarding.split_form"
    assert sum(variant["units"] for variant in results[0]["variants"]) > 0
    workers = [line for line in lines if "anabranch worker" in line and prefix in line]
    assert workers
    assert not any(PASSWORD in line for line in lines)


def watch_command_lines(lines: set[str], done: threading.Event) -> None:
    while not done.wait(0.2):
        for process in psutil.Process().children(recursive=True):
            with contextlib.suppress(psutil.Error):
                lines.add(" ".join(process.cmdline()))


def test_names_are_those_of_the_topology():
    """A row about a topic or group that is not there would grant nothing."""
    names = Names()
    topics = {names.topic(topic.name) for topic in TOPICS}
    for who in principals():
        for right in documented(who):
            if right.resource == "topic" and right.pattern == "literal":
                assert right.name in topics, right
