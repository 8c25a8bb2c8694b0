"""From syntax tree to a function: each node becomes a closure over its operands' closures."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, Final, NoReturn

from anabranch.assignment.expressions.grammar import located, parse
from anabranch.assignment.expressions.methods import call
from anabranch.assignment.expressions.nodes import (
    Array,
    Binary,
    Call,
    Chain,
    Conditional,
    Index,
    Link,
    Literal,
    Logical,
    Name,
    Node,
    Place,
    Property,
    Unary,
)
from anabranch.assignment.expressions.semantics import (
    BINARY,
    MAX_STRING,
    UNDEFINED,
    JsLimitError,
    JsTypeError,
    get,
    is_nullish,
    read,
    to_number,
    truthy,
    type_of,
)
from anabranch.errors import (
    ExpressionError,
    ExpressionLimitError,
    ExpressionSyntaxError,
    ExpressionTypeError,
)

__all__ = ["RAISED", "Expression", "Run", "compile_expression", "compile_tree"]

Roots = tuple[Any, ...]

Run = Callable[[Roots], Any]
"""What an expression is compiled to: takes one value for each root, gives its value."""

RAISED: Final = (ExpressionError, JsTypeError, RecursionError)
"""What a compiled function may raise; :meth:`Expression.evaluate` says it in full."""

_CONSTANTS: Final = {"undefined": UNDEFINED, "NaN": math.nan, "Infinity": math.inf}


class Expression:
    """A compiled expression.

    Attributes:
        source: Its text.
        roots: The names it may begin with, in the order in which their values are given.
        run: The function itself, for who calls it very often with objects; may raise ``RAISED``.
    """

    __slots__ = ("roots", "run", "source")

    def __init__(self, source: str, roots: tuple[str, ...], run: Run) -> None:
        self.source = source
        self.roots = roots
        self.run = run

    def evaluate(self, *values: Any) -> Any:
        """The expression's value; numbers it computes are floats, its arrays are sequences.

        Args:
            values: One value for each root, of what JSON can hold.

        Raises:
            ExpressionTypeError: where JavaScript would throw a TypeError, and where a value is
                nothing that JSON can hold.
            ExpressionLimitError: a string becomes too long, or an array is nested too deeply.
        """
        if len(values) != len(self.roots):
            raise TypeError(f"give one value for each of {', '.join(self.roots)}")
        try:
            return self.run(tuple(map(read, values)))
        except ExpressionError as error:
            raise located(error, self.source) from None
        except JsTypeError as error:
            raise ExpressionTypeError(str(error), source=self.source) from None
        except RecursionError:
            raise ExpressionLimitError(
                "an array is nested too deeply to become a string", source=self.source
            ) from None

    def test(self, *values: Any) -> bool:
        """Whether the value is true, as JavaScript's ``if`` has it; raises as :meth:`evaluate`."""
        return truthy(self.evaluate(*values))

    def holds(self, values: dict[str, Any]) -> bool:
        """As :meth:`test`, for an expression with one root, which is an object."""
        try:
            value = self.run((values,))
        except RAISED:
            value = self.evaluate(values)  # which says it in full
        return value if value is True or value is False else truthy(value)

    def __repr__(self) -> str:
        return f"Expression({self.source!r})"


def compile_expression(source: str, roots: Sequence[str] = ("context",)) -> Expression:
    """Compile an expression, once; evaluating it then takes about a microsecond.

    Args:
        source: Its text.
        roots: The names that an expression may begin with.

    Raises:
        ExpressionSyntaxError: it is not an expression of the subset, or it begins with a name
            that is none of the roots.
        ExpressionLimitError: it is too long or nested too deeply.
    """
    try:
        return compile_tree(parse(source), source, tuple(roots))
    except ExpressionError as error:
        raise located(error, source) from None


def compile_tree(node: Node, source: str, roots: tuple[str, ...]) -> Expression:
    """Compile a part of an expression that is parsed already; raises as the whole does."""
    return Expression(source, roots, _Compiler(roots).run_of(node))


def _fail(error: JsTypeError | JsLimitError, place: Place) -> NoReturn:
    if isinstance(error, JsLimitError):
        raise ExpressionLimitError(
            f"a string becomes longer than {MAX_STRING} characters",
            line=place.line,
            column=place.column,
        ) from None
    raise ExpressionTypeError(str(error), line=place.line, column=place.column) from None


def _nothing_to_read(value: Any, name: str, place: Place) -> NoReturn:
    kind = "null" if value is None else "undefined"
    raise ExpressionTypeError(
        f"cannot read {name} of {kind}: write ?. before it where that may happen",
        line=place.line,
        column=place.column,
    )


class _Compiler:
    """Makes closures. Each takes the tuple of the roots' values."""

    def __init__(self, roots: tuple[str, ...]) -> None:
        self._roots = roots

    def run_of(self, node: Node) -> Run:
        match node:
            case Literal():
                return _constant(node.value)
            case Name():
                return self._name(node)
            case Array():
                return self._array(node)
            case Unary():
                return self._unary(node)
            case Binary():
                return self._binary(node)
            case Logical():
                return self._logical(node)
            case Conditional():
                return self._conditional(node)
            case Chain():
                return self._chain(node)
        raise TypeError(f"no such node: {node!r}")

    def _name(self, node: Name) -> Run:
        if node.name in _CONSTANTS:
            return _constant(_CONSTANTS[node.name])
        position = self._position(node)

        def root(roots: Roots) -> Any:
            return roots[position]

        return root

    def _position(self, node: Name) -> int:
        if node.name not in self._roots:
            raise ExpressionSyntaxError(
                f"unknown name {node.name!r}: an expression begins with "
                f"{' or '.join(map(repr, self._roots))}, or with a value",
                line=node.place.line,
                column=node.place.column,
            )
        return self._roots.index(node.name)

    def _array(self, node: Array) -> Run:
        if not node.items:  # two empty tuples are one, two empty arrays are not
            return lambda _: []
        if all(isinstance(item, Literal) for item in node.items):
            return _constant(tuple(i.value for i in node.items if isinstance(i, Literal)))
        items = [self.run_of(item) for item in node.items]

        def array(roots: Roots) -> Any:
            return tuple([item(roots) for item in items])

        return array

    def _unary(self, node: Unary) -> Run:
        operand = self.run_of(node.operand)
        place = node.place
        if node.operator == "!":
            return lambda roots: not truthy(operand(roots))
        if node.operator == "typeof":
            return lambda roots: type_of(operand(roots))
        negative = node.operator == "-"

        def number(roots: Roots) -> Any:
            value = operand(roots)
            try:
                found = to_number(value)
            except (JsTypeError, JsLimitError) as error:
                _fail(error, place)
            return -found if negative else found

        return number

    def _binary(self, node: Binary) -> Run:
        left, right = self.run_of(node.left), self.run_of(node.right)
        if node.operator in {"===", "!=="} and isinstance(node.right, Literal):
            wanted = node.right.value
            if isinstance(wanted, str):  # by far the most common: no other type equals it
                if node.operator == "===":
                    return self._is(node.left, left, wanted)
                return lambda roots: left(roots) != wanted
        operator, place = BINARY[node.operator], node.place

        def binary(roots: Roots) -> Any:
            first, second = left(roots), right(roots)
            try:
                return operator(first, second)
            except (JsTypeError, JsLimitError) as error:
                _fail(error, place)

        return binary

    def _is(self, node: Node, left: Run, wanted: str) -> Run:
        """``context.attributes.NAME === 'text'``, what most rules ask: one function of it."""

        def equal(roots: Roots) -> Any:
            return left(roots) == wanted

        match node:
            case Chain(base=Name() as base, links=(Property() as first, Property() as second)):
                if base.name in _CONSTANTS:
                    return equal
            case _:
                return equal
        position, outer, inner = self._position(base), first.name, second.name

        def attribute_equal(roots: Roots) -> Any:
            value = roots[position]
            if type(value) is dict:
                value = value.get(outer)
                if type(value) is dict:
                    value = value.get(inner)
                    if type(value) is str:
                        return value == wanted
            return left(roots) == wanted

        return attribute_equal

    def _logical(self, node: Logical) -> Run:
        *firsts, last = [self.run_of(operand) for operand in node.operands]

        def all_of(roots: Roots) -> Any:
            for operand in firsts:
                value = operand(roots)
                if not truthy(value):
                    return value
            return last(roots)

        def any_of(roots: Roots) -> Any:
            for operand in firsts:
                value = operand(roots)
                if truthy(value):
                    return value
            return last(roots)

        def first_of(roots: Roots) -> Any:
            for operand in firsts:
                value = operand(roots)
                if not is_nullish(value):
                    return value
            return last(roots)

        return {"&&": all_of, "||": any_of, "??": first_of}[node.operator]

    def _conditional(self, node: Conditional) -> Run:
        test, then = self.run_of(node.test), self.run_of(node.then)
        otherwise = self.run_of(node.otherwise)
        return lambda roots: then(roots) if truthy(test(roots)) else otherwise(roots)

    def _chain(self, node: Chain) -> Run:
        base = node.base
        if (
            isinstance(base, Name)
            and base.name not in _CONSTANTS
            and all(isinstance(link, Property) for link in node.links)
        ):
            return self._path(base, [link for link in node.links if isinstance(link, Property)])
        start = self.run_of(base)
        steps = [(link.optional, self._step(link)) for link in node.links]

        def chain(roots: Roots) -> Any:
            value = start(roots)
            for optional, step in steps:
                if optional and is_nullish(value):
                    return UNDEFINED
                value = step(value, roots)
            return value

        return chain

    def _path(self, base: Name, links: list[Property]) -> Run:
        """A root and plain properties: what nearly every chain is, so it is one loop."""
        position = self._position(base)
        path = [(link.name, link) for link in links]

        def follow(roots: Roots) -> Any:
            value = roots[position]
            for name, link in path:
                if type(value) is dict:
                    value = value.get(name, UNDEFINED)
                    if type(value) is str:
                        continue
                    try:
                        value = read(value)
                    except JsTypeError as error:
                        _fail(error, link.place)
                elif is_nullish(value):
                    if link.optional:
                        return UNDEFINED
                    _nothing_to_read(value, repr(name), link.place)
                else:
                    value = _get(value, name, link.place)
            return value

        return follow

    def _step(self, link: Link) -> Callable[[Any, Roots], Any]:
        place = link.place
        if isinstance(link, Property):
            name = link.name
            return lambda value, _: _get(value, name, place)
        if isinstance(link, Index):
            index = self.run_of(link.index)
            return lambda value, roots: _get(value, index(roots), place)
        if not isinstance(link, Call):
            raise TypeError(f"no such link: {link!r}")
        method = link.method
        arguments = [self.run_of(argument) for argument in link.arguments]

        def invoke(value: Any, roots: Roots) -> Any:
            if is_nullish(value):
                _nothing_to_read(value, repr(method), place)
            given = tuple([argument(roots) for argument in arguments])
            try:
                return call(value, method, given)
            except (JsTypeError, JsLimitError) as error:
                _fail(error, place)

        return invoke


def _get(value: Any, key: Any, place: Place) -> Any:
    if is_nullish(value):
        _nothing_to_read(value, repr(key), place)
    try:
        return get(value, key)
    except (JsTypeError, JsLimitError) as error:
        _fail(error, place)


def _constant(value: Any) -> Run:
    return lambda _: value
