"""Specs as the text of files: YAML, JSON, or typed Python. Reading it gives the same spec."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, Final

import yaml

from anabranch.errors import SpecLoadError
from anabranch.specs.base import SpecModel, canonical
from anabranch.specs.spec import Spec

__all__ = [
    "FORMATS",
    "python_expression",
    "python_import",
    "to_json",
    "to_python",
    "to_yaml",
    "write",
]

_WIDTH: Final = 100


def to_yaml(*specs: Spec) -> str:
    """A YAML document for each spec."""
    return "---\n".join(
        yaml.safe_dump(spec.document, sort_keys=False, allow_unicode=True, width=_WIDTH)
        for spec in specs
    )


def to_json(*specs: Spec) -> str:
    """A JSON object, or a list of them where there are several specs."""
    documents = [spec.document for spec in specs]
    given = documents[0] if len(documents) == 1 else documents
    return json.dumps(given, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def to_python(*specs: Spec) -> str:
    """A module that binds each spec to a name made of its key."""
    writer = _Python()
    assigned: list[str] = []
    names: set[str] = set()
    for spec in specs:
        name = plain = re.sub(r"\W+", "_", spec.key.rpartition(".")[2], flags=re.ASCII) or "spec"
        if plain[0].isdigit() or keyword.iskeyword(plain) or plain in _public():
            name = plain = f"spec_{plain}"
        number = 1
        while name in names:
            number += 1
            name = f"{plain}_{number}"
        names.add(name)
        assigned.append(f"{name} = {writer.text(spec, len(name) + 3)}\n")
    heads = []
    if writer.needs_time:
        heads.append("from datetime import UTC, datetime\n\n")
    heads += [python_import(module, found) for module, found in sorted(writer.imports.items())]
    return "".join(heads) + "\n" + "\n".join(assigned)


def python_expression(spec: Spec, column: int) -> tuple[str, dict[str, set[str]]]:
    """The expression that makes the spec, and the names that it needs by module.

    Args:
        spec: It.
        column: Where the expression begins in its first line.
    """
    writer = _Python()
    text = writer.text(spec, column)
    if writer.needs_time:
        writer.imports.setdefault("datetime", set()).update(("UTC", "datetime"))
    return text, writer.imports


def python_import(module: str, names: Iterable[str]) -> str:
    """The statement that imports the names, over several lines where it is long."""
    found = sorted(names)
    if len(", ".join(found)) + len(module) < _WIDTH - 15:
        return f"from {module} import {', '.join(found)}\n"
    return f"from {module} import (\n" + "".join(f"    {one},\n" for one in found) + ")\n"


FORMATS: Final[Mapping[str, Callable[..., str]]] = {
    ".yaml": to_yaml,
    ".json": to_json,
    ".py": to_python,
}


def write(spec: Spec, suffix: str) -> str:
    """The text of a file with that suffix.

    Raises:
        SpecLoadError: no spec file ends so.
    """
    if suffix not in FORMATS:
        raise SpecLoadError(f"no spec file ends in {suffix!r}: they end in {', '.join(FORMATS)}")
    return FORMATS[suffix](spec)


class _Python:
    """Writes values as expressions, and collects what they import."""

    def __init__(self) -> None:
        self.imports: dict[str, set[str]] = {}
        self.needs_time = False

    def text(self, value: Any, column: int, indent: int = 0) -> str:
        """The expression, broken over lines where it does not fit behind the column."""
        flat = self._flat(value)
        if column + len(flat) <= _WIDTH and "\n" not in flat:
            return flat
        inner = indent + 4
        parts = self._parts(value)
        if parts is None:
            return flat
        opening, items, closing = parts
        if not items:
            return opening + closing
        lines = [
            " " * inner + head + self.text(item, inner + len(head) + 1, inner) + ","
            for head, item in items
        ]
        return "\n".join([opening, *lines, " " * indent + closing])

    def _flat(self, value: Any) -> str:
        parts = self._parts(value)
        if parts is None:
            return self._leaf(value)
        opening, items, closing = parts
        inside = ", ".join(head + self._flat(item) for head, item in items)
        comma = "," if opening == "(" and len(items) == 1 else ""
        return f"{opening}{inside}{comma}{closing}"

    def _parts(self, value: Any) -> tuple[str, list[tuple[str, Any]], str] | None:
        if isinstance(value, SpecModel):
            given = {name: getattr(value, name) for name in _told(value)}
            given |= value.model_extra or {}
            items = [(f"{name}=", inner) for name, inner in given.items() if _is_name(name)]
            others = {name: inner for name, inner in given.items() if not _is_name(name)}
            if others:
                items.append(("**", others))
            return f"{self._imported(type(value))}(", items, ")"
        if isinstance(value, Mapping):
            return "{", [(f"{_quoted(key)}: ", inner) for key, inner in value.items()], "}"
        if isinstance(value, tuple):
            return "(", [("", inner) for inner in value], ")"
        if isinstance(value, list):
            return "[", [("", inner) for inner in value], "]"
        return None

    def _leaf(self, value: Any) -> str:
        if isinstance(value, Enum):
            return f"{self._imported(type(value))}.{value.name}"
        if isinstance(value, datetime):
            self.needs_time = True
            parts = [value.year, value.month, value.day, value.hour, value.minute, value.second]
            if value.microsecond:
                parts.append(value.microsecond)
            return f"datetime({', '.join(map(str, parts))}, tzinfo=UTC)"
        return _quoted(value) if isinstance(value, str) else repr(value)

    def _imported(self, kind: type[Any]) -> str:
        module = "anabranch.specs" if kind.__name__ in _public() else kind.__module__
        self.imports.setdefault(module, set()).add(kind.__name__)
        return kind.__name__


def _public() -> set[str]:
    """Names that a written module may import."""
    from anabranch import specs  # noqa: PLC0415 - the package imports this module

    return {*specs.__all__, "UTC", "datetime"}


def _told(value: SpecModel) -> Iterable[str]:
    """Fields that a document would hold, in order; a tag is its class's own."""
    spelled = canonical(value)
    for name, info in type(value).model_fields.items():
        alias = info.serialization_alias
        from_document = alias if alias is not None else name
        if name == "type" and not info.is_required() and value.__dict__[name] == info.default:
            continue
        if from_document in spelled or _camel(name) in spelled:
            yield name


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part.capitalize() for part in rest)


def _is_name(name: str) -> bool:
    """Python reads other spellings of letters as one, so only ASCII is safe as a keyword."""
    return (
        name.isascii()
        and name.isidentifier()
        and not keyword.iskeyword(name)
        and name not in {"self", "cls"}
    )


def _quoted(text: str) -> str:
    """In double quotes where that needs no more escapes than single ones."""
    shown = repr(text)
    if shown.startswith("'") and '"' not in shown and "\\'" not in shown:
        return f'"{shown[1:-1]}"'
    return shown
