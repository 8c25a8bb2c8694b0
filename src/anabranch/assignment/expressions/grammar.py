"""The grammar of expressions, and from text to syntax tree.

A subset of ECMAScript's expressions: literals, member access with optional chaining, the methods
that ``methods`` lists, ``! - + typeof``, arithmetic, comparison, equality, ``in``, ``&& || ??``,
the conditional operator and array literals. As in strict JavaScript, ``??`` does not mix with
``&&`` or ``||`` without parentheses, and numbers have no leading zero.
"""

from __future__ import annotations

import math
import re
from functools import cache
from typing import Final

from lark import Lark, Token, Transformer, v_args
from lark.exceptions import UnexpectedCharacters, UnexpectedInput, UnexpectedToken

from anabranch.assignment.expressions.methods import METHODS
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
from anabranch.assignment.expressions.text import join_surrogates
from anabranch.errors import ExpressionError, ExpressionLimitError, ExpressionSyntaxError

__all__ = ["MAX_DEPTH", "MAX_LENGTH", "located", "parse"]

MAX_LENGTH: Final = 4096
"""Longest source, in characters. Nothing loops, so this bounds the steps of an evaluation too."""
MAX_DEPTH: Final = 64
"""Deepest nesting; operands of one && or || lie side by side."""

_GRAMMAR: Final = r"""
?start: conditional

?conditional: short
    | short "?" conditional ":" conditional -> ternary
?short: or | coalesce
?or: and ("||" and)*                        -> any
?and: equality ("&&" equality)*             -> all
?coalesce: equality ("??" equality)+        -> first
?equality: relation
    | equality EQUALITY relation            -> binary
?relation: sum
    | relation RELATION sum                 -> binary
    | relation IN sum                       -> binary
?sum: product
    | sum SIGN product                      -> binary
?product: unary
    | product FACTOR unary                  -> binary
?unary: postfix
    | NOT unary                             -> prefix
    | SIGN unary                            -> prefix
    | TYPEOF unary                          -> prefix
?postfix: primary
    | primary link+                         -> chain
link: "." PROPERTY                          -> prop
    | OPTIONAL PROPERTY                     -> optional_prop
    | BRACKET conditional "]"               -> index
    | OPTIONAL "[" conditional "]"          -> optional_index
    | "." PROPERTY "(" arguments ")"        -> call
    | OPTIONAL PROPERTY "(" arguments ")"   -> optional_call
arguments: [conditional ("," conditional)* ","?]
?primary: NUMBER                            -> number
    | STRING                                -> string
    | NAME                                  -> name
    | BRACKET [conditional ("," conditional)* ","?] "]" -> array
    | "(" conditional ")"

EQUALITY: "===" | "!==" | "==" | "!="
RELATION: "<=" | ">=" | "<" | ">"
IN: /in(?![\w$])/
TYPEOF.2: /typeof(?![\w$])/
NOT: "!"
SIGN: /\+(?!\+)|-(?!-)/
FACTOR: "*" | "/" | "%"
BRACKET: "["
OPTIONAL: /\?\.(?![0-9])/
NAME: /[^\W\d][\w$]*|\$[\w$]*/
PROPERTY: /[^\W\d][\w$]*|\$[\w$]*/
NUMBER: /(?:0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+|(?:(?:0|[1-9][0-9]*)(?:\.[0-9]*|(?!\.))|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)(?![\w$])/
STRING: /"(?:[^"\\\n\r]|\\(?:\r\n|[\s\S]))*"|'(?:[^'\\\n\r]|\\(?:\r\n|[\s\S]))*'/
COMMENT.3: /\/\/[^\n\r]*|\/\*[\s\S]*?\*\//
BLANK: /[\s\ufeff]+/

%ignore COMMENT
%ignore BLANK
"""  # noqa: E501 - a terminal is one line

_ESCAPE: Final = re.compile(
    r"\\(?:u\{(?P<point>[0-9a-fA-F]+)\}|u(?P<unit>[0-9a-fA-F]{4})|x(?P<byte>[0-9a-fA-F]{2})"
    r"|(?P<nul>0(?!\d))|(?P<newline>\r\n|[\n\r\u2028\u2029])|(?P<other>[\s\S]))"
)
_SINGLE: Final = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_CONSTANTS: Final = {"true": True, "false": False, "null": None}


def _place(token: Token) -> Place:
    return Place(token.line or 1, token.column or 1)


def _unescape(token: Token) -> str:
    """The text of a string literal."""

    def replace(match: re.Match[str]) -> str:
        kind = match.lastgroup
        text = match[kind] if kind else ""
        if kind == "point":
            if len(text.lstrip("0")) > 6 or int(text, 16) > 0x10FFFF:
                raise _wrong(f"\\u{{{text}}} is beyond the last character", _place(token))
            return chr(int(text, 16))
        if kind in {"unit", "byte"}:
            return chr(int(text, 16))
        if kind == "nul":
            return "\0"
        if kind == "newline":
            return ""
        if text in "ux" or text.isdigit():
            raise _wrong(f"\\{text} is not a whole escape in a string", _place(token))
        return _SINGLE.get(text, text)

    return join_surrogates(_ESCAPE.sub(replace, token[1:-1]))


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        try:
            return float(int(text, 0))
        except OverflowError:  # beyond the greatest number, as 1e999 is
            return math.inf


def _wrong(message: str, place: Place) -> ExpressionSyntaxError:
    return ExpressionSyntaxError(message, line=place.line, column=place.column)


def _deeper(place: Place, *below: Node) -> int:
    depth = 1 + max((node.depth for node in below), default=0)
    if depth > MAX_DEPTH:
        raise ExpressionLimitError(
            f"nested more than {MAX_DEPTH} deep: split the rule in several",
            line=place.line,
            column=place.column,
        )
    return depth


@v_args(inline=True)
class _Builder(Transformer[Token, Node]):
    """Builds nodes bottom up while the text is parsed, so nothing here recurses."""

    def number(self, token: Token) -> Node:
        return Literal(_place(token), 1, _number(token))

    def string(self, token: Token) -> Node:
        return Literal(_place(token), 1, _unescape(token))

    def name(self, token: Token) -> Node:
        if token in _CONSTANTS:
            return Literal(_place(token), 1, _CONSTANTS[token])
        return Name(_place(token), 1, str(token))

    def array(self, bracket: Token, *items: Node | None) -> Node:
        found = tuple(item for item in items if item is not None)
        place = _place(bracket)
        return Array(place, _deeper(place, *found), found)

    def prefix(self, operator: Token, operand: Node) -> Node:
        place = _place(operator)
        return Unary(place, _deeper(place, operand), str(operator), operand)

    def binary(self, left: Node, operator: Token, right: Node) -> Node:
        place = _place(operator)
        return Binary(place, _deeper(place, left, right), str(operator), left, right)

    def _logical(self, operator: str, operands: tuple[Node, ...]) -> Node:
        if len(operands) == 1:
            return operands[0]
        place = operands[0].place
        return Logical(place, _deeper(place, *operands), operator, operands)

    def any(self, *operands: Node) -> Node:
        return self._logical("||", operands)

    def all(self, *operands: Node) -> Node:
        return self._logical("&&", operands)

    def first(self, *operands: Node) -> Node:
        return self._logical("??", operands)

    def ternary(self, test: Node, then: Node, otherwise: Node) -> Node:
        place = test.place
        return Conditional(place, _deeper(place, test, then, otherwise), test, then, otherwise)

    def chain(self, base: Node, *links: Link) -> Node:
        below = [base]
        for link in links:
            if isinstance(link, Index):
                below.append(link.index)
            elif isinstance(link, Call):
                below.extend(link.arguments)
        return Chain(base.place, _deeper(base.place, *below), base, links)

    def prop(self, name: Token) -> Link:
        return Property(_place(name), False, str(name))

    def optional_prop(self, _: Token, name: Token) -> Link:
        return Property(_place(name), True, str(name))

    def index(self, bracket: Token, index: Node) -> Link:
        return Index(_place(bracket), False, index)

    def optional_index(self, mark: Token, index: Node) -> Link:
        return Index(_place(mark), True, index)

    def arguments(self, *found: Node | None) -> tuple[Node, ...]:
        return tuple(node for node in found if node is not None)

    def call(self, name: Token, arguments: tuple[Node, ...]) -> Link:
        return self._call(name, arguments, optional=False)

    def optional_call(self, _: Token, name: Token, arguments: tuple[Node, ...]) -> Link:
        return self._call(name, arguments, optional=True)

    def _call(self, name: Token, arguments: tuple[Node, ...], *, optional: bool) -> Link:
        if name not in METHODS:
            raise _wrong(
                f"{name}() cannot be called: the methods are {', '.join(METHODS)}",
                _place(name),
            )
        return Call(_place(name), optional, str(name), arguments)


@cache
def _parser() -> Lark:
    return Lark(_GRAMMAR, parser="lalr", lexer="contextual", transformer=_Builder(), start="start")


_HINTS: Final = {
    "=": "nothing can be assigned: compare with === or ==",
    "`": "template strings are not part of expressions: join strings with +",
    "{": "only the fields of what is given can be read, no object or function can be made",
    ";": "an expression is one condition, without statements",
    "&": "write &&",
    "|": "write ||",
    "(": f"only methods can be called: {', '.join(METHODS)}",
    "??": "?? beside && or || needs parentheses, as in JavaScript",
    "&&": "&& beside ?? needs parentheses, as in JavaScript",
    "||": "|| beside ?? needs parentheses, as in JavaScript",
    "'": "the string has no end, or one operator is missing before it",
    '"': "the string has no end, or one operator is missing before it",
}


def _refusal(error: UnexpectedInput, source: str) -> ExpressionSyntaxError:
    if isinstance(error, UnexpectedToken) and error.token.type == "$END":
        lines = source.split("\n")
        return _wrong("it ends too early", Place(len(lines), len(lines[-1]) + 1))
    if isinstance(error, UnexpectedToken):
        found = str(error.token)
    elif isinstance(error, UnexpectedCharacters):
        found = str(error.char)
    else:
        found = ""
    hint = _HINTS.get(found)
    message = f"{found!r} does not fit here" + (f": {hint}" if hint else "")
    return _wrong(message, Place(max(error.line, 1), max(error.column, 1)))


def parse(source: str) -> Node:
    """The syntax tree of an expression.

    Raises:
        ExpressionSyntaxError: it is not an expression of the subset.
        ExpressionLimitError: it is longer than :data:`MAX_LENGTH` or nested deeper than
            :data:`MAX_DEPTH`.
    """
    if len(source) > MAX_LENGTH:
        raise ExpressionLimitError(
            f"it has {len(source)} characters, and at most {MAX_LENGTH} are allowed: "
            "split the rule in several",
        )
    try:
        tree = _parser().parse(source)
    except UnexpectedInput as error:
        raise located(_refusal(error, source), source) from None
    except ExpressionError as error:
        raise located(error, source) from None
    if not isinstance(tree, Node):  # the grammar's start is always a node
        raise TypeError(f"the grammar gave {tree!r}")
    return tree


def located(error: ExpressionError, source: str) -> ExpressionError:
    """The error with the source it is about."""
    error.source = source
    return error
