"""The Kafka Streams example joins assignments that a pipeline made, and nothing aborted."""

from __future__ import annotations

import asyncio
import json
import shlex
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from anabranch.engine.kafka import KafkaClient, Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.runtime import EmbeddedPipeline, build_stages
from anabranch.runtime.pipeline import Message
from anabranch.settings import load_settings
from anabranch.specs import Catalog, ExperimentSpec
from tests.examples.java import built

CONSUMERS = Path(__file__).parents[2] / "examples" / "consumers"
EXPERIMENT = "checkout.layout"
SPEC = ExperimentSpec.model_validate(
    {
        "meta": {"key": EXPERIMENT, "version": 1},
        "controlVariant": "control",
        "variants": [{"id": "control"}, {"id": "short"}],
        "allocation": {"type": "random"},
    }
)
PARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
USERS = [f"u{n}" for n in range(12)]

pytestmark = pytest.mark.kafka


async def assignments() -> list:
    """Of all users, as the pipeline writes them."""
    settings = load_settings(prefix="t", partitions=2)
    stages = build_stages(Catalog.of([SPEC]), settings)
    async with EmbeddedPipeline(stages, settings) as pipeline:
        data = [json.dumps({"userId": user}).encode() for user in USERS]
        await pipeline.publish(Message("contexts", None, one, (), None) for one in data)
        await pipeline.drain()
        return list(await pipeline.records("assignments"))


async def publish(client: KafkaClient, prefix: str) -> dict[str, str]:
    """Topics with assignments and orders; user to variant.

    What was aborted gives everybody a variant that there is not. The last user's assignment was
    taken back.
    """
    names = [f"{prefix}.{name}" for name in ("assignments.v1", "orders", "orders-with-variants")]
    compacted = {"cleanup.policy": "compact,delete"}
    async with Topics(client) as topics:
        await topics.create(TopicSettings(n, 2, compacted if "v1" in n else {}) for n in names)
    given = await assignments()
    producer = client.producer(f"{prefix}.tx")
    await producer.start()
    try:
        async with producer.transaction():
            for record in given:
                await producer.send(
                    names[0], record.value, key=record.key, headers=list(record.headers)
                )
            await producer.send(names[0], None, key=f"user:{USERS[-1]}|{EXPERIMENT}".encode())
            for user in (*USERS, "stranger"):
                order = json.dumps({"buyer": user, "total": 12.5}).encode()
                headers = [("traceparent", PARENT)]
                await producer.send(names[1], order, key=user.encode(), headers=headers)
        await producer.begin_transaction()
        for record in given:
            lie = json.dumps({**json.loads(record.value), "variant": "aborted"}).encode()
            await producer.send_and_wait(names[0], lie, key=record.key)
        await producer.abort_transaction()
    finally:
        await producer.stop()
    found = [json.loads(record.value) for record in given]
    return {one["unit"].removeprefix("user:"): one["variant"] for one in found}


@asynccontextmanager
async def running(command: list[str], log: Path):
    with log.open("wb") as sink:
        process = await asyncio.create_subprocess_exec(*command, stdout=sink, stderr=sink)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            try:
                await asyncio.wait_for(process.wait(), 20)
            except TimeoutError:
                process.kill()
                await process.wait()


def said(log: Path) -> str:
    return log.read_text(errors="replace")[-4000:]


async def enriched(bootstrap: str, topic: str, count: int, process, log: Path) -> dict:
    """Key to record of the first so many, read committed."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    found: dict = {}
    try:
        async with asyncio.timeout(90):
            while len(found) < count:
                assert process.returncode is None, said(log)
                for records in (await consumer.getmany(timeout_ms=200)).values():
                    found |= {record.key.decode(): record for record in records}
    except TimeoutError:
        pytest.fail(f"{len(found)} of {count} orders:\n{said(log)}")
    finally:
        await consumer.stop()
    return found


@pytest.mark.timeout(420)  # the first time Maven fetches what it needs
async def test_orders_get_the_variant_that_their_buyer_was_given(kafka, topic_prefix, tmp_path):
    java, folder = await asyncio.to_thread(built, CONSUMERS / "java")
    variants = await publish(KafkaClient(kafka), topic_prefix)
    readme = (CONSUMERS / "README.md").read_text(encoding="utf-8")
    _, _, command = readme.partition("    java -cp ")
    arguments = shlex.split(command.partition("\n\n")[0].replace("\\\n", " "))
    instead = {
        "target/classes:target/jars/*": f"{folder}/classes:{folder}/jars/*",
        "localhost:9092": kafka,
        "anabranch.assignments.v1": f"{topic_prefix}.assignments.v1",
        "orders": f"{topic_prefix}.orders",
        "orders-with-variants": f"{topic_prefix}.orders-with-variants",
    }
    own = {
        "java.io.tmpdir": str(tmp_path),
        "kafka.application.id": f"{topic_prefix}-orders",
        "kafka.session.timeout.ms": "6000",
    }
    log = tmp_path / "application.log"
    call = [
        *(java, "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp"),
        instead[arguments[0]],
        *(f"-D{name}={value}" for name, value in own.items()),
        *(instead.get(one, one) for one in arguments[1:]),
    ]
    async with running(call, log) as process:
        topic = instead["orders-with-variants"]
        found = await enriched(kafka, topic, len(USERS) + 1, process, log)

    got = {user: json.loads(record.value) for user, record in found.items()}
    expected = {user: variants[user] for user in USERS[:-1]} | {USERS[-1]: None, "stranger": None}
    assert {user: order["variant"] for user, order in got.items()} == expected
    assert {variants[user] for user in USERS} == {"control", "short"}
    assert got["u1"] | {"variant": None} == {"buyer": "u1", "total": 12.5, "variant": None}
    assert all(dict(record.headers)["traceparent"] == PARENT for record in found.values())
