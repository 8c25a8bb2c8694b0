"""The consumers that other teams start from read what a pipeline put out, and nothing aborted."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from anabranch.engine.kafka import KafkaClient, Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.runtime import EmbeddedPipeline, build_stages
from anabranch.settings import load_settings
from tests.chaos import specs
from tests.chaos.load import make_load
from tools.devkafka.broker import EXTERNAL
from tools.devkafka.errors import DevKafkaMissingError
from tools.devkafka.jars import find_java, gather_jars
from tools.devkafka.properties import DEFAULT_VERSION

EXAMPLES = Path(__file__).parents[2] / "examples/consumers"

pytestmark = pytest.mark.kafka


@pytest.fixture
async def results(kafka, topic_prefix):
    """A results topic: a run of the pipeline committed, and a lie that was aborted."""
    topic = f"{topic_prefix}.results.v1"
    client = KafkaClient(kafka)
    async with Topics(client) as topics:
        await topics.create([TopicSettings(topic, 2, {"cleanup.policy": "compact"})])
    catalog = specs.catalog(*specs.first())
    settings = load_settings(prefix="t", partitions=2)
    load = make_load(3, units=80, contexts=400, events=900)
    async with EmbeddedPipeline(build_stages(catalog, settings), settings) as pipeline:
        await pipeline.publish(load.messages)
        await pipeline.drain()
        records = list(await pipeline.records("results"))
    producer = client.producer(f"{topic_prefix}.tx")
    await producer.start()
    try:
        async with producer.transaction():
            for record in records:
                await producer.send(topic, key=record.key, value=record.value)
        await producer.begin_transaction()
        await producer.send_and_wait(topic, key=records[-1].key, value=b'"aborted"')
        await producer.abort_transaction()
    finally:
        await producer.stop()
    return topic, {record.key.decode(): json.loads(record.value) for record in records}


def test_in_python(kafka, results):
    topic, latest = results
    printed = subprocess.run(
        [sys.executable, EXAMPLES / "results.py", kafka, "--topic", topic],
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout
    assert len(latest) == 4
    for one in latest.values():
        assert one["experiment"] in printed
    (revenue,) = (
        comparison
        for metric in latest[f"{specs.SHIPPING}|1.0.0"]["metrics"]
        for comparison in metric["comparisons"]
    )
    low, high = revenue["sequential"]["low"], revenue["sequential"]["high"]
    assert f"[{low:.4g}, {high:.4g}]" in printed


def test_on_the_console(kafka, results):
    """The console's own class, with the arguments of the README."""
    try:
        java, jars = find_java(), gather_jars(DEFAULT_VERSION)
    except DevKafkaMissingError as error:
        pytest.skip(f"no console consumer ({error}); set up Java, or see {EXTERNAL}")
    topic, latest = results
    readme = (EXAMPLES / "README.md").read_text(encoding="utf-8")
    _, _, command = readme.partition("kafka-console-consumer.sh ")
    arguments = command.partition("\n\n")[0].replace("\\\n", " ").split()
    given = {"localhost:9092": kafka, "anabranch.results.v1": topic}
    done = subprocess.run(
        [
            *(java, "-cp", f"{jars}/*", "org.apache.kafka.tools.consumer.ConsoleConsumer"),
            *(given.get(one, one) for one in arguments),
        ],
        capture_output=True,
        text=True,
        check=False,
        timeout=90,
    )
    read = dict(line.split("\t", 1) for line in done.stdout.splitlines() if "\t" in line)
    assert {key: json.loads(value) for key, value in read.items()} == latest, done.stderr
