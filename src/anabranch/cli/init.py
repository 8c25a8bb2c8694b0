"""``anabranch init``: a folder to write specs in, with an editor that knows their schema."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Annotated

import typer

from anabranch.authoring import workspace
from anabranch.cli import options
from anabranch.cli.console import errors, out
from anabranch.errors import SpecLoadError

_STARTERS = (
    "README.md",
    "example_telemetry.yaml",
    "example_theme.yaml",
    "example_experiment.yaml",
)


def init(
    directory: Annotated[
        Path, typer.Argument(metavar="[DIR]", file_okay=False, help="Where; here when not given")
    ] = Path(),
    *,
    force: Annotated[
        bool, typer.Option("--force", help="Overwrite what is there and differs")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Lay out a specs folder: README, examples, JSON Schema, settings of the editor.

    What is there already and differs is left as it is, unless you say otherwise when asked or by
    --force. The editor's
    settings get what they lack, and keep all else.
    """
    asking = not as_json and sys.stdin.isatty()
    told: dict[str, list[str]] = {"written": [], "unchanged": [], "kept": []}
    notes: list[str] = []
    for name, text in _wanted(directory, notes):
        path = directory / name
        outcome = _put(path, text, force=force, asking=asking)
        told[outcome].append(str(path))
        if not as_json:
            out.print(f"{outcome:9} {path}", highlight=False, markup=False, soft_wrap=True)
    if as_json:
        out.print_json(json.dumps({**told, "notes": notes}))
        return
    for note in notes:
        errors.print(note, highlight=False, markup=False)
    if told["kept"] and not asking:
        errors.print("kept what was there: --force overwrites it", highlight=False)
    specs = directory / "specs"
    out.print(f"\nnext: `anabranch validate {specs}`, `anabranch create experiment`", markup=False)


def _wanted(directory: Path, notes: list[str]) -> list[tuple[str, str]]:
    """The files and their texts; what cannot be added to is told in a note instead."""
    starter = files("anabranch.authoring") / "starter" / "specs"
    wanted = [(f"specs/{n}", (starter / n).read_text(encoding="utf-8")) for n in _STARTERS]
    wanted.append((workspace.SCHEMA, workspace.schema_text()))
    makers: dict[str, Callable[[str | None], str]] = {
        workspace.SETTINGS: workspace.settings,
        workspace.EXTENSIONS: workspace.extensions,
    }
    for name, make in makers.items():
        path = directory / name
        try:
            existing = path.read_text(encoding="utf-8") if path.exists() else None
            wanted.append((name, make(existing)))
        except SpecLoadError as error:
            notes.append(str(error))
    return wanted


def _put(path: Path, text: str, *, force: bool, asking: bool) -> str:
    """Write a file unless that would lose something; returns what was done."""
    if path.exists():
        if path.read_bytes() == text.encode():
            return "unchanged"
        over = force or (asking and typer.confirm(f"{path} differs: overwrite it?", default=False))
        if not over:
            return "kept"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text.encode())
    return "written"
