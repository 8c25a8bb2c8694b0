"""What an expression looks at: the paths it reads, with the values they had."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

from anabranch.assignment.expressions.compiler import Expression, compile_tree
from anabranch.assignment.expressions.grammar import parse
from anabranch.assignment.expressions.nodes import Chain, Index, Link, Literal, Name, Node, Property
from anabranch.assignment.expressions.semantics import UNDEFINED
from anabranch.errors import ExpressionError

__all__ = ["Read", "constant", "paths", "reads"]


@dataclass(frozen=True, slots=True)
class Read:
    """One path and its value.

    Attributes:
        path: As the expression has it, ``context.attributes?.segment``.
        value: None where it is undefined or cannot be read.
        defined: False for undefined.
        error: Why the path cannot be read, where it raises.
    """

    path: str
    value: Any = None
    defined: bool = True
    error: str | None = None

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.path} raises {self.error}"
        if not self.defined:
            return f"{self.path} is undefined"
        return f"{self.path} = {json.dumps(self.value, ensure_ascii=False, default=repr)}"


def reads(expression: Expression, *values: Any) -> tuple[Read, ...]:
    """Every path that the expression's text holds, each once, in order of its text.

    A path ends before the first method it calls and before an index that is itself computed.
    Paths are told whether or not evaluating the expression comes to them.
    """
    found: dict[str, Read] = {}
    for chain in _chains(parse(expression.source), expression.roots):
        path = _text(chain)
        if path in found:
            continue
        part = compile_tree(chain, expression.source, expression.roots)
        try:
            value = part.evaluate(*values)
        except ExpressionError as error:
            found[path] = Read(path, defined=False, error=error.message)
            continue
        undefined = value is UNDEFINED
        found[path] = Read(path, None if undefined else value, not undefined)
    return tuple(found.values())


def paths(expression: Expression) -> tuple[tuple[str, ...], ...]:
    """The same paths by their names, the root left out: ``("attributes", "segment")``."""
    return tuple(
        dict.fromkeys(
            tuple(_step(link) for link in chain.links)
            for chain in _chains(parse(expression.source), expression.roots)
        )
    )


def constant(expression: Expression) -> bool | None:
    """The truth of an expression that looks at nothing; None of any other, or if it raises."""
    if _looks(parse(expression.source), expression.roots):
        return None
    try:
        return expression.test(*[None] * len(expression.roots))
    except ExpressionError:
        return None


def _looks(part: Any, roots: tuple[str, ...]) -> bool:
    if isinstance(part, Name):
        return part.name in roots
    if isinstance(part, Node | Link):
        return any(_looks(getattr(part, field.name), roots) for field in fields(part))
    return isinstance(part, tuple) and any(_looks(inner, roots) for inner in part)


def _step(link: Link) -> str:
    if isinstance(link, Property):
        return link.name
    value = link.index.value if isinstance(link, Index) and isinstance(link.index, Literal) else ""
    return value if isinstance(value, str) else _literal(value)


def _chains(part: Any, roots: tuple[str, ...]) -> Iterator[Chain]:
    """Chains of plain steps from a root."""
    if isinstance(part, Chain):
        plain: list[Link] = []
        for link in part.links:
            if not isinstance(link, Property) and not (
                isinstance(link, Index) and isinstance(link.index, Literal)
            ):
                break
            plain.append(link)
        if plain and isinstance(part.base, Name) and part.base.name in roots:
            yield Chain(part.place, part.depth, part.base, tuple(plain))
        else:
            yield from _chains(part.base, roots)
        for link in part.links:
            yield from _chains(link, roots)
    elif isinstance(part, Node | Link):
        for field in fields(part):
            yield from _chains(getattr(part, field.name), roots)
    elif isinstance(part, tuple):
        for inner in part:
            yield from _chains(inner, roots)


def _text(chain: Chain) -> str:
    text = chain.base.name if isinstance(chain.base, Name) else ""
    for link in chain.links:
        if isinstance(link, Property):
            text += f"{'?.' if link.optional else '.'}{link.name}"
        elif isinstance(link, Index) and isinstance(link.index, Literal):
            text += f"{'?.' if link.optional else ''}[{_literal(link.index.value)}]"
    return text


def _literal(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return json.dumps(value, ensure_ascii=False)
