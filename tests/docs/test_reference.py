"""References that are written from code are as the code is now, and leave nothing unsaid."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer

import anabranch
from anabranch.cli.app import app
from anabranch.settings import Settings
from anabranch.topology import TOPICS, Names
from tools import apidocs, clidocs, settingsdocs, topicdocs

DOCS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize(
    "tool", [apidocs, clidocs, settingsdocs, topicdocs], ids=lambda tool: tool.__name__
)
def test_the_page_is_what_the_code_says(tool):
    assert tool.PAGE.read_text(encoding="utf-8") == tool.page(), "run: make reference"


def test_every_setting_is_in_a_group_and_has_a_meaning():
    grouped = [name for _, names in settingsdocs.GROUPS.values() for name in names]
    assert sorted(grouped) == sorted(Settings.model_fields)
    assert [n for n, field in Settings.model_fields.items() if not field.description] == []


COMMANDS = {" ".join(path): one for path, one in clidocs.commands(typer.main.get_command(app))}


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_and_option_says_what_it_is_for(name):
    command = COMMANDS[name]
    assert (command.help or "").strip(), name
    silent = [
        param.opts
        for param in command.params
        if not re.sub(r"(?i)\brepeatable\b", "", param.help or "").strip()
    ]
    assert silent == []


def test_every_variable_of_the_command_line_is_documented():
    """Those that help texts name in brackets are settings or stand on the page themselves."""
    page = clidocs.PAGE.read_text(encoding="utf-8")
    known = {f"ANABRANCH_{name.upper()}" for name in Settings.model_fields}
    named = set(re.findall(r"ANABRANCH_[A-Z_]+", page))
    assert named - known == {"ANABRANCH_LOG_FORMAT", "ANABRANCH_LOG_LEVEL"}


def test_every_topic_says_who_writes_and_reads_it():
    page = topicdocs.PAGE.read_text(encoding="utf-8")
    rows = [line for line in page.splitlines() if re.match(r"\| \*?`anabranch\.", line)]
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]] for row in rows]
    assert [row[0].strip("*`") for row in cells] == [Names().topic(topic.name) for topic in TOPICS]
    assert all(all(row) for row in cells), "a cell is empty"


def test_everything_public_is_on_the_page():
    page = apidocs.PAGE.read_text(encoding="utf-8")
    assert [name for name in anabranch.__all__ if not re.search(rf"\b{name}\b", page)] == []
