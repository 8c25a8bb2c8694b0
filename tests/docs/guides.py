"""How a guide is followed: its files are written, its commands and snippets run, its words hold."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from anabranch.cli.app import run

FOLDER = Path(__file__).parents[2] / "docs" / "guides"
PAGES = sorted(FOLDER.glob("*.md"))


def text(name: str) -> str:
    return (FOLDER / f"{name}.md").read_text(encoding="utf-8")


def blocks(page: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page, flags=re.DOTALL | re.MULTILINE)


def write_files(page: str, folder: Path) -> list[str]:
    """The files that the page shows, by the name that begins each one's first line."""
    names = []
    for block in blocks(page, "(?:yaml|python|properties)"):
        found = re.match(r"# ([\w./-]+\.(?:yaml|py|env|properties))\b", block)
        if found is not None:
            (folder / found[1]).parent.mkdir(parents=True, exist_ok=True)
            (folder / found[1]).write_text(block, encoding="utf-8")
            names.append(found[1])
    return names


def commands(page: str) -> list[tuple[list[str], list[str]]]:
    """Each command of the page's console blocks, and the lines that it shows below it."""
    found: list[tuple[list[str], list[str]]] = []
    for block in blocks(page, "console"):
        for line in block.replace("\\\n", "").splitlines():
            if line.startswith("$ "):
                found.append((shlex.split(line[2:], comments=True), []))
            else:
                found[-1][1].append(" ".join(line.split()))
    return found


def follow(page: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Runs every command, in the folder we are in; what is shown must be in what is printed."""
    for arguments, shown in commands(page):
        step(arguments, shown, capsys)


def step(arguments: list[str], shown: list[str], capsys: pytest.CaptureFixture[str]) -> list[str]:
    """One command. It fails exactly where the page shows an error; gives what it printed."""
    program, *rest = arguments
    if program == "anabranch":
        capsys.readouterr()
        code = run(rest)
        captured = capsys.readouterr()
        printed = captured.out + captured.err
    else:
        assert program == "python", f"{program} is not a command that the tests can run"
        done = subprocess.run(
            [sys.executable, *rest], capture_output=True, text=True, check=False, timeout=60
        )
        code, printed = done.returncode, done.stdout + done.stderr
    lines = [" ".join(line.split()) for line in printed.splitlines()]
    fails = any(line.startswith("error:") for line in shown)
    assert bool(code) == fails, (arguments, printed)
    for line in shown:
        assert any(line in one for one in lines), f"{line!r} is not in {lines}"
    return lines
