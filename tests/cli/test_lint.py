"""``anabranch lint`` as a person or a code review meets it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from anabranch.cli.app import run
from anabranch.specs import load_files

BUTTON = """\
kind: Experiment
meta: {key: shop.button, version: 1, owners: ['@a']}
controlVariant: blue
variants: [{id: blue}, {id: green}]
allocation: {type: random}
successMetrics:
  - {name: Clicks, telemetryEvent: {key: click, version: 1}, aggregation: count}
"""
RULES = "{type: targeted, rules: [{variantId: green}, {variantId: blue}]}"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "specs").mkdir()
    (tmp_path / "specs" / "button.yaml").write_text(BUTTON)
    return tmp_path / "specs"


def git(folder: Path, *arguments: str) -> None:
    who = ["-c", "user.name=a", "-c", "user.email=a@b.example", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *who, *arguments], check=True, capture_output=True)


@pytest.fixture
def committed(folder: Path) -> Path:
    git(folder, "init", "-q")
    git(folder, "add", ".")
    git(folder, "commit", "-qm", "first", "--date", "2020-01-01T00:00:00Z")
    return folder


def change(folder: Path, old: str, new: str) -> None:
    path = folder / "button.yaml"
    path.write_text(path.read_text().replace(old, new))


def found(capsys, *arguments: object) -> list[tuple[str, str]]:
    run(["lint", *map(str, arguments), "--format", "json"])
    return [(one["code"], one["path"]) for one in json.loads(capsys.readouterr().out)]


def test_infos_and_warnings_do_not_fail(folder, capsys):
    assert run(["lint", str(folder)]) == 0
    out = capsys.readouterr().out
    assert "button.yaml:1" in out
    assert "AB103" in out
    assert "1 specs: 0 errors, 0 warnings, 1 info" in out


def test_errors_fail(folder, capsys):
    change(folder, "{type: random}", RULES)
    assert run(["lint", str(folder)]) == 1
    out = capsys.readouterr().out
    assert "AB201" in out
    assert "allocation.rules[1]" in out


def test_what_is_not_valid_is_told_as_validate_tells_it(folder, capsys):
    change(folder, "controlVariant: blue", "controlVariant: bleu")
    assert run(["lint", str(folder)]) == 1
    assert "did you mean 'blue'" in " ".join(capsys.readouterr().err.split())


def test_sarif_is_json_for_code_review(folder, capsys):
    change(folder, "{type: random}", RULES)
    assert run(["lint", str(folder), "--format", "sarif"]) == 1
    log = json.loads(capsys.readouterr().out)
    assert "AB201" in [one["ruleId"] for one in log["runs"][0]["results"]]


def test_rules_can_be_left_out(folder, capsys):
    assert found(capsys, folder) == [("AB103", "schedule")]
    assert found(capsys, folder, "--ignore", "AB103") == []
    assert run(["lint", str(folder), "--ignore", "AB999"]) == 4
    assert "no rule has the code 'AB999'" in " ".join(capsys.readouterr().err.split())


def test_a_change_since_a_commit_asks_for_a_new_version(committed, capsys):
    assert ("AB101", "allocation") not in found(capsys, committed, "--since", "HEAD")
    change(committed, "{type: random}", "{type: random, salt: other}")
    assert ("AB101", "allocation") in found(capsys, committed, "--since", "HEAD")
    assert run(["lint", str(committed), "--since", "HEAD"]) == 1
    capsys.readouterr()
    change(committed, "version: 1, owners", "version: 2, owners")
    assert "AB101" not in dict(found(capsys, committed, "--since", "HEAD"))


def test_files_that_were_not_there_yet_are_new(committed, capsys):
    other = committed / "other"
    other.mkdir()
    (other / "other.yaml").write_text(BUTTON.replace("shop.button", "shop.other"))
    assert "AB101" not in dict(found(capsys, other, "--since", "HEAD"))


def test_the_first_commit_is_when_it_began(committed, capsys):
    """Its committer's date is now; an author's date may be anything."""
    assert "AB102" not in dict(found(capsys, committed))
    env = {"GIT_COMMITTER_DATE": "2020-01-01T00:00:00Z"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(*env.popitem())
        git(committed, "commit", "-q", "--amend", "--no-edit")
    change(committed, "aggregation: count", "aggregation: unique")
    git(committed, "commit", "-qam", "second")
    assert ("AB102", "status") in found(capsys, committed)
    assert "AB102" not in dict(found(capsys, committed, "--longest", "100000"))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--since", "no-such"], "git knows no such commit"),
        (["--since", "--output=x"], "git knows no such commit"),
    ],
)
def test_a_commit_that_is_not_there_is_told(committed, capsys, arguments, words):
    assert run(["lint", str(committed), *arguments]) == 4
    assert words in " ".join(capsys.readouterr().err.split())


def test_specs_that_did_not_load_then_are_told(committed, capsys):
    change(committed, "kind: Experiment", "kind: Experimint")
    git(committed, "commit", "-qam", "broken")
    change(committed, "kind: Experimint", "kind: Experiment")
    assert run(["lint", str(committed), "--since", "HEAD"]) == 4
    assert "the specs there do not load" in " ".join(capsys.readouterr().err.split())


def test_without_git_there_is_nothing_to_compare(folder, capsys, monkeypatch):
    monkeypatch.setattr("shutil.which", lambda _: None)
    assert run(["lint", str(folder), "--since", "HEAD"]) == 4
    assert "is in no git repository" in " ".join(capsys.readouterr().err.split())


def published(folder: Path, **changes: str) -> Path:
    (one,) = load_files(folder)
    row = {"kind": "Experiment", "key": "shop.button", "version": "1.0.0", "status": "running"}
    path = folder.parent / "published.json"
    path.write_text(json.dumps([{**row, "digest": one.spec.digest, **changes}]))
    return path


def test_a_change_since_publication_asks_for_a_new_version(folder, capsys):
    listed = published(folder)
    assert "AB101" not in dict(found(capsys, folder, "--published", listed))
    change(folder, "{type: random}", "{type: random, salt: other}")
    assert ("AB101", "meta.version") in found(capsys, folder, "--published", listed)


def test_pausing_what_is_published_is_no_change(folder, capsys):
    (one,) = load_files(folder)
    paused = one.spec.model_copy(update={"status": "paused"})
    listed = published(folder, status="paused", digest=paused.digest)
    assert "AB101" not in dict(found(capsys, folder, "--published", listed))


def test_results_tell_of_a_winner(folder, capsys):
    interval = {"low": 0.1, "high": 0.2, "pValue": 0.0}
    results = {
        "experiment": "shop.button",
        "version": "1.0.0",
        "srm": {"sequentialPValue": 1.0},
        "metrics": [
            {"name": "Clicks", "comparisons": [{"variant": "green", "sequential": interval}]}
        ],
    }
    path = folder.parent / "results.jsonl"
    for text in (json.dumps([results]), json.dumps(results), "\n".join([json.dumps(results)] * 2)):
        path.write_text(text)
        assert ("AB112", "status") in found(capsys, folder, "--results", path)


@pytest.mark.parametrize(
    ("option", "text", "words"),
    [
        ("--published", "{}", "is no list of specs"),
        ("--published", "[1]", "is no list of specs"),
        ("--results", "[1]", "holds no results"),
        ("--results", "{", "is not JSON"),
    ],
)
def test_files_of_another_kind_are_refused(folder, capsys, option, text, words):
    path = folder.parent / "x.json"
    path.write_text(text)
    assert run(["lint", str(folder), option, str(path)]) == 4
    assert words in " ".join(capsys.readouterr().err.split())


def test_comments_silence(folder, capsys):
    change(folder, "kind: Exp", "# anabranch: ignore AB103 -- until the redesign\nkind: Exp")
    assert found(capsys, folder) == []
