"""Questions that every kind of spec has, and checks of single answers."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from pydantic import TypeAdapter, ValidationError

from anabranch.assignment import compile_expression
from anabranch.cli.wizard.asker import Asker, Check
from anabranch.errors import ExpressionError, SpecValidationError
from anabranch.specs import Stability
from anabranch.specs.version import normalize_version

__all__ = [
    "ask_identity",
    "comma_list",
    "expression_check",
    "filled",
    "is_key",
    "json_object",
    "kind_of",
    "moment",
    "new_key",
    "number",
    "version",
]


def ask_identity(
    asker: Asker, meta: dict[str, Any], kind: str, taken: Collection[tuple[str, str]]
) -> dict[str, Any]:
    """Who and what the spec is; what is given stays."""
    made = dict(meta)
    if "key" not in made:
        example = f"checkout.{'button_colour' if kind == 'Experiment' else kind.lower()}"
        made["key"] = asker.text(f"Key (like {example})", check=is_key)
    if "version" not in made:
        made["version"] = asker.text(
            "Version", default="1.0.0", check=_untaken(str(made["key"]), taken)
        )
    for name, question in (
        ("title", "Title, as people call it"),
        ("description", "Description: what is it for?"),
        ("domain", "Domain, the part of the business (may stay empty)"),
    ):
        if name not in made:
            answer = asker.text(question, check=filled if name == "title" else None)
            if answer:
                made[name] = answer
    if not made.get("owners"):
        answer = asker.text("Owners, separated by commas (like @team.checkout)", check=filled)
        made["owners"] = comma_list(answer)
    if "tags" not in made:
        tags = comma_list(asker.text("Tags, separated by commas (may stay empty)"))
        if tags:
            made["tags"] = tags
    if "stability" not in made:
        made["stability"] = asker.choose(
            "Stability", [one.value for one in Stability], Stability.EXPERIMENTAL.value
        )
    return made


def comma_list(answer: str) -> list[str]:
    """The parts between commas that are not empty."""
    return [one.strip() for one in answer.split(",") if one.strip()]


# -- checks: what is wrong with an answer, as it is typed ---------------------------------------


def filled(answer: str) -> str | None:
    """Something."""
    return None if answer.strip(" ,") else "must not be empty"


def is_key(answer: str) -> str | None:
    """A key or an id."""
    if not answer:
        return "must not be empty"
    return "neither spaces nor '|'" if any(c.isspace() or c == "|" for c in answer) else None


def new_key(known: Collection[str]) -> Check:
    """A key or id that is not among those known."""

    def check(answer: str) -> str | None:
        return is_key(answer) or (f"{answer} is there already" if answer in known else None)

    return check


def version(answer: str) -> str | None:
    """A semantic version, or the beginning of one."""
    try:
        normalize_version(answer)
    except SpecValidationError as error:
        return str(error)
    return None


def _untaken(key: str, taken: Collection[tuple[str, str]]) -> Check:
    def check(answer: str) -> str | None:
        wrong = version(answer)
        if wrong is None and (key, normalize_version(answer)) in taken:
            return f"{key} {answer} is there already: give a higher version"
        return wrong

    return check


def number(*, least: float | None = None, most: float | None = None, empty: bool = False) -> Check:
    """A number within bounds; empty where that is allowed."""

    def check(answer: str) -> str | None:
        if not answer and empty:
            return None
        try:
            value = float(answer)
        except ValueError:
            return "must be a number"
        if (least is not None and not value >= least) or (most is not None and not value <= most):
            return (
                f"must lie between {least} and {most}" if most is not None else f"from {least} on"
            )
        return None

    return check


def expression_check(*, empty: bool, roots: Sequence[str] = ("context",)) -> Check:
    """An expression that compiles; the message has line and column."""

    def check(answer: str) -> str | None:
        if not answer:
            return None if empty else "must not be empty"
        try:
            compile_expression(answer, roots)
        except ExpressionError as error:
            return str(error).partition("\n")[0]  # there is room for one line
        return None

    return check


def kind_of(kind: Any, *, empty: bool = False) -> Check:
    """What a field of specs of that kind takes, like ``Seconds``."""
    adapter = TypeAdapter(kind)

    def check(answer: str) -> str | None:
        if not answer:
            return None if empty else "must not be empty"
        try:
            adapter.validate_python(answer)
        except ValidationError as error:
            told: str = error.errors()[0]["msg"]
            return told.removeprefix("Value error, ")
        return None

    return check


def moment(answer: str) -> str | None:
    """A date and time with its offset (RFC 3339), or nothing."""
    if not answer:
        return None
    try:
        found = datetime.fromisoformat(answer)
    except ValueError:
        return "must be like 2030-01-31T12:00:00Z"
    return None if found.tzinfo else "must say its offset: Z at the end is UTC"


def json_object(*, empty: bool) -> Check:
    """A JSON object."""

    def check(answer: str) -> str | None:
        if not answer and empty:
            return None
        try:
            found = json.loads(answer)
        except json.JSONDecodeError as error:
            return f"not JSON: column {error.colno}: {error.msg}"
        return None if isinstance(found, dict) else "must be an object, in braces"

    return check
