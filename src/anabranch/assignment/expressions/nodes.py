"""Syntax trees of expressions: what the grammar builds and the compiler reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = [
    "Array",
    "Binary",
    "Call",
    "Chain",
    "Conditional",
    "Index",
    "Link",
    "Literal",
    "Logical",
    "Name",
    "Node",
    "Place",
    "Property",
    "Unary",
]


@dataclass(frozen=True, slots=True)
class Place:
    """Line and column, from 1."""

    line: int
    column: int


@dataclass(frozen=True, slots=True)
class Node:
    """Any part of an expression; ``depth`` is that of the tree below it, itself included."""

    place: Place
    depth: int


@dataclass(frozen=True, slots=True)
class Literal(Node):
    """A constant."""

    value: Any


@dataclass(frozen=True, slots=True)
class Name(Node):
    """A root name or a named constant."""

    name: str


@dataclass(frozen=True, slots=True)
class Array(Node):
    """``[a, b]``."""

    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Unary(Node):
    """``!a``, ``-a``, ``+a``, ``typeof a``."""

    operator: str
    operand: Node


@dataclass(frozen=True, slots=True)
class Binary(Node):
    """Arithmetic, comparison, equality and ``in``."""

    operator: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Logical(Node):
    """``a && b && c`` and the like: operands in order, two at least."""

    operator: str
    operands: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Conditional(Node):
    """``test ? then : otherwise``."""

    test: Node
    then: Node
    otherwise: Node


@dataclass(frozen=True, slots=True)
class Link:
    """One step of a chain; an ``optional`` one ends the whole chain at undefined and null."""

    place: Place
    optional: bool


@dataclass(frozen=True, slots=True)
class Property(Link):
    """``.name``."""

    name: str


@dataclass(frozen=True, slots=True)
class Index(Link):
    """``[index]``."""

    index: Node


@dataclass(frozen=True, slots=True)
class Call(Link):
    """``.method(arguments)``."""

    method: str
    arguments: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Chain(Node):
    """``base.a?.b[c].d()``: parentheses end a chain, as in JavaScript."""

    base: Node
    links: tuple[Link, ...]
