"""docs/authoring.md, followed to the letter: each command runs, and says what the page shows."""

from __future__ import annotations

import os
import re
import shlex
from pathlib import Path

import pytest
import yaml

from anabranch.authoring import forms
from anabranch.cli.app import run

PAGE = Path(__file__).parents[2] / "docs/authoring.md"
TEXT = PAGE.read_text(encoding="utf-8")
BEFORE_KAFKA, _, ON_KAFKA = TEXT.partition("\n## On Kafka\n")


def commands(text: str) -> list[tuple[list[str], list[str]]]:
    """Each command of the page, and the lines that it shows below it."""
    found: list[tuple[list[str], list[str]]] = []
    for block in re.findall(r"^```console\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append((shlex.split(line[2:]), []))
            else:
                found[-1][1].append(" ".join(line.split()))
    return found


def follow(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    for (program, *arguments), shown in commands(text):
        if program == "cd":
            os.chdir(arguments[0])
            continue
        assert program == "anabranch"
        capsys.readouterr()
        code = run(arguments)
        captured = capsys.readouterr()
        lines = [" ".join(line.split()) for line in (captured.out + captured.err).splitlines()]
        assert code == any(line.startswith("error:") for line in shown), lines
        for line in shown:
            assert any(line in one for one in lines), f"{line!r} is not in {lines}"


@pytest.fixture
def followed(tmp_path, monkeypatch, capsys) -> Path:
    """The folder that the page has made before it goes on to Kafka."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ANABRANCH_SPECS", raising=False)
    follow(BEFORE_KAFKA, capsys)
    return tmp_path / "shop"


def test_the_page_is_followed_without_a_broker(followed):
    written = yaml.safe_load((followed / "specs/shop_telemetry.yaml").read_text())
    assert [event["key"] for event in written["events"]] == ["shop.order_placed"]


def test_the_page_is_followed_to_its_end(followed, kafka, topic_prefix, monkeypatch, capsys):
    monkeypatch.setenv("ANABRANCH_BOOTSTRAP", kafka)
    monkeypatch.setenv("ANABRANCH_PREFIX", topic_prefix)
    monkeypatch.setenv("ANABRANCH_SPECS", "specs")
    follow(ON_KAFKA, capsys)
    theme = (followed / "specs/example_theme.yaml").read_text()
    assert "colour: green # of the button" in theme


def test_the_short_forms_are_those_of_the_flags():
    rows = re.findall(r"^\| ([a-z ]+) \| `(.+)` \|$", TEXT, flags=re.MULTILINE)
    assert dict(rows) == dict(forms.FORMS)


def test_links_hold():
    targets = re.findall(r"\]\((?!https?:|#)([^)#]+)", TEXT)
    assert targets
    assert not [target for target in targets if not (PAGE.parent / target).exists()]
