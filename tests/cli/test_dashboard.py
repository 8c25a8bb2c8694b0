"""The dashboard as a process on Kafka: it waits for topics, follows specs, and lets people act."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
from contextlib import asynccontextmanager

import httpx
import pytest
import yaml

from anabranch.cli.app import run
from tests.lifecycle.records import experiment
from tests.support.clusters import eventually

KEY = "checkout.button"
TOKEN = "0123456789abcdef0123"


@asynccontextmanager
async def watched(tmp_path, *arguments: str, **variables: str):
    """A client of the process; it must end in order when it is told to."""
    log = tmp_path / "dashboard.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "anabranch", "dashboard", "--port", "0", *arguments),
            env={**os.environ, **variables},
            stdout=sink,
            stderr=sink,
        )
    try:
        await eventually(lambda: address(log), 60, "the address")
        async with httpx.AsyncClient(base_url=address(log)) as client:
            yield client
    finally:
        process.terminate()
        assert await process.wait() == 0, log.read_text()
    assert TOKEN not in log.read_text()


def address(log) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
    return found[0] if found else ""


async def called(*arguments: str) -> int:
    """A command, in a thread: it has an event loop of its own."""
    return await asyncio.to_thread(run, list(arguments))


async def test_what_is_published_is_seen_and_can_be_paused(kafka, topic_prefix, tmp_path, capsys):
    where = ("--bootstrap", kafka, "--prefix", topic_prefix)
    people = tmp_path / "people.json"
    people.write_text(json.dumps([{"name": "ada", "token": TOKEN, "experiments": ["checkout.*"]}]))
    specs = tmp_path / "specs.yaml"
    specs.write_text(yaml.safe_dump(experiment(KEY, title="Button").document))
    tokens = {"ANABRANCH_DASHBOARD_TOKENS_FILE": str(people)}
    async with watched(tmp_path, *where, **tokens) as http:
        assert (await http.get("/api/experiments")).json()["experiments"] == []
        assert (await http.get(f"/api/published/{KEY}")).status_code == 503  # no topic yet
        assert await called("topics", "create", *where, "--partitions", "1") == 0
        assert await called("publish", str(specs), *where, "--yes") == 0

        async def seen() -> str | None:
            rows = (await http.get("/api/experiments")).json()["experiments"]
            return next((row["status"] for row in rows if row["experiment"] == KEY), None)

        await eventually(seen, 60, "the published experiment")
        (held,) = (await http.get(f"/api/published/{KEY}")).json()["versions"]
        wish = {"experiment": KEY, "version": held["version"], "digest": held["digest"]}
        bearer = {"authorization": f"Bearer {TOKEN}"}
        paused = await http.post("/api/actions", json=wish | {"action": "pause"}, headers=bearer)
        assert paused.status_code == 200, paused.text

        async def is_paused() -> bool:
            return await seen() == "paused"

        await eventually(is_paused, 30, "the pause")
        late = await http.post("/api/actions", json=wish | {"action": "stop"}, headers=bearer)
        assert late.status_code == 409
    capsys.readouterr()
    assert await called("history", KEY, *where, "--json") == 0
    latest = json.loads(capsys.readouterr().out)[-1]
    assert (latest["who"], latest["via"], latest["action"]) == ("ada", "dashboard", "pause")


@pytest.mark.parametrize(
    ("variables", "said"),
    [
        ({"ANABRANCH_DASHBOARD_TOKENS": '["short"]'}, "has 5 characters: give it 16"),
        (
            {"ANABRANCH_DASHBOARD_TOKENS_FILE": "/nowhere/people.json"},
            "ANABRANCH_DASHBOARD_TOKENS_FILE /nowhere/people.json: cannot be read",
        ),
    ],
)
def test_tokens_that_cannot_be_are_refused_before_it_starts(variables, said, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert run(["dashboard", "--bootstrap", "127.0.0.1:1"]) == 4
    assert said in " ".join(capsys.readouterr().err.split())
