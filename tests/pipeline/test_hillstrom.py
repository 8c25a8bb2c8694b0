"""A real experiment, replayed: the numbers that are known, on both runtimes, whatever happens."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from aiokafka import AIOKafkaConsumer

from anabranch.engine.kafka import KafkaClient, Topics
from anabranch.runtime import KafkaPipeline, Message, build_stages, kafka_worker
from anabranch.settings import load_settings
from anabranch.specs import load_specs
from anabranch.topology import Names
from tests.support import hillstrom
from tests.support.clusters import eventually

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "hillstrom"
SHARED = Path(os.environ.get("ANABRANCH_SHARED", ROOT.parent / "shared"))
DATA = SHARED / "data" / "hillstrom.csv.gz"

pytestmark = [
    pytest.mark.skipif(
        not DATA.exists(), reason=f"Hillstrom's data is not at {DATA}: see examples/hillstrom"
    ),
    pytest.mark.timeout(300),
]

# As the data set itself has it; sums of dollars to the cent.
TABLE = {
    "control": {"units": 21_306, "visits": 2_262, "conversions": 122, "spend": 13_908.33},
    "mens": {"units": 21_307, "visits": 3_894, "conversions": 267, "spend": 30_311.69},
    "womens": {"units": 21_387, "visits": 3_238, "conversions": 189, "spend": 23_038.11},
}
RATES = {
    "control": (0.106167, 0.005726, 0.652789),
    "mens": (0.182757, 0.012531, 1.422617),
    "womens": (0.151400, 0.008837, 1.077202),
}


def make_events(out: Path, *options: str) -> Path:
    subprocess.run(
        [sys.executable, EXAMPLE / "make_events.py", "--data", DATA, "--out", out, *options],
        check=True,
        capture_output=True,
    )
    return out


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    return make_events(tmp_path_factory.mktemp("hillstrom") / "once.jsonl")


@pytest.fixture(scope="module")
def events_twice(tmp_path_factory) -> Path:
    return make_events(tmp_path_factory.mktemp("hillstrom") / "twice.jsonl", "--twice")


def anabranch(*arguments: object) -> list[str]:
    return [sys.executable, "-m", "anabranch", "--log-level", "warning", *map(str, arguments)]


def replay(events: Path, *options: object) -> bytes:
    done = subprocess.run(
        anabranch("replay", events, "--specs", EXAMPLE / "specs", "--json", *options),
        capture_output=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


@pytest.fixture(scope="module")
def embedded(events) -> bytes:
    return replay(events)


def test_the_known_numbers_come_out(embedded):
    (line,) = embedded.splitlines()
    results = json.loads(line)
    assert results["experiment"] == "hillstrom.email"
    assert results["version"] == "1.0.0"
    assert results["control"] == "control"
    assert {v["id"]: v["units"] for v in results["variants"]} == {
        arm: row["units"] for arm, row in TABLE.items()
    }
    assert all(v["crossovers"] == 0 for v in results["variants"])
    by_name = {metric["name"]: metric for metric in results["metrics"]}
    for arm, row in TABLE.items():
        visits, conversions, spend = (
            next(v for v in by_name[name]["variants"] if v["id"] == arm)
            for name in ("visits", "conversions", "spend")
        )
        assert (visits["events"], visits["converted"]) == (row["visits"], row["visits"])
        assert conversions["converted"] == row["conversions"]
        assert spend["sum"] == row["spend"]
        assert (
            round(visits["rate"], 6),
            round(conversions["rate"], 6),
            round(spend["mean"], 6),
        ) == RATES[arm]
    assert results["srm"]["pValue"] == pytest.approx(0.9037, abs=1e-4)


def test_the_comparisons_are_those_of_scipy_over_the_customers(embedded):
    for metric in json.loads(embedded)["metrics"]:
        for found in metric["comparisons"]:
            by_scipy = hillstrom.expected(metric["name"], found["variant"])
            assert found["difference"] == pytest.approx(by_scipy.difference, rel=1e-9)
            assert found["relativeLift"] == pytest.approx(by_scipy.lift, rel=1e-9)
            for kind in ("fixed", "sequential"):
                interval = tuple(found[kind][name] for name in ("low", "high", "pValue"))
                assert interval == pytest.approx(getattr(by_scipy, kind), rel=1e-6)


def test_kafka_gives_the_same_bytes(events, embedded, kafka):
    assert replay(events, "--bootstrap", kafka) == embedded


def test_every_event_twice_gives_the_same_bytes(events_twice, embedded):
    assert replay(events_twice) == embedded


async def test_a_worker_killed_in_the_middle_and_every_event_twice_change_nothing(
    events_twice, embedded, kafka, topic_prefix
):
    """SIGKILL while it is at work; another worker goes on."""
    where = ["--bootstrap", kafka, "--prefix", topic_prefix, "--specs", EXAMPLE / "specs"]
    replaying = await asyncio.create_subprocess_exec(
        *anabranch("replay", events_twice, "--json", "--workers", 0, *where),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    output = asyncio.create_task(replaying.communicate())
    group, names = Names(topic_prefix).group("attribute"), Names(topic_prefix)
    exposures = names.topic("exposures")
    worker = None
    try:
        async with Topics(KafkaClient(kafka)) as topics:
            await eventually(
                lambda: _records(topics, names.topic("telemetry")), 60, "the events to be there"
            )
            worker = await _start_worker(where)
            total = 128_000
            left = total
            while not 0 < left < total * 0.9:
                assert left > 0, "it was over before it could be killed"
                left = (await topics.lag(group, [exposures])).get(exposures, total)
            worker.send_signal(signal.SIGKILL)
            await worker.wait()
            worker = await _start_worker(where)
        out, errors = await asyncio.wait_for(output, 200)
        assert replaying.returncode == 0, errors.decode()
        assert out == embedded
    finally:
        for process in (worker, replaying):
            if process is not None and process.returncode is None:
                process.kill()
                await process.wait()
        await asyncio.gather(output, return_exceptions=True)


async def _records(topics: Topics, topic: str) -> bool:
    return (await topics.lag("nobody", [topic])).get(topic, 0) >= 20_000


async def _start_worker(where: list[object]) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *anabranch("worker", *where),
        env={**os.environ, "ANABRANCH_SESSION_TIMEOUT": "6"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


async def test_customers_as_contexts_are_targeted_on_real_topics(tmp_path, kafka, topic_prefix):
    """Recent buyers on the web get the e-mail; a plain consumer reads who."""
    expected = {}
    with gzip.open(DATA, "rt", newline="") as lines:
        for number, row in enumerate(csv.DictReader(lines), start=1):
            recent = row["channel"] == "Web" and int(row["recency"]) <= 6
            expected[f"user:{number}"] = "email" if recent else "control"
    events = make_events(tmp_path / "contexts.jsonl", "--contexts")
    catalog = load_specs(EXAMPLE / "specs-targeted")
    settings = load_settings(bootstrap=kafka, prefix=topic_prefix, session_timeout=6)
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics(keep_all=True)
        headers = [("content-type", b"application/cloudevents+json")]
        await pipeline.publish(
            Message("contexts", None, line, headers) for line in events.read_bytes().splitlines()
        )
        worker = kafka_worker(build_stages(catalog, settings), settings)
        await worker.start()
        try:
            await pipeline.drain()
        finally:
            await worker.stop()

    names = Names(topic_prefix)
    assignments = await _plain_consumer(kafka, names.topic("assignments"), 64_000)
    exposures = await _plain_consumer(kafka, names.topic("exposures"), 64_000)
    assert {a["unit"]: a["variant"] for a in assignments} == expected
    assert {e["unit"]: e["variant"] for e in exposures} == expected
    assert {a["unit"]: a["reason"] for a in assignments} == {
        unit: "targeted" if variant == "email" else "control" for unit, variant in expected.items()
    }
    first = await _plain_consumer(kafka, names.topic("metric-windows"), 1)
    assert first[0]["metric"] == "$exposures"
    results = await _plain_consumer(kafka, names.topic("results"), 1)
    assert results[0]["experiment"] == "hillstrom.targeted"


async def _plain_consumer(bootstrap: str, topic: str, at_least: int) -> list[dict]:
    """What any consumer sees that knows nothing of anabranch."""
    consumer = AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap, auto_offset_reset="earliest", group_id=None
    )
    await consumer.start()
    try:
        found: list[dict] = []
        while len(found) < at_least:
            for records in (await consumer.getmany(timeout_ms=1000)).values():
                found += [json.loads(record.value) for record in records]
        return found
    finally:
        await consumer.stop()
