"""YAML and JSON text into data that knows the line of each of its parts."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache, partial
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import yaml
from pydantic.alias_generators import to_camel

from anabranch.errors import SpecLoadError

__all__ = ["Marked", "read_json", "read_yaml"]


_DEEPEST: Final = 500
"""Specs themselves may be nested 64 deep."""
_LARGEST: Final = 1_000_000
_OPENERS: Final = ("[", "{", "- ", "-\t", "? ", "?\t")
"""What begins a level without a line, and deeper indentation, of its own."""


@dataclass(frozen=True, slots=True)
class Marked:
    """One document: its data, and where each of its parts stands."""

    data: Any
    find: Callable[[], yaml.Node | None]
    """Gives the node when it is asked for: finding it may cost more than reading the data."""

    def line(self, path: tuple[str | int, ...] = ()) -> int:
        """Line, from 1, of what is at the path; of the nearest part that is there otherwise."""
        node = self.find()
        if node is None:
            return 1
        line = node.start_mark.line
        for step in path:
            inner = _step(node, step)
            if inner is None:
                break
            mark, node = inner
            line = mark.start_mark.line
        return int(line) + 1

    def items(self) -> Iterator[Marked]:
        """The parts of a list; the document itself otherwise."""
        if not isinstance(self.data, list):
            yield self
            return
        for i, data in enumerate(self.data):
            yield Marked(data, partial(self._item, i))

    def _item(self, i: int) -> yaml.Node | None:
        node = self.find()
        return node.value[i] if isinstance(node, yaml.SequenceNode) else None


def _step(node: yaml.Node, step: str | int) -> tuple[yaml.Node, yaml.Node] | None:
    """The node whose line to tell, and the node to go on from."""
    if isinstance(node, yaml.SequenceNode) and isinstance(step, int) and step < len(node.value):
        return node.value[step], node.value[step]
    if isinstance(node, yaml.MappingNode) and isinstance(step, str):
        for key, value in node.value:
            written = str(key.value)
            if written == step or to_camel(written) == to_camel(step):
                return key, value
    return None


if TYPE_CHECKING:
    _Fastest = yaml.SafeLoader
else:  # libyaml's, where PyYAML was built with it: some ten times as fast
    _Fastest = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _Loader(_Fastest):
    """Like JSON where YAML would surprise: dates stay text, and a key cannot be given twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.tag != "tag:yaml.org,2002:merge":
                if key.value in seen:
                    raise yaml.constructor.ConstructorError(
                        None, None, f"{key.value!r} is given twice: keep one", key.start_mark
                    )
                seen.add(key.value)
        return super().construct_mapping(node, deep)


_Loader.yaml_implicit_resolvers = {
    first: [(tag, regexp) for tag, regexp in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def read_yaml(text: str, path: Path) -> Iterator[Marked]:
    """Every spec of every YAML document in the text.

    Raises:
        SpecLoadError: it is not YAML, or a key is given twice.
    """
    try:
        loader = _Loader(text)
    except yaml.YAMLError as error:
        raise SpecLoadError(f"{path}: is not YAML: {error}") from error
    try:
        _check_depth(text, path)
        while loader.check_node():
            node = loader.get_node()
            if node is not None:
                if "*" in text and _size(node, {}) > _LARGEST:
                    line = node.start_mark.line + 1
                    raise SpecLoadError(
                        f"{path}:{line}: its aliases make more than {_LARGEST:,} values of it, or "
                        "hold themselves: write it out"
                    )
                data = loader.construct_document(node)
                if data is not None:
                    yield from Marked(data, partial(_same, node)).items()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = 1 if mark is None else mark.line + 1
        raise SpecLoadError(f"{path}:{line}: {error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise SpecLoadError(f"{path}: is not YAML: {error}") from error
    finally:
        loader.dispose()


def _check_depth(text: str, path: Path) -> None:
    """Refuses what is nested so deeply that libyaml, which recurses in C, would end the process."""
    if sum(map(text.count, _OPENERS)) < _DEEPEST:
        return
    depth = 0
    for event in yaml.parse(text, Loader=_Loader):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
            if depth > _DEEPEST:
                mark = event.start_mark
                line = 1 if mark is None else mark.line + 1
                raise SpecLoadError(
                    f"{path}:{line}: is nested more than {_DEEPEST} deep: flatten it"
                )
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1


def _size(node: yaml.Node, known: dict[int, float]) -> float:
    """How many values the node stands for once its aliases are written out; they may be endless."""
    found = known.get(id(node))
    if found is None:
        known[id(node)] = inf  # until it is known: what holds itself has no end
        parts: list[yaml.Node] = []
        if isinstance(node, yaml.SequenceNode):
            parts = node.value
        elif isinstance(node, yaml.MappingNode):
            parts = [part for pair in node.value for part in pair]
        found = known[id(node)] = 1 + sum(_size(part, known) for part in parts)
    return found


def read_json(text: str, path: Path) -> Iterator[Marked]:
    """Every spec in the text.

    Raises:
        SpecLoadError: it is not JSON, or a key is given twice.
    """

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in pairs:
            if key in found:
                line = _line_of_twice(_compose(text))
                raise SpecLoadError(
                    f"{path}:{line}: {key!r} is given twice in one object: keep one"
                )
            found[key] = value
        return found

    def constant(name: str) -> None:
        raise SpecLoadError(f"{path}: {name} is not JSON: write a finite number")

    try:
        data = json.loads(text, object_pairs_hook=once, parse_constant=constant)
    except json.JSONDecodeError as error:
        raise SpecLoadError(f"{path}:{error.lineno}: is not JSON: {error.msg}") from error
    yield from Marked(data, cache(partial(_compose, text))).items()


def _line_of_twice(node: yaml.Node | None) -> int:
    """Line of the first key that its object has already; 1 where there is none."""
    waiting = [node]
    while waiting:
        part = waiting.pop()
        if isinstance(part, yaml.SequenceNode):
            waiting += reversed(part.value)
        elif isinstance(part, yaml.MappingNode):
            seen: set[str] = set()
            for key, value in part.value:
                if key.value in seen:
                    return int(key.start_mark.line) + 1
                seen.add(key.value)
                waiting.append(value)
    return 1


def _same(node: yaml.Node) -> yaml.Node:
    return node


def _compose(text: str) -> yaml.Node | None:
    """JSON is YAML as well, but for tabs that indent: outside text they are only space."""
    try:
        node: yaml.Node | None = yaml.compose(text.replace("\t", " "), Loader=_Loader)
    except yaml.YAMLError:
        return None
    return node
