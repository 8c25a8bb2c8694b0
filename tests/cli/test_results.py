"""Results as an analyst meets them on the command line."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from anabranch.cli.app import run
from anabranch.cli.intervals import WIDTH, Scale, draw
from anabranch.events.models import Comparison, Interval
from anabranch.runtime import KafkaPipeline, Message
from anabranch.settings import load_settings
from tests.web.records import results

ROOT = Path(__file__).resolve().parents[2]
EXAMPLE = ROOT / "examples" / "onboarding"
FILE = ["--file", str(EXAMPLE / "events.jsonl"), "--specs", str(EXAMPLE / "specs")]
KEY = "sigil.onboarding.split_form"


def lines(capsys) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return out, " ".join(err.split())


# -- intervals --------------------------------------------------------------------------------


def comparison(low: float, at: float, high: float) -> Comparison:
    interval = Interval(low, high, 0.01)
    return Comparison("b", "a", at, None, interval, interval)


@pytest.mark.parametrize(
    ("low", "at", "high", "drawn"),
    [
        (-14, 0, 14, "━" * 14 + "●" + "━" * 14),
        (0, 7, 14, " " * 14 + "┿" + "━" * 6 + "●" + "━" * 7),
        (2, 7, 14, " " * 14 + "│ " + "━" * 5 + "●" + "━" * 7),
        (-14, -13, -12, "━●━" + " " * 11 + "│" + " " * 14),
    ],
)
def test_an_interval_is_drawn_to_scale(low, at, high, drawn):
    assert draw(comparison(low, at, high), Scale(-14, 14)).plain == drawn


def test_no_difference_is_on_every_scale():
    scale = Scale.of([Interval(2, 4, 0), None, Interval(1, 3, 0)])
    assert scale == Scale(0, 4)
    assert (scale.place(0), scale.place(4)) == (0, WIDTH - 1)
    assert Scale.of([None]) is None
    assert Scale.of([Interval(0, 0, 1)]) is None


def test_without_an_interval_there_is_the_line_of_no_difference():
    nothing = Comparison("b", "a", None, None, None)
    assert draw(nothing, Scale(-1, 1)).plain.strip() == "│"


# -- from files -------------------------------------------------------------------------------


def test_results_of_an_event_file_are_those_of_its_replay(capsys):
    assert run(["results", *FILE, "--json"]) == 0
    shown, _ = lines(capsys)
    assert run(["replay", *FILE[1:], "--json"]) == 0
    assert shown == lines(capsys)[0]
    assert json.loads(shown)["experiment"] == KEY


def event(kind: str, number: int, **data) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{kind}-{number}",
            "source": "test",
            "type": f"anabranch.{kind}.v1",
            "time": f"2026-01-01T00:{number // 60:02d}:{number % 60:02d}Z",
            "data": data,
        }
    )


def visits(path: Path) -> Path:
    """Sixty customers; every other one who got men's merchandise visits, and nobody else."""
    lines = []
    for n in range(60):
        exposure = {"experiment": "hillstrom.email", "version": 1, "unit": f"user:{n}"}
        lines.append(event("exposure", n, variant=("control", "mens", "womens")[n % 3], **exposure))
        if n % 6 == 1:
            visit = {"name": "hillstrom.visit", "version": 1, "userId": str(n)}
            lines.append(event("telemetry", n + 60, **visit))
    path.write_text("\n".join(lines))
    return path


def test_tables_have_the_interval_as_figures_and_drawn(capsys, tmp_path):
    file = visits(tmp_path / "visits.jsonl")
    specs = ROOT / "examples" / "hillstrom" / "specs"
    assert run(["results", "hillstrom.email", "--file", str(file), "--specs", str(specs)]) == 0
    out, _ = lines(capsys)
    for word in ("95 % at any time", "│ no difference", "valid at its planned end only"):
        assert word in out
    table = out[out.index("visits (count)") : out.index("conversions (count)")]
    (mens,) = [line for line in table.splitlines() if line.startswith("mens")]
    assert mens.split()[1:4] == ["10", "10", "0.5"]
    assert "●" in mens
    assert " … " in mens


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ("sigil.onboarding.split_from", f"did you mean '{KEY}'?"),
        (f"{KEY}@9.0.0", f"there are {KEY}@1.0.0"),
    ],
)
def test_an_experiment_without_results_is_exit_code_1(capsys, asked, words):
    assert run(["results", asked, *FILE]) == 1
    assert words in lines(capsys)[1]


def test_a_file_cannot_be_watched(capsys):
    assert run(["results", *FILE, "--watch"]) == 2
    assert "a file does not change" in lines(capsys)[1]


def test_without_a_broker_and_without_files_it_says_what_to_give(capsys, monkeypatch):
    monkeypatch.delenv("ANABRANCH_BOOTSTRAP", raising=False)
    assert run(["results"]) == 4
    assert "--bootstrap" in lines(capsys)[1]


# -- from a topic -----------------------------------------------------------------------------


def published(kafka: str, prefix: str, *units: int) -> list[bytes]:
    """Results of one run as they change, on the topic; other runs' before and after."""
    values = [results(units=n)[1] for n in units]

    async def publish() -> None:
        settings = load_settings(bootstrap=kafka, prefix=prefix, partitions=2)
        async with KafkaPipeline(settings) as pipeline:
            await pipeline.create_topics()
            key = results()[0]
            await pipeline.publish(Message("results", key, value) for value in values)

    asyncio.run(publish())
    return values


def test_the_topic_says_what_holds_now(kafka, topic_prefix, capsys):
    where = ["--bootstrap", kafka, "--prefix", topic_prefix]
    assert run(["results", *where]) == 4
    assert f"no topic {topic_prefix}.results.v1" in lines(capsys)[1]
    published(kafka, topic_prefix)
    assert run(["results", *where]) == 0
    told, hint = lines(capsys)
    assert "no results" in told
    assert "`anabranch dlq list`" in hint
    assert run(["results", "shop.button", *where]) == 1
    assert "there are none at all yet" in lines(capsys)[1]
    *_, last = published(kafka, topic_prefix, 5, 7)
    assert run(["results", *where, "--json"]) == 0
    assert lines(capsys) == (last.decode() + "\n", "")


async def test_watching_tells_each_change_as_it_comes(kafka, topic_prefix):
    (first,) = await asyncio.to_thread(published, kafka, topic_prefix, 5)
    watching = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "anabranch", "results", "--watch", "--json"),
        *("--bootstrap", kafka, "--prefix", topic_prefix),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        async with asyncio.timeout(60):
            assert (await watching.stdout.readline()).strip() == first
            (second,) = await asyncio.to_thread(published, kafka, topic_prefix, 8)
            assert (await watching.stdout.readline()).strip() == second
            watching.send_signal(signal.SIGTERM)
            assert await watching.wait() == 0, await watching.stderr.read()
    finally:
        if watching.returncode is None:
            watching.kill()
            await watching.wait()
