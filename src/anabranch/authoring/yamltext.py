"""A merge patch put into YAML text by changing only the characters that it is about."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Final

import yaml
from pydantic.alias_generators import to_camel

from anabranch.specs.patches import ABSENT, merged

__all__ = ["NotSplicedError", "spliced"]

_ENDLESS: Final = 1 << 30


class NotSplicedError(ValueError):
    """The text is written so that the patch cannot be put into it piece by piece."""


def spliced(text: str, node: yaml.Node, patch: Mapping[str, Any]) -> str:
    """The text with the patch (RFC 7396) put into the mapping that the node is.

    Args:
        text: With line feeds alone as line ends.
        node: Of the text, with its marks.
        patch: What to set, and with None what to remove.

    Raises:
        NotSplicedError: As it says. What is written with anchors or merge keys may come out
            wrong without this error, so the result is to be read again.
    """
    if not isinstance(node, yaml.MappingNode):
        raise NotSplicedError("only mappings can be patched")
    work = _Work(text)
    work.patch(node, patch)
    return work.result()


class _Work:
    """Collects what to replace: start, end and text."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._splices: list[tuple[int, int, str]] = []

    def result(self) -> str:
        text = self._text
        before = len(text)
        for start, end, new in sorted(self._splices, reverse=True):
            if end > before:
                raise NotSplicedError("two changes meet")
            text = text[:start] + new + text[end:]
            before = start
        return text

    def patch(self, node: yaml.MappingNode, patch: Mapping[str, Any]) -> None:
        at = {key: _position(node, key) for key in patch}
        added = {
            key: merged(ABSENT, wanted)
            for key, wanted in patch.items()
            if at[key] is None and wanted is not None
        }
        removed = [i for key, i in at.items() if i is not None and patch[key] is None]
        if node.flow_style and (added or removed):
            self._rewrite(node, patch)
            return
        if len(removed) == len(node.value) and removed:
            raise NotSplicedError("nothing would be left of a mapping")
        for i in removed:
            self._remove(node, i)
        for key, wanted in patch.items():
            place = at[key]
            if place is None or wanted is None:
                continue
            value = node.value[place][1]
            if isinstance(value, yaml.MappingNode) and isinstance(wanted, Mapping):
                self.patch(value, wanted)
            else:
                self._replace(node, place, merged(ABSENT, wanted))
        if added:
            self._add(node, added)

    # -- one change ---------------------------------------------------------------------------

    def _replace(self, node: yaml.MappingNode, at: int, wanted: Any) -> None:
        key, value = node.value[at]
        end = self._end(value, key)
        nested = isinstance(wanted, dict | list) and bool(wanted)
        if node.flow_style or (_is_flow(value) and not nested):
            self._splices.append((_start(value), end, _flow(wanted, value)))
            return
        colon = self._text.index(":", _end_mark(key)) + 1
        if nested and not isinstance(value, yaml.ScalarNode) and not value.flow_style:
            # Comments behind the key stay; those inside, the last line's included, go.
            block = _block(wanted, max(_column(value), _column(key) + isinstance(wanted, dict)))
            line = self._text.rfind("\n", 0, _start(value)) + 1
            self._splices.append((line, self._line_end(end), block))
        elif nested:
            inner = _column(key) + 2
            self._splices.append((colon, end, "\n" + _block(wanted, inner)))
        else:
            self._splices.append((colon, end, " " + _flow(wanted, value)))

    def _rewrite(self, node: yaml.MappingNode, patch: Mapping[str, Any]) -> None:
        """A mapping in braces, whole."""
        start, end = _start(node), _end_mark(node)
        found = yaml.safe_load(self._text[start:end])
        self._splices.append((start, end, _flow(merged(found, patch), None)))

    def _add(self, node: yaml.MappingNode, added: Mapping[str, Any]) -> None:
        key, value = node.value[-1]
        at = self._line_end(self._end(value, key))
        block = _block(dict(added), _column(node.value[0][0]))
        self._splices.append((at, at, "\n" + block))

    def _remove(self, node: yaml.MappingNode, at: int) -> None:
        key, value = node.value[at]
        start, end = _start(key), self._end(value, key)
        line = self._text.rfind("\n", 0, start) + 1
        if not self._text[line:start].strip():
            self._splices.append((line, min(self._line_end(end) + 1, len(self._text)), ""))
        elif at + 1 < len(node.value):  # behind the dash of a list
            self._splices.append((start, _start(node.value[at + 1][0]), ""))
        else:
            raise NotSplicedError("a list's item would be left without its mapping")

    # -- places -------------------------------------------------------------------------------

    def _end(self, node: yaml.Node, key: yaml.Node) -> int:
        """Where a value's last character ends; marks of blocks lie at the next token."""
        if isinstance(node, yaml.CollectionNode) and not node.flow_style and node.value:
            last = node.value[-1]
            if isinstance(node, yaml.MappingNode):
                return self._end(last[1], last[0])
            return self._end(last, last)
        end = _end_mark(node)
        if _start(node) == end:  # nothing is written: it ends with its key's colon
            return self._text.index(":", _end_mark(key)) + 1
        return len(self._text[:end].rstrip(" \t\n"))

    def _line_end(self, at: int) -> int:
        found = self._text.find("\n", at)
        return len(self._text) if found < 0 else found


def _position(node: yaml.MappingNode, key: str) -> int | None:
    for i, (written, _) in enumerate(node.value):
        if written.value == key or to_camel(str(written.value)) == key:
            return i
    return None


def _start(node: yaml.Node) -> int:
    return int(node.start_mark.index)


def _end_mark(node: yaml.Node) -> int:
    return int(node.end_mark.index)


def _column(node: yaml.Node) -> int:
    return int(node.start_mark.column)


def _is_flow(node: yaml.Node) -> bool:
    return isinstance(node, yaml.CollectionNode) and bool(node.flow_style)


def _flow(value: Any, before: yaml.Node | None) -> str:
    """On one line, in the quotes that were there."""
    style = before.style if isinstance(before, yaml.ScalarNode) else None
    if isinstance(value, str) and style == '"':
        return json.dumps(value, ensure_ascii=False)
    if isinstance(value, str) and style == "'" and value.isprintable():
        return "'" + value.replace("'", "''") + "'"
    shown = yaml.safe_dump(
        [value], default_flow_style=True, sort_keys=False, allow_unicode=True, width=_ENDLESS
    )
    return shown.strip()[1:-1]  # as an item of a list it may stand inside braces, too


def _block(value: Any, column: int) -> str:
    """Over lines, each indented by so many columns, without the last line's end."""
    shown = yaml.safe_dump(
        value, default_flow_style=False, sort_keys=False, allow_unicode=True, width=_ENDLESS
    )
    return "\n".join(" " * column + line if line else "" for line in shown.rstrip("\n").split("\n"))
