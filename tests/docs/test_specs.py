"""docs/specs.md: its examples are valid, its code runs, its reference is what the models say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from anabranch import load_specs
from anabranch.assignment import compile_spec
from anabranch.cli.app import run
from anabranch.specs.documents import KINDS
from tools import specdocs

TEXT = specdocs.PAGE.read_text(encoding="utf-8")
PRACTICES = (
    "Keep experiments short-lived; increment `meta.version` when changing allocation or variants.",
    "Always declare a control variant and ensure overrides are reversible.",
    "Tie success metrics to privacy-reviewed telemetry events.",
    (
        "Use targeting rules sparingly; combine with PolicySpec to avoid exposing experiments to "
        "unauthorized users."
    ),
    "When an experiment wins, promote the variant to the canonical spec and retire the experiment.",
)


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", TEXT, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the page shows, by the name in each one's first line."""
    for block in blocks("yaml"):
        (name,) = re.findall(r"\A# (\S+\.yaml)$", block, flags=re.MULTILINE)
        (tmp_path / name).write_text(block, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def said(source: str) -> Iterator[str]:
    """What the comments behind and below a ``print`` say it prints."""
    printed = False
    for line in source.splitlines():
        found = re.search(r"\)  # (.+)$", line) or (
            re.fullmatch(r"\s+# (.+)", line) if printed else None
        )
        printed = "print(" in line or (found is not None and printed)
        if found is not None:
            yield found[1]


@pytest.mark.parametrize("number", range(len(blocks("python"))))
def test_python_prints_what_its_comments_say(number: int, folder: Path, capsys) -> None:
    source = blocks("python")[number]
    exec(compile(source, f"specs.md, block {number}", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out.splitlines() == list(said(source)) != []


def test_every_example_is_valid(folder: Path) -> None:
    catalog = load_specs(folder, check=compile_spec).check()
    assert len(catalog) == len(blocks("yaml")) + 1  # one file holds two


def test_the_console_shows_what_the_command_says(folder: Path, capsys) -> None:
    (block,) = blocks("console")
    command, expected = block.splitlines()
    assert run(command.removeprefix("$ anabranch ").split()) == 0
    assert capsys.readouterr().out.splitlines()[-1].strip() == expected


def test_lint_says_of_the_examples_what_the_page_says(folder: Path, capsys) -> None:
    assert run(["lint", str(folder), "--format", "json"]) == 0
    assert "AB108" not in capsys.readouterr().out


@pytest.mark.parametrize(("number", "practice"), list(enumerate(PRACTICES, start=1)))
def test_every_best_practice_is_there_word_for_word(number: int, practice: str) -> None:
    section = TEXT.split(f"\n### {number}. ")[1].split("\n### ")[0]
    quoted = " ".join(line[2:] for line in section.splitlines() if line.startswith("> "))
    assert quoted == practice


def test_the_reference_is_what_the_models_say() -> None:
    assert specdocs.page(TEXT) == TEXT, "run python -m tools.specdocs"
    assert all(f"\n### {kind}\n" in TEXT for kind in KINDS)


def test_links_inside_the_pages_hold() -> None:
    headings = {
        name: {
            re.sub(r"[^\w -]", "", title).strip().lower().replace(" ", "-")
            for title in re.findall(
                r"^#+ (.+)$", (specdocs.PAGE.parent / name).read_text(), re.MULTILINE
            )
        }
        for name in ("specs.md", "lints.md")
    }
    for page, anchor in re.findall(r"\]\(([\w.]*)#([\w-]+)\)", TEXT):
        assert anchor in headings[page or "specs.md"]
