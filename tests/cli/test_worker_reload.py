"""Worker processes take in what is published while they run, and say what they refuse."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
from contextlib import asynccontextmanager

import httpx
import yaml

from anabranch.cli.app import run
from anabranch.demo import EXPERIMENT, demo_catalog
from anabranch.runtime import KafkaPipeline, Message
from anabranch.settings import load_settings
from tests.pipeline.test_dead_letters import context
from tests.support.clusters import eventually


@asynccontextmanager
async def worker(where: list[str], health: str, log):
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "anabranch", "worker", *where, "--health", health,
            stdout=sink, stderr=sink,
        )  # fmt: skip
    try:
        yield
    finally:
        process.terminate()
        assert await process.wait() == 0, log.read_text()


async def ready(address: str) -> dict:
    async with httpx.AsyncClient() as client:
        try:
            answer = await client.get(f"http://{address}/readyz")
        except httpx.TransportError:
            return {}
        return answer.json()


def free_address() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{probe.getsockname()[1]}"


async def test_workers_without_files_live_by_what_is_published(kafka, topic_prefix, tmp_path):
    where = ["--bootstrap", kafka, "--prefix", topic_prefix]
    path = tmp_path / "specs.yaml"
    path.write_text(yaml.safe_dump_all([spec.document for spec in demo_catalog()]))
    addresses = [free_address(), free_address()]
    logs = [tmp_path / "one.log", tmp_path / "two.log"]

    async def command(*arguments: str) -> int:
        return await asyncio.to_thread(run, [*arguments, *where])

    async with KafkaPipeline(
        load_settings(bootstrap=kafka, prefix=topic_prefix, partitions=2)
    ) as pipeline:
        await pipeline.create_topics()
        async with worker(where, addresses[0], logs[0]), worker(where, addresses[1], logs[1]):
            for address in addresses:
                await eventually(lambda a=address: is_ready(a), 60, "a worker to be ready")
            assert await command("publish", str(path), "--yes") == 0
            everybody = await assigned(pipeline, "a", EXPERIMENT)
            assert {one["variant"] for one in everybody.values()} == {"control", "multi_step"}

            assert await command("pause", EXPERIMENT) == 0
            paused = await assigned(pipeline, "b", EXPERIMENT, until="control")
            assert {one["variant"] for one in paused.values()} == {"control"}

            await pipeline.publish([Message("specs", b"nonsense", b"{}")])
            for address in addresses:
                await eventually(lambda a=address: refuses(a, "nonsense"), 30, "a refusal")
            await eventually(lambda: letters(pipeline), 30, "the dead letter")
            still = await assigned(pipeline, "c", EXPERIMENT)
            assert {one["digest"] for one in still.values()} == {
                one["digest"] for one in paused.values()
            }
            assert await letters(pipeline) == 1
    for log in logs:
        text = log.read_text()
        assert "there are no specs: publish some" in text
        assert text.count("refused, what held before stays") == 1


async def letters(pipeline) -> int:
    return len(await pipeline.records("specs.dlq"))


async def is_ready(address: str) -> bool:
    return (await ready(address)).get("status") == "ready"


async def refuses(address: str, key: str) -> bool:
    told = (await ready(address)).get("refusedSpecs", [])
    return len(told) == 1 and key in told[0]


async def assigned(pipeline, name: str, experiment: str, until: str | None = None) -> dict:
    """Assignments of 40 users, asked for by name; until all have one variant, if that is given."""
    found: dict[str, dict] = {}
    round_ = 0

    async def settled() -> bool:
        nonlocal found, round_
        round_ += 1
        users = {f"user:{name}{round_}.{n}": f"{n}" for n in range(40)}
        await pipeline.publish(
            Message("contexts", None, context(user.removeprefix("user:"), experiment=experiment))
            for user in users
        )
        await pipeline.drain()
        told = [json.loads(r.value) for r in await pipeline.records("assignments")]
        found = {users[one["unit"]]: one for one in told if one["unit"] in users}
        variants = {one["variant"] for one in found.values()}
        return len(found) == 40 and (until is None or variants == {until})

    await eventually(settled, 60, "assignments")
    return found
