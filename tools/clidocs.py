"""Writes docs/reference-cli.md from the commands themselves: ``python -m tools.clidocs``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import typer

from anabranch.cli.app import app
from anabranch.cli.exits import EXIT_CODES

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference-cli.md"

_INTRO = """\
# Commands

Every command with its arguments and options, written by `python -m tools.clidocs` from the commands
themselves; `anabranch COMMAND --help` says the same. Options that have a setting's name take their
value from its [variable](reference-settings.md) where they are not given.

Global options go before the command: `anabranch --log-format json worker`.
"""

_WORDS = {float: "number", int: "whole number", Path: "path", str: "text"}


def page() -> str:
    """The whole page."""
    root = typer.main.get_command(app)
    parts = [_INTRO, _table("option", _options(root)), _exits()]
    for path, command in commands(root):
        usage = " ".join(filter(None, ["anabranch", *path, *_usage(command)]))
        parts += [
            f"## anabranch {' '.join(path)}\n",
            f"```text\n{usage}\n```\n",
            f"{_help(command)}\n",
            _table("argument", _arguments(command)),
            _table("option", _options(command)),
        ]
    return "\n".join(filter(None, parts))


def commands(root: Any) -> Iterator[tuple[list[str], Any]]:
    """Every command that does something, by its path, in the order of ``--help``."""
    for name in root.list_commands(None):
        command = root.get_command(None, name)
        if hasattr(command, "list_commands"):
            for path, one in commands(command):
                yield [name, *path], one
        else:
            yield [name], command


def _exits() -> str:
    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(["## Exit codes\n", "| code | means |", "| --- | --- |", *rows, ""])


def _usage(command: Any) -> Iterator[str]:
    for param in _params(command, "argument"):
        name = f"{param.name.upper()}{'…' if param.nargs != 1 else ''}"
        yield name if param.required else f"[{name}]"
    if any(_params(command, "option")):
        yield "[OPTIONS]"


def _help(command: Any) -> str:
    text = inspect.cleandoc(command.help or "")
    return re.sub(r"(?<!\n)\n(?!\n)", " ", text)


def _params(command: Any, kind: str) -> Iterator[Any]:
    for param in command.params:
        if param.param_type_name == kind and not getattr(param, "hidden", False):
            yield param


def _arguments(command: Any) -> Iterator[tuple[str, str, str]]:
    for param in _params(command, "argument"):
        yield f"`{param.name.upper()}`", _value(param), _meaning(param)


def _options(command: Any) -> Iterator[tuple[str, str, str]]:
    for param in _params(command, "option"):
        if param.name == "help":
            continue
        names = ", ".join(f"`{name}`" for name in [*param.opts, *param.secondary_opts])
        yield names, _value(param), _meaning(param)


def _value(param: Any) -> str:
    """What it takes: its own word for it, else its kind, with its bounds."""
    kind = param.type_descriptor.annotation
    many = get_origin(kind) in {list, tuple}
    if many:
        kind = get_args(kind)[0]
    if kind is bool:
        return ""
    if param.metavar:
        shown = f"`{param.metavar}`"
    elif get_origin(kind) is Literal or (isinstance(kind, type) and issubclass(kind, Enum)):
        values = get_args(kind) or [one.value for one in kind]
        shown = ", ".join(f"`{one}`" for one in values)
    else:
        shown = _WORDS[kind]
    bounds = [
        f"{word} {bound:g}"
        for word, bound in (("from", param.min), ("to", param.max))
        if bound is not None
    ]
    return ", ".join([shown, *bounds, *(["repeatable"] if many else [])])


def _meaning(param: Any) -> str:
    text = re.sub(r"(, |; )?\b[Rr]epeatable$", "", (param.help or "").strip())
    told = [text] if text else []
    if getattr(param, "envvar", None):
        told.append(f"(`{param.envvar}`)")
    default = param.default
    plain = isinstance(default, str | int | float) and not isinstance(default, bool)
    if plain and default != "":
        told.append(f"Default: `{default}`.")
    if param.required:
        told.append("**Required.**")
    return " ".join(told)


def _table(what: str, rows: Iterator[tuple[str, str, str]]) -> str:
    lines = [
        f"| {name} | {value} | {meaning} |".replace("  ", " ")
        for name, value, meaning in ((cell.replace("|", "\\|") for cell in row) for row in rows)
    ]
    if not lines:
        return ""
    return "\n".join([f"| {what} | value | meaning |", "| --- | --- | --- |", *lines, ""])


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
