"""Commands as a person or a script meets them: output, exit codes, messages."""

from __future__ import annotations

import json
from importlib.metadata import version
from pathlib import Path

import pytest

from anabranch.cli.app import run

ROOT = Path(__file__).resolve().parents[2]
SPECS = ROOT / "examples" / "hillstrom" / "specs"

EXPERIMENT = """
kind: Experiment
meta: {key: shop.button, version: 1, title: t, description: d, domain: shop, owners: ['@a'],
       tags: [], stability: experimental}
controlVariant: blue
variants: [{id: blue, name: Blue}, {id: green, name: Green}]
allocation: {type: random}
"""


def lines(capsys) -> tuple[str, str]:
    out, err = capsys.readouterr()
    return out, " ".join(err.split())


def test_validate_lists_the_specs_and_succeeds(capsys):
    assert run(["validate", str(SPECS)]) == 0
    out, _ = lines(capsys)
    assert "hillstrom.email" in out
    assert "2 specs are valid" in out


def test_validate_for_machines(capsys):
    assert run(["validate", str(SPECS), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["problems"] == []
    assert [s["key"] for s in found["specs"]] == ["hillstrom.email", "hillstrom.telemetry"]
    assert all(len(s["digest"]) == 16 for s in found["specs"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (("controlVariant: blue", "controlVariant: bleu"), ["controlVariant", "blue"]),
        (("allocation:", "alocation:"), ["alocation", "allocation"]),
        (("{type: random}", "{type: targeted, rules: [{variantId: green, expression: 'context.'}]}"),
         ["rules[0].expression", "line 1"]),
    ],
)  # fmt: skip
def test_validate_says_what_is_wrong_where_without_a_traceback(tmp_path, capsys, change, words):
    path = tmp_path / "button.yaml"
    path.write_text(EXPERIMENT.replace(*change))
    assert run(["validate", str(path)]) == 1
    _, err = lines(capsys)
    assert str(path.name) in err
    assert "Traceback" not in err
    for word in words:
        assert word in err


def test_validate_finds_references_that_do_not_hold(tmp_path, capsys):
    path = tmp_path / "button.yaml"
    metric = (
        "successMetrics: [{name: m, telemetryEvent: {name: gone, version: 1}, aggregation: count}]"
    )
    path.write_text(EXPERIMENT + metric)
    assert run(["validate", str(path)]) == 1
    _, err = lines(capsys)
    assert "shop.button" in err
    assert "'gone'" in err or "gone" in err


def test_debug_shows_the_traceback(tmp_path, capsys):
    path = tmp_path / "button.yaml"
    path.write_text("kind: Experimint")
    assert run(["--debug", "validate", str(path)]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_wrong_command_line_is_exit_code_2(capsys):
    assert run(["validat"]) == 2
    assert run(["replay", "--specs", str(SPECS)]) == 2
    capsys.readouterr()


def test_no_broker_is_exit_code_3_and_says_how_to_get_one(capsys):
    assert run(["topics", "describe", "--bootstrap", "127.0.0.1:1"]) == 3
    _, err = lines(capsys)
    assert "no Kafka broker answers at 127.0.0.1:1" in err
    assert "make kafka" in err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["topics", "create"], "ANABRANCH_BOOTSTRAP"),
        (["worker"], "ANABRANCH_BOOTSTRAP"),
        (["worker", "asign", "--bootstrap", "127.0.0.1:1"], "there is no stage 'asign'"),
        (["--log-level", "loud", "topology"], "debug, info, warning, error"),
        (["topology", "--prefix", "under_score"], "ANABRANCH_PREFIX"),
    ],
)
def test_wrong_settings_are_exit_code_4(capsys, monkeypatch, arguments, words):
    monkeypatch.delenv("ANABRANCH_BOOTSTRAP", raising=False)
    assert run(arguments) == 4
    assert words in lines(capsys)[1]


def test_topology_as_text_and_as_mermaid(capsys):
    assert run(["topology", "--prefix", "acme"]) == 0
    out, _ = lines(capsys)
    for word in ("assign", "gate", "attribute", "aggregate", "acme.contexts.v1.dlq"):
        assert word in out
    assert run(["topology", "--mermaid"]) == 0
    assert lines(capsys)[0].startswith("flowchart LR")


def event(kind: str, number: int, **data) -> str:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": f"{kind}-{number}",
            "source": "test",
            "type": f"anabranch.{kind}.v1",
            "time": f"2026-01-01T00:00:{number:02d}Z",
            "data": data,
        }
    )


def test_replay_prints_a_line_of_json_for_each_run(tmp_path, capsys):
    events = tmp_path / "events.jsonl"
    exposure = {"experiment": "hillstrom.email", "version": 1, "variant": "mens"}
    visit = {"name": "hillstrom.visit", "version": 1, "userId": "1"}
    events.write_text(
        "\n".join(
            [
                event("telemetry", 9, **visit),
                "",
                event("exposure", 1, unit="user:1", **exposure),
                event("exposure", 2, unit="user:2", **exposure),
                event("exposure", 3, unit="user:3", **exposure | {"variant": "nobody"}),
            ]
        )
    )
    assert run(["replay", str(events), "--specs", str(SPECS), "--json"]) == 0
    out, err = lines(capsys)
    (line,) = out.splitlines()
    results = json.loads(line)
    assert results["asOf"] == "2026-01-01T00:00:09.000Z"
    assert {v["id"]: v["units"] for v in results["variants"]} == {
        "control": 0, "mens": 2, "womens": 0}  # fmt: skip
    visits = next(m for m in results["metrics"] if m["name"] == "visits")
    assert [v["converted"] for v in visits["variants"]] == [0, 1, 0]
    assert "1 in the dead letters of exposures: UnknownVariantError" in err


def test_replay_shows_tables_to_people(tmp_path, capsys):
    events = tmp_path / "events.jsonl"
    exposure = {"experiment": "hillstrom.email", "version": 1, "variant": "mens"}
    events.write_text(event("exposure", 1, unit="user:1", **exposure))
    assert run(["replay", str(events), "--specs", str(SPECS)]) == 0
    out, _ = lines(capsys)
    for word in ("hillstrom.email", "variant", "womens", "visits (count)", "spend (avg)"):
        assert word in out


def test_a_broken_event_file_names_the_line(tmp_path, capsys):
    events = tmp_path / "events.jsonl"
    events.write_text(event("telemetry", 1) + "\n{nope\n")
    assert run(["replay", str(events), "--specs", str(SPECS)]) == 1
    assert f"{events.name}:2: not JSON" in lines(capsys)[1]


def test_topics_are_created_once(kafka, topic_prefix, capsys):
    where = ["--bootstrap", kafka, "--prefix", topic_prefix, "--partitions", "2"]
    assert run(["topics", "describe", *where[:4]]) == 4
    capsys.readouterr()
    assert run(["topics", "create", *where, "--json"]) == 0
    created = json.loads(capsys.readouterr().out)["created"]
    assert f"{topic_prefix}.contexts.v1" in created
    assert run(["topics", "create", *where]) == 0
    assert "all topics are there already" in capsys.readouterr().out
    assert run(["topics", "describe", *where[:4], "--json"]) == 0
    assert {t["partitions"] for t in json.loads(capsys.readouterr().out)} == {2}
    assert run(["topics", "create", *where[:4], "--partitions", "3"]) == 4
    assert "has 2 partitions, not 3" in lines(capsys)[1]


def test_a_worker_without_topics_says_how_to_make_them(kafka, topic_prefix, capsys):
    where = ["--bootstrap", kafka, "--prefix", topic_prefix, "--specs", str(SPECS)]
    assert run(["worker", *where]) == 4
    assert "anabranch topics create" in lines(capsys)[1]


def test_the_version_is_told(capsys):
    assert run(["--version"]) == 0
    assert lines(capsys)[0] == f"anabranch {version('anabranch')}\n"
