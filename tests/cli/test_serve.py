"""The evaluation API as a process: who may ask, what is answered, what is told to Kafka."""

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
from anabranch.demo import EXPERIMENT, demo_catalog
from anabranch.runtime import KafkaPipeline
from anabranch.settings import load_settings
from tests.support.clusters import eventually

TOKEN = "0123456789abcdef0123"
FLAGS = "/ofrep/v1/evaluate/flags"


@pytest.fixture
def specs(tmp_path):
    path = tmp_path / "specs.yaml"
    path.write_text(yaml.safe_dump_all([spec.document for spec in demo_catalog()]))
    return path


@asynccontextmanager
async def served(tmp_path, *arguments: str):
    """A client of the process; it must end in order when it is told to."""
    log = tmp_path / "serve.log"
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "anabranch", "serve", "--port", "0", *arguments),
            env={**os.environ, "ANABRANCH_SERVE_TOKENS": f'["{TOKEN}"]'},
            stdout=sink,
            stderr=sink,
        )
    try:
        await eventually(lambda: address(log), 60, "the address")
        headers = {"authorization": f"Bearer {TOKEN}"}
        async with httpx.AsyncClient(base_url=address(log), headers=headers) as client:
            yield client
    finally:
        process.terminate()
        assert await process.wait() == 0, log.read_text()


def address(log) -> str:
    found = re.search(r"http://127\.0\.0\.1:\d+", log.read_text())
    return found[0] if found else ""


def asked(user: str) -> dict:
    return {"context": {"targetingKey": user, "segment": "new"}}


async def test_using_a_flag_is_an_exposure_on_the_topic_and_fetching_all_is_none(
    kafka, topic_prefix, specs, tmp_path
):
    settings = load_settings(bootstrap=kafka, prefix=topic_prefix, partitions=2)
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        where = ["--bootstrap", kafka, "--prefix", topic_prefix, "--specs", str(specs)]
        async with served(tmp_path, *where) as client:
            nobody = await client.post(FLAGS, json=asked("u"), headers={"authorization": ""})
            assert nobody.status_code == 401
            everything = await client.post(FLAGS, json=asked("prefetching"))
            assert EXPERIMENT in {flag["key"] for flag in everything.json()["flags"]}
            again = {"if-none-match": everything.headers["etag"]}
            known = await client.post(FLAGS, json=asked("prefetching"), headers=again)
            assert (known.status_code, known.content) == (304, b"")

            for user in ("one", "two", "one"):
                answer = (await client.post(f"{FLAGS}/{EXPERIMENT}", json=asked(user))).json()
                assert answer["variant"] in {"control", "multi_step"}, answer
            await eventually(lambda: sent(client, 2), 30, "both to be acknowledged")
            assert (await client.get("/readyz")).json()["exposures"] == "acknowledged"
        told = await pipeline.records("exposures")
    assert sorted(record.key for record in told) == [b"user:one", b"user:two"]


async def sent(client: httpx.AsyncClient, count: int) -> bool:
    text = (await client.get("/metrics")).text
    return f'anabranch_served_exposures_total{{outcome="sent"}} {count}\n' in text


async def test_without_a_broker_flags_are_answered_and_that_no_exposure_is_told_is_said(
    specs, tmp_path
):
    async with served(tmp_path, "--specs", str(specs)) as client:
        answer = await client.post(f"{FLAGS}/{EXPERIMENT}", json=asked("one"))
        assert answer.status_code == 200
        report = (await client.get("/readyz")).json()
        assert (report["status"], report["exposures"]) == ("ready", "off")
    assert "no broker is named" in (tmp_path / "serve.log").read_text()


async def test_logs_are_json_with_the_requests_id_and_without_tokens(specs, tmp_path, monkeypatch):
    monkeypatch.setenv("ANABRANCH_LOG_FORMAT", "json")
    monkeypatch.setenv("ANABRANCH_LOG_LEVEL", "debug")
    async with served(tmp_path, "--specs", str(specs)) as client:
        where = f"{FLAGS}/{EXPERIMENT}"
        await client.post(where, json=asked("one"), headers={"x-request-id": "r-1"})
    written = (tmp_path / "serve.log").read_text()
    lines = [json.loads(line) for line in written.splitlines()]
    [line] = [one for one in lines if one.get("request_id") == "r-1"]
    assert line["message"] == f"POST {where}: 200"
    assert line["client"] == "token-1"
    assert TOKEN not in written


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ([], "nothing to serve"),
        (["--specs", "SPECS", "--host", "0.0.0.0"], "everybody who reaches 0.0.0.0 could ask"),
    ],
)
def test_what_is_refused(arguments, what, specs, capsys):
    given = [str(specs) if one == "SPECS" else one for one in arguments]
    assert run(["serve", *given]) == 4
    assert what in " ".join(capsys.readouterr().err.split())
