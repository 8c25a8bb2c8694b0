"""Publishing from the command line: shown, asked, written with its audit, and told who was first."""

from __future__ import annotations

import json
import sys

import pytest
import typer
import yaml

from anabranch.cli.app import run
from tests.lifecycle.records import experiment, metric, telemetry

KEY = "checkout.button"


@pytest.fixture
def where(kafka, topic_prefix, capsys) -> list[str]:
    where = ["--bootstrap", kafka, "--prefix", topic_prefix]
    assert run(["topics", "create", *where, "--partitions", "2"]) == 0
    return where


@pytest.fixture
def written(tmp_path):
    def write(*specs) -> str:
        path = tmp_path / "specs.yaml"
        path.write_text(yaml.safe_dump_all([spec.document for spec in specs]))
        return str(path)

    return write


def answer(capsys, *arguments: str, code: int = 0):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def said(capsys) -> str:
    captured = capsys.readouterr()
    return " ".join((captured.out + captured.err).split())


BUTTON = experiment(KEY, successMetrics=[metric("order")])
SHOP = telemetry("shop", "order")


def test_the_life_of_an_experiment(where, written, capsys):
    path = written(BUTTON, SHOP)
    assert answer(capsys, "list", *where) == {"specs": [], "refused": []}
    done = answer(capsys, "publish", path, *where, "--yes", "--who", "ada", "--why", "at last")
    assert done["published"]
    assert [(s["kind"], s["key"], s["from"]) for s in done["specs"]] == [
        ("Experiment", KEY, None),
        ("Telemetry", "shop", None),
    ]
    again = answer(capsys, "publish", path, *where, "--yes")
    assert (again["published"], again["specs"], len(again["unchanged"])) == (False, [], 2)

    listed = answer(capsys, "list", *where)["specs"]
    assert [(s["key"], s["status"], s["holds"], s["by"]) for s in listed] == [
        (KEY, "running", True, "ada"),
        ("shop", None, True, "ada"),
    ]

    (paused,) = answer(capsys, "pause", KEY, *where, "--who", "bob", "--why", "calls")["specs"]
    assert paused["differences"] == [{"path": "status", "before": "running", "after": "paused"}]
    assert (paused["impact"]["before"], paused["impact"]["after"]) == (10_000, 0)
    assert run(["pause", KEY, *where]) == 1
    assert "is paused, and pause is not possible then: what is possible is resume" in said(capsys)

    (ramped,) = answer(capsys, "ramp", KEY, "25", *where, "--yes")["specs"]
    assert ramped["differences"] == [{"path": "coverage", "before": 1, "after": 0.25}]
    again = answer(capsys, "publish", path, *where, "--yes")
    assert (again["published"], again["kept"][0]["fields"]) == (False, ["status", "coverage"])
    answer(capsys, "resume", KEY, *where)
    answer(capsys, "stop", KEY, *where, "--yes")
    assert run(["resume", KEY, *where]) == 1
    assert "what is possible is promote, retire, or publishing a new version" in said(capsys)
    answer(capsys, "retire", KEY, *where, "--yes")
    shown = answer(capsys, "show", KEY, *where)
    assert (shown["status"], shown["actions"], shown["versions"]) == ("retired", [], ["1.0.0"])
    assert (
        shown["spec"] == BUTTON.model_copy(update={"status": "retired", "coverage": 0.25}).document
    )

    history = answer(capsys, "history", KEY, *where)
    assert [entry["action"] for entry in history] == [
        "publish", "pause", "ramp", "resume", "stop", "retire",
    ]  # fmt: skip
    assert [(e["who"], e["why"]) for e in history[:2]] == [("ada", "at last"), ("bob", "calls")]
    assert history[0]["toDigest"] == history[1]["fromDigest"] == BUTTON.digest
    digests = [e["toDigest"] for e in history]
    assert [e.get("fromDigest") for e in history] == [None, *digests[:-1]]
    assert history[-1]["toDigest"] == shown["digest"]


def test_a_new_version_is_shown_before_it_is_published(where, written, capsys):
    assert run(["publish", written(BUTTON, SHOP), *where, "--yes"]) == 0
    salted = experiment(KEY, "2.0.0", allocation={"type": "random", "salt": "anew"})
    path = written(salted)
    (spec,) = answer(capsys, "publish", path, *where, "--dry-run")["specs"]
    assert spec["heldVersion"] == "1.0.0"
    assert {d["path"] for d in spec["differences"]} == {"allocation.salt", "successMetrics"}
    assert abs(spec["impact"]["moved"] - 5000) < 300
    assert run(["publish", path, *where, "--dry-run"]) == 0
    shown = said(capsys)
    assert "a new version; 1.0.0 holds now" in shown
    assert "change variant" in shown
    assert len(answer(capsys, "list", *where)["specs"]) == 2  # nothing was written

    assert run(["publish", written(experiment(KEY, unit=["userId"])), *where, "--yes"]) == 1
    assert "publish a higher meta.version" in said(capsys)
    assert run(["show", KEY, *where, "--version", "3.0.0"]) == 1
    assert "has no version 3.0.0: there are 1.0.0" in said(capsys)


def test_a_version_that_does_not_hold_is_named(where, written, capsys):
    draft = experiment(KEY, "2.0.0", status="draft")
    assert run(["publish", written(BUTTON, SHOP, draft), *where, "--yes"]) == 0
    assert answer(capsys, "show", KEY, *where)["version"] == "1.0.0"
    shown = answer(capsys, "show", KEY, *where, "--version", "2")
    assert (shown["status"], shown["actions"]) == ("draft", ["start"])
    second = draft.model_copy(update={"status": "running"})
    assert run(["publish", written(second), *where, "--yes"]) == 0

    (stopped,) = answer(capsys, "stop", KEY, *where, "--version", "1", "--yes")["specs"]
    assert (stopped["version"], stopped["impact"]["left"]) == ("1.0.0", 0)
    assert answer(capsys, "show", KEY, *where)["version"] == "2.0.0"


def test_it_asks_and_whoever_was_slower_is_told(where, written, capsys, monkeypatch):
    assert run(["publish", written(SHOP, BUTTON), *where, "--yes"]) == 0
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    path = written(BUTTON.model_copy(update={"coverage": 0.5}))

    monkeypatch.setattr(typer, "confirm", lambda *_, **__: False)
    assert run(["publish", path, *where]) == 1
    assert "nothing was published" in said(capsys)

    def somebody_pauses(*_, **__) -> bool:
        assert run(["pause", KEY, *where, "--who", "bob", "--why", "calls"]) == 0
        return True

    monkeypatch.setattr(typer, "confirm", somebody_pauses)
    assert run(["publish", path, *where]) == 1
    told = said(capsys)
    assert "bob did pause of 1.0.0 at" in told
    assert "Nothing of yours was written" in told
    assert answer(capsys, "show", KEY, *where)["spec"] == {**BUTTON.document, "status": "paused"}


def test_what_does_not_fit_is_refused_before_it_is_written(where, written, capsys):
    assert run(["publish", written(BUTTON), *where, "--yes"]) == 1
    assert "publish together what belongs together" in said(capsys)
    assert run(["publish", written(BUTTON), *where]) == 2  # nobody to ask
    assert "--yes, or --dry-run" in said(capsys)
    assert run(["show", KEY, *where]) == 1
    assert f"there is no published spec '{KEY}'" in said(capsys)
    assert run(["history", KEY, *where]) == 1
    assert run(["history", *where]) == 0
    assert "nothing was published yet" in said(capsys)


def test_what_workers_have_in_files_is_named_by_specs(where, written, capsys, tmp_path):
    files = tmp_path / "files.yaml"
    files.write_text(yaml.safe_dump_all([BUTTON.document, SHOP.document]))
    assert run(["pause", KEY, *where]) == 1
    assert "in files only is found with --specs" in said(capsys)
    answer(capsys, "pause", KEY, *where, "--specs", str(files))

    with_files = answer(capsys, "list", *where, "--specs", str(files))
    assert with_files["refused"] == []
    assert [(s["key"], s["status"], s["from"]) for s in with_files["specs"]] == [
        (KEY, "paused", "topic"),
        ("shop", None, "files"),
    ]
    (entry,) = answer(capsys, "history", *where)
    assert (entry["fromDigest"], entry["action"]) == (BUTTON.digest, "pause")
    assert run(["list", *where]) == 0
    assert "no TelemetrySpec declares the event order" in (told := said(capsys))
    assert "name those by --specs" in told


def test_without_topics_it_says_how_to_make_them(kafka, capsys):
    assert run(["list", "--bootstrap", kafka, "--prefix", "nowhere"]) == 4
    assert "`anabranch topics create` makes it" in said(capsys)


def test_what_files_say_already_is_told_without_an_empty_table(where, written, capsys):
    path = written(SHOP, BUTTON)
    assert run(["publish", path, *where, "--specs", path, "--yes"]) == 0
    told = said(capsys)
    assert f"Experiment {KEY} 1.0.0: as the files have it, and published from now on" in told
    assert "field before after" not in told
