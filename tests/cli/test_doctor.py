"""The doctor at a real broker: what is missing, then what is well."""

from __future__ import annotations

import json

import pytest

from anabranch.cli.app import run

pytestmark = pytest.mark.kafka


def examined(capsys, code: int, *arguments: str) -> dict[str, list[dict]]:
    """Check to its findings."""
    assert run(["doctor", "--json", *arguments]) == code
    report = json.loads(capsys.readouterr().out)
    assert report["healthy"] is (code == 0)
    found: dict[str, list[dict]] = {}
    for finding in report["findings"]:
        found.setdefault(finding["check"], []).append(finding)
    return found


def test_what_is_missing_is_told_and_mended_by_the_command_that_is_named(
    kafka, topic_prefix, capsys
):
    where = ["--bootstrap", kafka, "--prefix", topic_prefix]
    before = examined(capsys, 1, *where)
    (topics,) = before["topics"]
    assert topics["level"] == "error"
    assert before["clock"][0]["level"] == "unknown"

    command = topics["fix"].split()
    assert command == ["anabranch", "topics", "create", *where]
    assert run([*command[1:], "--partitions", "2", "--dry-run", "--json"]) == 0
    missing = json.loads(capsys.readouterr().out)
    assert missing["created"] == []
    assert f"{topic_prefix}.contexts.v1" in missing["missing"]
    assert examined(capsys, 1, *where)["topics"] == [topics], "a dry run made something"

    assert run([*command[1:], "--partitions", "2"]) == 0
    capsys.readouterr()
    after = examined(capsys, 0, *where)
    for check in (
        "topics",
        "partitions",
        "configuration",
        "rights",
        "transactions",
        "clock",
        "dead letters",
    ):
        assert [finding["level"] for finding in after[check]] == ["ok"], after[check]
    assert {finding["fix"] for finding in after["lag"]} == {
        f"start a worker: anabranch worker {stage}"
        for stage in ("assign", "gate", "attribute", "aggregate")
    }
    assert run(["doctor", "--strict", "gate", *where]) == 1
    shown = capsys.readouterr().out
    assert "nobody runs stage gate" in shown
    assert "stage assign" not in shown


def test_no_broker(capsys):
    found = examined(capsys, 3, "--bootstrap", "127.0.0.1:1")
    (broker,) = found["broker"]
    assert (broker["level"], "make kafka" in broker["fix"]) == ("unreachable", True)
