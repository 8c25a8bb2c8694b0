"""Writes docs/reference-python.md from the package itself: ``python -m tools.apidocs``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, Final

from pydantic import BaseModel

import anabranch
from anabranch import errors

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference-python.md"

_INTRO: Final = """\
# Python

What `import anabranch` gives, written by `python -m tools.apidocs` from the package. Everything
else may change with any release, but for [analysis](analysis.md) and the [OpenFeature
provider](evaluation-api.md), which have pages of their own. Importing it brings no Kafka, no web
server and no SciPy.

"""

_STAR: Final = inspect.Parameter.VAR_POSITIONAL
_STARS: Final = inspect.Parameter.VAR_KEYWORD

_SECTIONS: Final = (
    ("Who gets what", "anabranch.assignment"),
    ("Loading and finding specs", "anabranch.specs"),
)


def page() -> str:
    """The whole page."""
    parts: list[str] = [_INTRO]
    for heading, package in _SECTIONS:
        parts.append(f"## {heading}\n\n")
        parts += [_entry(name, thing) for name, thing in _things(package)]
    parts += ["## Specs as Python objects\n\n", _models(), "## Errors\n\n", _errors()]
    return "\n".join(line.rstrip() for line in "".join(parts).splitlines()) + "\n"


def _things(package: str) -> Iterator[tuple[str, Any]]:
    for name in sorted(anabranch.__all__):
        thing = getattr(anabranch, name)
        if thing.__module__.startswith(package) and not _is_model(thing):
            yield name, thing


def _is_model(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, BaseModel | Enum)


def _entry(name: str, thing: Any) -> str:
    lines = [f"### {name}\n\n", f"```text\n{_called(name, thing)}\n```\n\n", _summary(thing)]
    if isinstance(thing, type):
        rows = [
            f"| `{_called(attribute, member, bound=True)}` | {_first(member)} |\n"
            for attribute, member in _members(thing)
        ]
        if rows:
            lines += ["\n| member | |\n| --- | --- |\n", *rows]
    return "".join([*lines, "\n"])


def _members(thing: type) -> Iterator[tuple[str, Any]]:
    ours = [base for base in thing.__mro__ if base.__module__.startswith("anabranch.")]
    found = {name: member for base in reversed(ours) for name, member in vars(base).items()}
    for name, member in found.items():
        if name.startswith("_"):
            continue
        plain = member.__func__ if isinstance(member, classmethod | staticmethod) else member
        if (inspect.isfunction(plain) or isinstance(plain, property)) and inspect.getdoc(plain):
            yield name, plain


def _called(name: str, thing: Any, *, bound: bool = False) -> str:
    if isinstance(thing, property):
        return name
    parameters = list(inspect.signature(thing).parameters.values())[1 if bound else 0 :]
    if [one.kind for one in parameters] == [_STAR, _STARS]:
        return name  # a protocol, or made by others only
    shown: list[str] = []
    for one in parameters:
        if one.name.startswith("_"):
            continue
        star = "*" if one.kind is one.VAR_POSITIONAL else ""
        star = "**" if one.kind is one.VAR_KEYWORD else star
        if one.kind is one.KEYWORD_ONLY and not any(part.startswith("*") for part in shown):
            shown.append("*")
        default = "" if one.default is one.empty else f"={_default(one.default)}"
        shown.append(f"{star}{one.name}{default}")
    prefix = "await " if inspect.iscoroutinefunction(thing) else ""
    return f"{prefix}{name}({', '.join(shown)})"


def _default(value: Any) -> str:
    simple = value is None or isinstance(value, bool | int | float | str) or value == ()
    return repr(value) if simple and not isinstance(value, Enum) else "…"


def _summary(thing: Any) -> str:
    """The docstring with its sections, as Markdown."""
    text = _markdown(inspect.cleandoc(thing.__doc__ or ""))
    shown = []
    for paragraph in text.split("\n\n"):
        title, _, rest = paragraph.partition("\n")
        if title in {"Args:", "Raises:", "Returns:", "Attributes:"}:
            items = re.findall(r"^ {4}(\S.*(?:\n {5,}.*)*)", rest, flags=re.MULTILINE)
            shown.append(f"{title}\n\n" + "".join(f"- {' '.join(i.split())}\n" for i in items))
        else:
            shown.append(" ".join(paragraph.split()) + "\n")
    return "\n".join(shown)


def _first(thing: Any) -> str:
    return _markdown(" ".join(inspect.cleandoc(thing.__doc__ or "").split("\n\n")[0].split()))


def _markdown(text: str) -> str:
    text = re.sub(r":\w+:`~?\.?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    return text.replace("``", "`").replace("|", "\\|")


def _models() -> str:
    named = [name for name in sorted(anabranch.__all__) if _is_model(getattr(anabranch, name))]
    rows = [f"| `{name}` | {_first(getattr(anabranch, name))} |\n" for name in named]
    return "".join(
        [
            "Their fields are those of [spec files](specs.md), in snake_case too.\n\n",
            "| class | |\n| --- | --- |\n",
            *rows,
            "\n",
        ]
    )


def _errors() -> str:
    tree = inspect.cleandoc(errors.__doc__ or "").split("::\n\n")[1]
    drawn = "\n".join(line.removeprefix("    ") for line in tree.splitlines())
    return f"```text\n{drawn}\n```\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
