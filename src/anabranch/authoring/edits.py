"""A merge patch put into the text of a spec file, everything else in it left as it stands.

YAML keeps its comments, order and quotes; JSON its order and indentation; of Python only the
expression of the one spec is written anew. What comes out is read again before it is handed back:
it holds the spec as wanted, and every other spec of the file as it was.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from anabranch.authoring.pythontext import rewritten
from anabranch.authoring.yamltext import NotSplicedError, spliced
from anabranch.errors import OverrideError, SpecError
from anabranch.specs import Spec
from anabranch.specs.loading import specs_of_text
from anabranch.specs.marked import read_json, read_yaml
from anabranch.specs.patches import merged
from anabranch.specs.writing import to_yaml

__all__ = ["edited"]


def edited(text: str, path: Path, patch: Mapping[str, Any], wanted: Spec) -> str:
    """The file's text with a spec changed.

    Args:
        text: What the file holds; line ends of either kind are kept.
        path: Whose suffix says what it is.
        patch: RFC 7396, of the spec's document.
        wanted: The spec as it is to be; its kind, key and version say which it is.

    Raises:
        OverrideError: The text cannot be changed so; the message has the patch, to do it by hand.
    """
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    crlf = "\r\n" in text
    plain = text.removeprefix(mark).replace("\r\n", "\n")
    specs = specs_of_text(plain, path)
    at = next((i for i, spec in enumerate(specs) if _name(spec) == _name(wanted)), None)
    if at is None:
        raise OverrideError(f"{path} holds no {wanted.kind} {wanted.meta.label}")
    expected = [wanted if i == at else spec for i, spec in enumerate(specs)]
    for made in _attempts(plain, path, patch, wanted, at, alone=len(specs) == 1):
        if made is not None and _reads(made, path, expected):
            return mark + (made.replace("\n", "\r\n") if crlf else made)
    raise OverrideError(
        f"{path}: {wanted.kind} {wanted.meta.label} cannot be changed there without changing more "
        f"than it. Do it by hand; the merge patch is {json.dumps(patch, ensure_ascii=False)}"
    )


def _attempts(
    text: str, path: Path, patch: Mapping[str, Any], wanted: Spec, at: int, *, alone: bool
) -> list[str | None]:
    if path.suffix == ".py":
        return list(rewritten(text, wanted))
    if path.suffix == ".json":
        return [_json(text, path, patch, at)]
    attempts: list[str | None] = []
    document = list(read_yaml(text, path))[at]
    node = document.find()
    if node is not None:
        with suppress(NotSplicedError):
            attempts.append(spliced(text, node, patch))
    if alone:  # its comments are lost, but for those at the head
        head = re.match(r"(?:[ \t]*(?:#[^\n]*)?\n)*", text)
        attempts.append((head[0] if head else "") + to_yaml(wanted))
    return attempts


def _json(text: str, path: Path, patch: Mapping[str, Any], at: int) -> str:
    documents = [one.data for one in read_json(text, path)]
    whole = json.loads(text)
    changed = merged(documents[at], patch)
    result = (
        [changed if i == at else one for i, one in enumerate(documents)]
        if isinstance(whole, list)
        else changed
    )
    found = re.search(r"\n([ \t]+)", text)
    indent: int | str | None = None
    if found is not None:
        indent = found[1] if "\t" in found[1] else len(found[1])
    ascii_only = text.isascii() and "\\u" in text
    return json.dumps(result, indent=indent, ensure_ascii=ascii_only) + text[len(text.rstrip()) :]


def _reads(text: str, path: Path, expected: list[Spec]) -> bool:
    try:
        found = specs_of_text(text, path)
    except SpecError:
        return False
    return [spec.digest for spec in found] == [spec.digest for spec in expected]


def _name(spec: Spec) -> tuple[str, str, str]:
    return spec.kind, spec.key, spec.version
