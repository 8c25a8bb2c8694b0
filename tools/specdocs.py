"""Writes the reference in docs/specs.md from the models: ``python -m tools.specdocs``."""

from __future__ import annotations

import re
import types
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel
from pydantic.alias_generators import to_camel
from pydantic.fields import FieldInfo

from anabranch.specs import fields, health, traffic
from anabranch.specs.base import SpecModel, canonical
from anabranch.specs.describe import field_texts, model_text
from anabranch.specs.documents import KINDS
from anabranch.specs.schema import models_of

PAGE = Path(__file__).resolve().parents[1] / "docs" / "specs.md"
BEGIN = "<!-- reference: written by `python -m tools.specdocs` from the models -->"
END = "<!-- end of the reference -->"

_WORDS: list[tuple[Any, str]] = [
    (fields.Share, "number from 0 to 1"),
    (fields.Weight, "number, not negative"),
    (health.Tolerance, "number, not negative"),
    (fields.Amount, "number"),
    (fields.Seconds, "seconds, or like `7d`"),
    (fields.Version, "version"),
    (fields.Key, "key"),
    (fields.Name, "name"),
    (fields.Expression, "expression"),
    (fields.Json, "anything"),
    (fields.JsonObject, "object"),
    (traffic.Moment, "time (RFC 3339)"),
    (traffic.Coverage, "number from 0 to 1, or list of [RampStep](#rampstep)"),
    (traffic.Holdouts, "[Holdout](#holdout) or list of them"),
]


def page(text: str) -> str:
    """The page with its reference as the models have it now."""
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{reference()}\n{END}{after}"


def reference() -> str:
    """A section for each kind, then one for each part, in order of first use."""
    kinds = list(KINDS.values())
    parts = dict.fromkeys(part for kind in kinds for part in models_of(kind) if part not in kinds)
    sections = [_section(kind, f"### {kind.kind}") for kind in kinds]
    sections += ["### Parts\n", *(_section(part, f"#### {part.__name__}") for part in parts)]
    return "\n".join(sections)


def _section(model: type[BaseModel], heading: str) -> str:
    texts = field_texts(model)
    lines = [heading, "", model_text(model), "", "| field | is | meaning |", "| --- | --- | --- |"]
    for name, info in model.model_fields.items():
        meaning = texts.get(name, "").replace("|", "\\|").replace("\n\n", " ")
        default = _default(name, info)
        lines.append(f"| `{_spelling(name, info)}` | {_kind(info)} | {meaning}{default} |")
    if model.model_config.get("extra") == "allow":
        lines.append("| any other | anything | Kept as it is. |")
    return "\n".join(lines) + "\n"


def _spelling(name: str, info: FieldInfo) -> str:
    if info.serialization_alias is not None and name.endswith("_"):
        return info.serialization_alias
    alias = info.validation_alias
    if isinstance(alias, AliasChoices) and name.endswith("_"):
        return str(alias.choices[0])
    return to_camel(name)


def _default(name: str, info: FieldInfo) -> str:
    if info.is_required():
        return " **Required.**"
    default = info.get_default(call_default_factory=True)
    if default is None or default in ((), {}, "") or isinstance(default, SpecModel):
        return ""
    if name == "type":
        return ""
    shown = canonical(default)
    told = ", ".join(f"`{one}`" for one in shown) if isinstance(shown, list) else f"`{shown}`"
    return f" Default: {told}.".replace("`True`", "`true`").replace("`False`", "`false`")


def _kind(info: FieldInfo) -> str:
    annotation = info.annotation
    if info.metadata:
        annotation = Annotated[(annotation, *info.metadata)]  # type: ignore[assignment]
    return " or ".join(dict.fromkeys(_names(annotation)))


def _names(annotation: Any) -> Iterator[str]:
    for known, words in _WORDS:
        if annotation == known:
            yield words
            return
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        yield from _names(arguments[0])
    elif origin is Literal:
        yield ", ".join(f"`{one}`" for one in arguments)
    elif origin in {Union, types.UnionType}:
        for one in arguments:
            if one is not type(None):
                yield from _names(one)
    elif origin is tuple:
        yield "list of " + " or ".join(_names(arguments[0]))
    elif origin is dict:
        yield "object of " + " or ".join(_names(arguments[1]))
    elif isinstance(annotation, type) and issubclass(annotation, Enum):
        yield ", ".join(f"`{one.value}`" for one in annotation)
    elif isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    else:
        names = {str: "text", bool: "true or false", int: "whole number", float: "number"}
        yield names.get(annotation, re.sub(r"\W+", " ", str(annotation)))


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(PAGE)
