"""``anabranch promote`` on a real broker: files, the experiment's end and its audit together."""

from __future__ import annotations

import asyncio
import json
import sys

import msgspec
import pytest
import typer
import yaml
from aiokafka import AIOKafkaProducer

from anabranch.cli.app import run
from tests.authoring.results import results
from tests.lifecycle.records import experiment, metric, telemetry

KEY = "shop.button"
THEME = """\
# Looks of the shop
kind: Theme
meta: {key: shop.theme, version: 1.0.0}
button:
  colour: grey # the order button
"""
OVERRIDE = {"type": "theme", "target": "shop.theme", "config": {"button": {"colour": "green"}}}
BUTTON = experiment(
    KEY,
    variants=[{"id": "a"}, {"id": "b", "overrides": [OVERRIDE]}],
    successMetrics=[metric("order")],
)
GAIN, OPEN = (0.1, 0.3), (-0.1, 0.3)


@pytest.fixture
def where(kafka, topic_prefix, tmp_path) -> list[str]:
    """Where it is: a broker, and a folder with files that are published."""
    (tmp_path / "theme.yaml").write_text(THEME)
    shop = telemetry("shop", "order")
    (tmp_path / "specs.yaml").write_text(yaml.safe_dump_all([BUTTON.document, shop.document]))
    topics = ["--bootstrap", kafka, "--prefix", topic_prefix]
    assert run(["topics", "create", *topics, "--partitions", "2"]) == 0
    return [*topics, "--specs", str(tmp_path)]


@pytest.fixture
def measured(kafka, topic_prefix):
    """Puts results on their topic, older ones of the same key before them."""

    async def send(intervals) -> None:
        async with AIOKafkaProducer(bootstrap_servers=kafka) as producer:
            for bounds in intervals:
                value = msgspec.json.encode(results(BUTTON, orders=bounds))
                topic, key = f"{topic_prefix}.results.v1", f"{KEY}|1.0.0".encode()
                await producer.send_and_wait(topic, value, key=key)

    return lambda *intervals: asyncio.run(send(intervals))


def answer(capsys, *arguments: str, code: int = 0):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def said(capsys) -> str:
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


PROMOTE = ["promote", KEY, "--variant", "b"]


@pytest.fixture
def published(where, tmp_path, capsys):
    assert run(["publish", str(tmp_path), *where[:4], "--yes"]) == 0
    capsys.readouterr()
    return where


def test_the_winner_becomes_canonical(published, measured, tmp_path, capsys):
    measured(OPEN, GAIN)
    told = answer(capsys, *PROMOTE, *published, "--yes", "--who", "ada", "--why", "it sells")
    assert told["objections"] == []
    assert (told["done"], [one["key"] for one in told["specs"]]) == (True, [KEY, "shop.theme"])
    assert (tmp_path / "theme.yaml").read_text() == THEME.replace("grey", "green")
    (file,) = told["files"]
    assert "-  colour: grey # the order button\n+  colour: green # the order" in file["diff"]

    topics = published[:4]
    shown = answer(capsys, "show", KEY, *topics)
    assert (shown["status"], shown["actions"]) == ("completed", ["promote", "retire"])
    assert answer(capsys, "show", "shop.theme", *topics)["spec"]["button"] == {"colour": "green"}
    audit = [
        (entry["key"], entry["who"], entry["why"])
        for entry in answer(capsys, "history", *topics)
        if entry["action"] == "promote"
    ]
    assert audit == [
        (KEY, "ada", "variant b: it sells"),
        ("shop.theme", "ada", "variant b: it sells"),
    ]

    again = answer(capsys, *PROMOTE, *published, "--yes")
    assert (again["files"], again["specs"]) == ([], [])
    assert "is so already" in again["notes"][0]


def test_results_that_do_not_support_it_want_force_and_a_reason(
    published, measured, tmp_path, capsys
):
    assert run([*PROMOTE, *published, "--yes"]) == 1
    assert f"there are no results of {KEY} 1.0.0" in said(capsys)
    measured(GAIN, OPEN)
    assert run([*PROMOTE, *published, "--yes"]) == 1
    assert "neither better nor worse for certain, and it is the metric that" in said(capsys)
    assert run([*PROMOTE, *published, "--yes", "--force"]) == 2
    assert "--force wants --why REASON" in said(capsys)
    assert (tmp_path / "theme.yaml").read_text() == THEME
    told = answer(capsys, *PROMOTE, *published, "--yes", "--force", "--why", "the law asks for it")
    assert len(told["objections"]) == 1
    assert answer(capsys, "history", KEY, *published[:4])[-1]["why"].endswith("the law asks for it")
    assert (tmp_path / "theme.yaml").read_text() != THEME


def test_it_shows_and_asks_and_a_look_changes_nothing(
    published, measured, tmp_path, capsys, monkeypatch
):
    measured(GAIN)
    assert run([*PROMOTE, *published]) == 2  # nobody to ask
    assert "say --yes, or --dry-run" in said(capsys)
    assert answer(capsys, *PROMOTE, *published, "--dry-run")["done"] is False
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    assert run([*PROMOTE, *published]) == 1
    shown = said(capsys)
    for part in (
        "✓ orders: difference +0.2, 95 % at any time +0.1 to +0.3: better for certain",
        "+ colour: green # the order button",
        "status running completed",
        "nothing was changed",
    ):
        assert part in shown
    assert (tmp_path / "theme.yaml").read_text() == THEME
    assert answer(capsys, "show", KEY, *published[:4])["status"] == "running"


def test_files_alone_change_where_that_is_asked_for(published, measured, tmp_path, capsys):
    measured(GAIN)
    told = answer(capsys, *PROMOTE, *published, "--yes", "--files-only")
    assert (len(told["files"]), told["specs"]) == (1, [])
    assert (tmp_path / "theme.yaml").read_text() != THEME
    assert answer(capsys, "show", KEY, *published[:4])["status"] == "running"


def test_files_stay_where_publishing_fails(published, measured, tmp_path, capsys, monkeypatch):
    measured(GAIN)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)

    def somebody_pauses(*_, **__) -> bool:
        assert run(["pause", KEY, *published, "--who", "bob"]) == 0
        return True

    monkeypatch.setattr(typer, "confirm", somebody_pauses)
    assert run([*PROMOTE, *published]) == 1
    assert "bob did pause of 1.0.0" in said(capsys)
    assert (tmp_path / "theme.yaml").read_text() == THEME


def test_targets_that_are_in_files_only_stay_so(where, measured, tmp_path, capsys):
    assert run(["publish", str(tmp_path / "specs.yaml"), *where, "--yes"]) == 0
    measured(GAIN)
    told = answer(capsys, *PROMOTE, *where, "--yes")
    assert ([one["key"] for one in told["specs"]], len(told["files"])) == ([KEY], 1)


def test_it_says_which_files_it_needs(published, capsys, monkeypatch):
    monkeypatch.delenv("ANABRANCH_SPECS", raising=False)
    assert run([*PROMOTE, *published[:4], "--yes"]) == 4
    assert "give the folder with the target specs by --specs" in said(capsys)
    assert run(["promote", KEY, "--variant", "a", *published, "--yes"]) == 1
    assert f"end it with `anabranch stop {KEY}`" in said(capsys)
