"""``anabranch create`` without a person: flags, a file of answers, JSON."""

from __future__ import annotations

import json

import pytest
import yaml

from anabranch.cli.app import run
from anabranch.specs import load_specs
from tests.support.json_schema import errors

EXPERIMENT = [
    "create", "experiment", "--key", "shop.button", "--owner", "@team.shop",
    "--variant", "control Grey", "--variant", "green Green",
]  # fmt: skip
TELEMETRY = [
    "create", "telemetry", "--key", "shop.telemetry", "--owner", "@team.shop",
    "--event", "shop.order amount:number! what='an order' tags=privacy-reviewed",
]  # fmt: skip
METRIC = ["--metric", "Orders: shop.order unique window=7d"]


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANABRANCH_SPECS", raising=False)
    return tmp_path


def answer(capsys, *arguments: str, code: int = 0):
    capsys.readouterr()
    assert run([*arguments, "--json"]) == code
    return json.loads(capsys.readouterr().out)


def said(capsys) -> str:
    captured = capsys.readouterr()
    text = captured.out + captured.err
    return " ".join("".join(c for c in text if c not in "│╭╮╰╯─").split())


def test_every_question_is_a_flag(folder, capsys):
    assert run(TELEMETRY) == 0
    policy = [
        "create", "policy", "--key", "shop.staff", "--owner", "@team.shop",
        "--rule", "allow experiment_targeting roles=staff", "--consent", "ads To tell of offers",
    ]  # fmt: skip
    assert run(policy) == 0
    theme = folder / "specs/theme.yaml"
    theme.write_text("kind: Theme\nmeta: {key: shop.theme, version: 1}\ncolour: grey\n")
    told = answer(
        capsys, *EXPERIMENT, *METRIC,
        "--version", "1.2", "--title", "T", "--description", "D", "--domain", "shop",
        "--tag", "button", "--stability", "beta", "--control", "control",
        "--override", 'green theme shop.theme {"colour": "green"}',
        "--salt", "s", "--fallback", "random",
        "--rule", "green 50% policy=shop.staff when context.attributes?.plan === 'pro'",
        "--unit", "userId", "--coverage", "0.5", "--status", "draft",
        "--start", "2030-01-01T00:00:00Z", "--end", "2030-02-01T00:00:00Z",
        "--preview-context", '{"flags": ["staff"], "attributes": {"plan": "pro"}}',
    )  # fmt: skip
    assert (told["file"], told["written"]) == ("specs/button_experiment.py", True)
    assert told["spec"] == {
        "kind": "Experiment",
        "meta": {
            "key": "shop.button",
            "version": "1.2.0",
            "title": "T",
            "description": "D",
            "domain": "shop",
            "owners": ["@team.shop"],
            "tags": ["button"],
            "stability": "beta",
        },
        "controlVariant": "control",
        "variants": [
            {"id": "control", "name": "Grey"},
            {
                "id": "green",
                "name": "Green",
                "overrides": [
                    {"type": "theme", "target": "shop.theme", "config": {"colour": "green"}}
                ],
            },
        ],
        "allocation": {
            "type": "targeted",
            "salt": "s",
            "rules": [
                {
                    "variantId": "green",
                    "percentage": 0.5,
                    "policy": {"key": "shop.staff"},
                    "expression": "context.attributes?.plan === 'pro'",
                }
            ],
            "fallback": "random",
        },
        "successMetrics": [
            {
                "name": "Orders",
                "telemetryEvent": {"key": "shop.order", "version": "1.0.0"},
                "aggregation": "unique",
                "window": 604800,
            }
        ],
        "unit": ["userId"],
        "coverage": 0.5,
        "schedule": {"start": "2030-01-01T00:00:00Z", "end": "2030-02-01T00:00:00Z"},
        "status": "draft",
    }
    catalog = load_specs(folder / "specs").check()
    assert catalog.experiments.require("shop.button").document == told["spec"]
    assert len(catalog) == 4


def test_it_shows_the_spec_its_lints_and_the_split(capsys):
    assert run(TELEMETRY) == 0
    capsys.readouterr()
    assert run([*EXPERIMENT, *METRIC]) == 0
    shown = said(capsys)
    assert 'button = ExperimentSpec( meta=Meta(key="shop.button"' in shown
    assert "AB103 info schedule has no end" in shown
    assert "of 10,000 made-up units 10,000 take part" in shown
    assert "written specs/button_experiment.py" in shown


def test_yaml_is_checked_by_its_schema_in_editors(folder, capsys):
    assert run(["init", "."]) == 0
    told = answer(capsys, *EXPERIMENT, "--format", "yaml")
    text = (folder / told["file"]).read_text()
    assert text.startswith("# yaml-language-server: $schema=.schemas/specs.schema.json\nkind: Exp")
    assert yaml.safe_load(text) == told["spec"]
    schema = json.loads((folder / "specs/.schemas/specs.schema.json").read_text())
    assert errors(schema, told["spec"]) == []
    deeper = answer(capsys, *EXPERIMENT, "--version", "2", "--file", "specs/a/b/c.yml")
    first = (folder / deeper["file"]).read_text().splitlines()[0]
    assert first.endswith("$schema=../../.schemas/specs.schema.json")


def test_what_is_missing_is_named_by_its_flag(folder, capsys):
    assert run(["create", "experiment", "--key", "x"]) == 2
    told = said(capsys)
    assert "--owner is missing: who is responsible" in told
    assert "--variant is missing: the variants, control among them" in told
    assert run([*EXPERIMENT, "--allocation", "sticky"]) == 2
    assert "--attribute is missing" in said(capsys)
    assert run(["create", "telemetry", "--key", "x", "--owner", "y"]) == 2
    assert "--event is missing" in said(capsys)
    assert not (folder / "specs").exists()


@pytest.mark.parametrize(
    ("flags", "code", "told"),
    [
        (["--metric", "Orders unique"], 2, "write NAME: EVENT"),
        (["--rule", "green when context."], 1, "line 1, column"),
        (["--override", "blue theme t"], 2, "there is no variant 'blue'"),
        (["--control", "grey"], 1, "no variant has the id 'grey'"),
        (["--metric", "Orders: shop.order unique"], 1, "no TelemetrySpec declares the event"),
        (["--file", "x.txt"], 2, "does not end in .yaml, .json, .py"),
        (["--file", "x.yaml", "--format", "py"], 2, "does not end in .py"),
        (["--preview-context", "[]"], 2, "is an object like"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_written(folder, capsys, flags, code, told):
    assert run([*EXPERIMENT, *flags]) == code
    assert told in said(capsys)
    assert list(folder.rglob("*")) == []


def test_a_file_is_overwritten_only_when_told(folder, capsys):
    path = folder / answer(capsys, *EXPERIMENT)["file"]
    before = path.read_bytes()
    assert run([*EXPERIMENT, "--title", "Other"]) == 2
    assert "overwrite it by --force, or give --file" in said(capsys)
    assert path.read_bytes() == before
    assert (
        answer(capsys, *EXPERIMENT, "--title", "Other", "--dry-run", "--force")["written"] is False
    )
    assert path.read_bytes() == before
    assert answer(capsys, *EXPERIMENT, "--title", "Other", "--force")["written"] is True
    assert path.read_bytes() != before
    assert run([*EXPERIMENT, "--file", "specs/twice.py"]) == 1
    assert "Experiment shop.button 1.0.0 is there already" in said(capsys)


@pytest.mark.parametrize("suffix", [".yaml", ".json", ".py"])
def test_answers_come_from_a_file_and_flags_go_before_it(folder, capsys, suffix):
    first = answer(capsys, *EXPERIMENT, "--file", f"first{suffix}")
    told = answer(
        capsys,
        "create",
        "experiment",
        "--from",
        first["file"],
        "--version",
        "2.0.0",
        "--title",
        "T",
    )
    expected = first["spec"] | {
        "meta": {
            "key": "shop.button",
            "version": "2.0.0",
            "title": "T",
            "owners": ["@team.shop"],
        }
    }
    assert told["spec"] == expected


def test_a_file_of_answers_may_lack_what_flags_say(folder, capsys):
    (folder / "answers.yaml").write_text("meta: {key: shop.button}\nvariants: [{id: a}, {id: b}]\n")
    told = answer(capsys, "create", "experiment", "--from", "answers.yaml", "--owner", "@t")
    assert told["spec"]["controlVariant"] == "a"
    (folder / "two.yaml").write_text("kind: Experiment\n---\nkind: Experiment\n")
    assert run(["create", "experiment", "--from", "two.yaml"]) == 1
    assert "two.yaml holds 2 of kind Experiment, and one is wanted" in said(capsys)


def test_the_folder_is_that_of_the_settings(folder, capsys, monkeypatch):
    monkeypatch.setenv("ANABRANCH_SPECS", "mine")
    assert answer(capsys, *EXPERIMENT)["file"] == "mine/button_experiment.py"


def test_broken_files_beside_are_told_of_and_left_out(folder, capsys):
    assert run(TELEMETRY) == 0
    (folder / "specs/broken.yaml").write_text("kind: Experiment\n")
    capsys.readouterr()
    assert run([*EXPERIMENT, *METRIC]) == 0
    assert "left out: specs/broken.yaml:1" in said(capsys)
