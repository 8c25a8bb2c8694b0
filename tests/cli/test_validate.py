"""``anabranch validate`` over folders: everything that is wrong at once, each with its place."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from anabranch.cli.app import run

BUTTON = """\
kind: Experiment
meta: {key: shop.button, version: 1}
controlVariant: blue
variants: [{id: blue}, {id: green}]
allocation: {type: random}
"""
CLICKS = """\
kind: Telemetry
meta: {key: shop.events, version: 1}
events: [{key: click, version: 1}]
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "button.yaml").write_text(BUTTON)
    (tmp_path / "clicks.yaml").write_text(CLICKS)
    return tmp_path


def told(capsys) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return " ".join(out.split()), " ".join(err.split())


def test_a_summary_by_kind(folder, capsys):
    (folder / "more.yaml").write_text(
        BUTTON.replace("version: 1", "version: 2") + "status: paused\n---\n"
        + BUTTON.replace("shop.button", "shop.other")
    )  # fmt: skip
    assert run(["validate", str(folder)]) == 0
    out, _ = told(capsys)
    assert "kind statuses specs keys files" in out
    assert "Experiment running 2, paused 1 3 2 2" in out
    assert "Telemetry 1 1 1" in out
    assert "4 specs are valid" in out
    assert run(["validate", str(folder), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["summary"] == [
        {"kind": "Experiment", "specs": 3, "keys": 2, "files": 2,
         "statuses": {"running": 2, "paused": 1}},
        {"kind": "Telemetry", "specs": 1, "keys": 1, "files": 1, "statuses": {}},
    ]  # fmt: skip


def test_of_many_only_the_summary(folder, capsys):
    documents = [BUTTON.replace("shop.button", f"shop.button{n}") for n in range(60)]
    (folder / "many.yaml").write_text("---\n".join(documents))
    assert run(["validate", str(folder)]) == 0
    out, _ = told(capsys)
    assert "shop.button17" not in out
    assert "Experiment running 61 61 61 2" in out


def test_everything_that_is_wrong_is_told_at_once(folder, capsys):
    (folder / "a.yaml").write_text(BUTTON.replace("controlVariant: blue", "controlVariant: bleu"))
    (folder / "b.json").write_text('{"kind": "Experiment",\n "meta": 3,\n}')
    (folder / "c.py").write_text("x = 1\nraise RuntimeError('no')\n")
    (folder / "d.yaml").write_text(
        BUTTON.replace("shop.button", "shop.d").replace("{type: random}", "{type: randm}")
        + "---\n" + BUTTON.replace("shop.button", "shop.e")
        + "---\n" + BUTTON.replace("shop.button", "shop.f").replace("{id: green}", "{id: blue}")
    )  # fmt: skip
    assert run(["validate", str(folder)]) == 1
    out, err = told(capsys)
    for words in (
        "a.yaml:3: Experiment shop.button 1: controlVariant: no variant has the id 'bleu'",
        "b.json:3: is not JSON",
        "c.py:2: RuntimeError: no",
        "d.yaml:5: Experiment shop.d 1: allocation: there is no type 'randm'",
        "d.yaml:16: Experiment shop.f 1: variants: two have the id 'blue'",
        "references are checked once every spec is right",
    ):
        assert words in err
    assert "shop.e" in out
    assert "are valid" not in out


def test_references_have_their_place(folder, capsys):
    with (folder / "button.yaml").open("a") as file:
        file.write(
            "successMetrics:\n"
            "  - {name: A, telemetryEvent: {key: click, version: 1}, aggregation: count}\n"
            "  - {name: B, telemetryEvent: {key: clik, version: 1}, aggregation: count}\n"
        )
    assert run(["validate", str(folder)]) == 1
    _, err = told(capsys)
    assert "button.yaml:8: Experiment shop.button 1.0.0: successMetrics[1], metric 'B'" in err
    assert "did you mean 'click'" in err


def test_what_is_there_twice_has_both_places(folder, capsys):
    (folder / "x.yaml").write_text("# again\n" + BUTTON)
    assert run(["validate", str(folder)]) == 1
    _, err = told(capsys)
    assert "button.yaml:1 and in" in err
    assert "x.yaml:2: give the changed one a new version" in err


def test_lines_in_json_and_python(folder, capsys):
    (folder / "a.json").write_text(
        '[\n {"kind": "Telemetry",\n  "meta": {"key": "a", "version": 1},\n'
        '  "events": [\n   {"key": "e", "version": "x"}]}\n]\n'
    )
    (folder / "b.py").write_text(
        "from anabranch.specs import Meta\n\nM = Meta(\n    key='a b',\n    version=1,\n)\n"
    )
    assert run(["validate", str(folder)]) == 1
    _, err = told(capsys)
    assert "a.json:5: Telemetry a 1: events[0].version: version 'x'" in err
    assert "b.py:3:" in err


def test_a_key_given_twice_in_json_has_its_line(folder, capsys):
    (folder / "a.json").write_text('{\n "kind": "Experiment",\n "kind": "Policy"\n}\n')
    assert run(["validate", str(folder)]) == 1
    _, err = told(capsys)
    assert "a.json:3: 'kind' is given twice" in err
