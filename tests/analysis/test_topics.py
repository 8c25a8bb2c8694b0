"""Notebooks beside a real broker."""

from __future__ import annotations

import asyncio

import pytest

from anabranch import analysis
from anabranch.errors import KafkaUnavailableError, TopologyError
from anabranch.runtime import KafkaPipeline, build_stages, kafka_worker
from anabranch.runtime.replaying import file_messages
from anabranch.settings import load_settings
from tests.analysis import shop


async def work(kafka: str, prefix: str, messages: list) -> None:
    """Through a worker in several batches, so that results come to be several times."""
    settings = load_settings(
        bootstrap=kafka, prefix=prefix, partitions=2, session_timeout=6, results_linger=0
    )
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics(keep_all=True)
        worker = kafka_worker(build_stages(shop.catalog(), settings), settings)
        await worker.start()
        try:
            for at in range(0, len(messages), 50):
                await pipeline.publish(messages[at : at + 50])
                await pipeline.drain()
        finally:
            await worker.stop()


def test_results_come_from_the_topic_or_are_counted_anew(kafka, topic_prefix, tmp_path):
    file = shop.file(tmp_path / "events.jsonl")
    where = {"bootstrap": kafka, "prefix": topic_prefix}
    with pytest.raises(TopologyError, match=r"no topic .*results"):
        analysis.read_topic(**where)
    asyncio.run(work(kafka, topic_prefix, list(file_messages([file]))))
    told = analysis.read_events(file, specs=shop.catalog())

    read = analysis.read_topic(**where)
    assert read.results == told.results
    assert len(read.history) > 1

    assert analysis.rebuild(specs=shop.catalog(), **where).results == told.results
    looked = analysis.rebuild(specs=shop.catalog(), looks=4, **where)
    assert looked.results == told.results
    units = [sum(arm.units for arm in results.variants) for results in looked.history]
    assert units == sorted(units)
    assert len(looked.history) > 2


def test_without_a_broker_it_says_so():
    with pytest.raises(KafkaUnavailableError, match="no Kafka broker answers"):
        analysis.read_topic(bootstrap="127.0.0.1:1")
