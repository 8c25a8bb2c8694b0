"""``anabranch init``: a folder that is valid at once, and nothing of anybody's is lost."""

from __future__ import annotations

import json
import re

import pytest
import yaml

from anabranch.authoring import workspace
from anabranch.cli.app import run
from anabranch.specs import load_specs
from anabranch.specs.schema import json_schema
from tests.support.json_schema import errors


@pytest.fixture
def made(tmp_path, capsys):
    assert run(["init", str(tmp_path)]) == 0
    capsys.readouterr()
    return tmp_path


def answer(capsys, *arguments: str, code: int = 0):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_folder_is_valid_and_passes_the_lints(made, capsys):
    catalog = load_specs(made / "specs").check()
    assert [(spec.kind, spec.key) for spec in catalog] == [
        ("Experiment", "example.button_colour"),
        ("Telemetry", "example.telemetry"),
        ("Theme", "example.theme"),
    ]
    assert catalog.running() == []  # publishing it starts nothing
    assert run(["validate", str(made / "specs")]) == 0
    capsys.readouterr()
    assert run(["lint", str(made / "specs"), "--format", "json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


def test_editors_find_the_schema_in_both_ways(made):
    settings = json.loads((made / ".vscode/settings.json").read_text())
    (schema,) = settings["yaml.schemas"]
    assert json.loads((made / schema).read_text()) == json_schema()
    assert settings["json.schemas"][0]["url"] == schema
    for file in (made / "specs").glob("*.yaml"):
        (named,) = re.findall(
            r"\A# yaml-language-server: \$schema=(\S+)$", file.read_text(), re.MULTILINE
        )
        assert (file.parent / named).samefile(made / schema)


def test_the_examples_are_right_by_the_schema_and_a_misspelling_is_not(made):
    schema = json.loads((made / workspace.SCHEMA).read_text())
    for file in (made / "specs").glob("*.yaml"):
        document = yaml.safe_load(file.read_text())
        assert errors(schema, document) == []
        assert errors(schema, document | {"kind": "Experimnt"})


def test_the_readme_names_every_file(made):
    named = re.findall(r"^\| `(\S+)` \|", (made / "specs/README.md").read_text(), re.MULTILINE)
    there = [f for f in (made / "specs").rglob("*") if f.is_file() and f.name != "README.md"]
    assert sorted(named) == sorted(str(f.relative_to(made / "specs")) for f in there)


def test_it_writes_nothing_twice_and_overwrites_only_when_told(made, capsys):
    again = answer(capsys, "init", str(made))
    assert (again["written"], again["kept"], len(again["unchanged"])) == ([], [], 7)
    mine = made / "specs/README.md"
    mine.write_text("mine")
    assert answer(capsys, "init", str(made))["kept"] == [str(mine)]
    assert mine.read_text() == "mine"
    assert answer(capsys, "init", str(made), "--force")["written"] == [str(mine)]
    assert mine.read_text() != "mine"


def test_settings_of_others_are_kept(tmp_path, capsys):
    path = tmp_path / ".vscode/settings.json"
    path.parent.mkdir()
    path.write_text('{"editor.rulers": [100], "yaml.schemas": {"x.json": "x/*.yaml"}}')
    answer(capsys, "init", str(tmp_path), "--force")
    found = json.loads(path.read_text())
    assert found["editor.rulers"] == [100]
    assert set(found["yaml.schemas"]) == {"x.json", f"./{workspace.SCHEMA}"}
    assert answer(capsys, "init", str(tmp_path))["written"] == []


def test_settings_with_comments_are_left_and_it_is_said_what_to_add(tmp_path, capsys):
    path = tmp_path / ".vscode/settings.json"
    path.parent.mkdir()
    path.write_text('{\n  // mine\n  "editor.rulers": [100]\n}')
    before = path.read_text()
    (note,) = answer(capsys, "init", str(tmp_path), "--force")["notes"]
    assert "yaml.schemas" in note
    assert path.read_text() == before
