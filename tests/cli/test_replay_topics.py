"""Results rebuilt from topics, after what a metric means has changed."""

from __future__ import annotations

import asyncio
import json
import shutil
from pathlib import Path

import pytest

from anabranch.cli.app import run
from anabranch.events.cloudevents import format_time
from anabranch.runtime import KafkaPipeline, build_stages, kafka_worker
from anabranch.runtime.replaying import file_messages, final_results
from anabranch.settings import Settings, load_settings
from anabranch.specs import load_specs

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "examples" / "hillstrom" / "specs"
BEGIN = 1_767_225_600_000
DAY = 24 * 60 * 60 * 1000
CUSTOMERS = 90


def event(kind: str, number: str, time: int, **data) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{kind}-{number}",
            "source": "test",
            "type": f"anabranch.{kind}.v1",
            "time": format_time(BEGIN + time),
            "data": data,
        }
    )


def spend(n: int, time: int, amount: float) -> str:
    return event(
        "telemetry",
        f"{n}-{time}",
        time,
        name="hillstrom.spend",
        version=1,
        userId=str(n),
        properties={"spend": amount},
    )


@pytest.fixture(scope="module")
def events(tmp_path_factory) -> Path:
    """Customers over fifty days, so that order across topics matters; spending within ten days.

    Two thirds are assigned by contexts; the exposures of the rest are the application's own.
    """
    lines = []
    for n in range(CUSTOMERS):
        at = n * DAY * 50 // CUSTOMERS
        if n % 3:
            lines.append(event("context", f"{n}", at, experiment="hillstrom.email", userId=str(n)))
        else:
            exposure = {"experiment": "hillstrom.email", "version": 1, "unit": f"user:{n}"}
            lines.append(event("exposure", f"{n}", at, variant="mens", **exposure))
        if n % 2:
            lines.append(spend(n, at + DAY, 10.5 + n))
            lines.append(spend(n, at + 9 * DAY, 3.25))
        lines.append(spend(n, at - DAY // 2, 99.0))
    path = tmp_path_factory.mktemp("replay") / "events.jsonl"
    path.write_text("\n".join(lines))
    return path


@pytest.fixture
def changed(tmp_path) -> Path:
    """The specs with spending within a week of exposure only, in place of for ever."""
    folder = tmp_path / "specs"
    shutil.copytree(SPECS, folder)
    spec = folder / "hillstrom.yaml"
    spec.write_text(spec.read_text().replace("property: spend", "property: spend\n    window: 7d"))
    return folder


@pytest.fixture
def kept(kafka, topic_prefix, events) -> Settings:
    """Topics in which the events were worked through, by the specs as they were."""
    settings = load_settings(
        bootstrap=kafka, prefix=topic_prefix, partitions=2, session_timeout=6, breaker_share=1
    )

    async def work() -> None:
        async with KafkaPipeline(settings) as pipeline:
            await pipeline.create_topics(keep_all=True)
            await pipeline.publish(file_messages([events]))
            worker = kafka_worker(build_stages(load_specs(SPECS), settings), settings)
            await worker.start()
            try:
                await pipeline.drain()
            finally:
                await worker.stop()

    asyncio.run(work())
    return settings


def replay(capsys, *arguments: object) -> str:
    capsys.readouterr()
    assert run(["replay", "--json", *map(str, arguments)]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


def sums(results: str) -> dict[str, float]:
    (metric,) = [m for m in json.loads(results)["metrics"] if m["name"] == "spend"]
    return {arm["id"]: arm["sum"] for arm in metric["variants"]}


@pytest.mark.timeout(300)
def test_a_changed_metric_is_counted_anew_from_what_topics_hold(
    kept, events, changed, kafka, topic_prefix, capsys
):
    before = replay(capsys, events, "--specs", SPECS)
    after = replay(capsys, events, "--specs", changed)
    assert all(sums(after)[arm] < total for arm, total in sums(before).items())

    where = ["--bootstrap", kafka, "--from-topics", topic_prefix]
    assert replay(capsys, *where, "--specs", SPECS) == before
    assert replay(capsys, *where, "--specs", changed) == after
    assert replay(capsys, *where, "--specs", changed, "--raw") == after

    rebuilt = f"{topic_prefix}-rebuilt"
    assert replay(capsys, *where, "--specs", changed, "--prefix", rebuilt) == after
    assert asyncio.run(said(kafka, rebuilt)) == after.encode().splitlines()
    assert asyncio.run(said(kafka, topic_prefix)) == before.encode().splitlines()


async def said(kafka: str, prefix: str) -> list[bytes]:
    async with KafkaPipeline(load_settings(bootstrap=kafka, prefix=prefix)) as pipeline:
        return await final_results(pipeline)


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ([], 2, "give event files, or --from-topics PREFIX"),
        (["EVENTS", "--from-topics", "shop"], 2, "give event files, or --from-topics PREFIX"),
        (["EVENTS", "--raw"], 2, "--raw is for --from-topics"),
        (["--from-topics", "shop", "--prefix", "shop"], 4, "would be counted twice"),
        (["--from-topics", "shop"], 4, "--bootstrap"),
    ],
)
def test_what_cannot_be_replayed(events, capsys, monkeypatch, arguments, code, words):
    monkeypatch.delenv("ANABRANCH_BOOTSTRAP", raising=False)
    given = [str(events) if argument == "EVENTS" else argument for argument in arguments]
    assert run(["replay", *given, "--specs", str(SPECS)]) == code
    assert words in " ".join(capsys.readouterr().err.split())
