"""JavaScript's operators on what JSON can hold (ECMAScript 2024, chapters 7 and 13).

JavaScript's values in Python: undefined is :data:`UNDEFINED`, null is None, booleans and strings
are themselves, numbers are floats (or integers that a double holds exactly, as JSON gave them),
arrays are lists or tuples, objects are dicts. Nothing else exists, and no attribute of a Python
object is ever read: objects have their own keys and nothing more, not even ``constructor``.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any, Final

from anabranch.assignment.expressions.text import (
    Units,
    join_surrogates,
    number_to_string,
    trim,
    utf16_less,
)

__all__ = [
    "BINARY",
    "MAX_STRING",
    "UNDEFINED",
    "JsLimitError",
    "JsTypeError",
    "Undefined",
    "add",
    "contains_key",
    "get",
    "is_nullish",
    "loose_equals",
    "read",
    "same_value_zero",
    "strict_equals",
    "to_integer",
    "to_number",
    "to_primitive",
    "to_string",
    "truthy",
    "type_of",
]

MAX_STRING: Final = 1_000_000
"""Longest string that an expression may build."""

_SAFE: Final = 1 << 53


class Undefined:
    """The type of :data:`UNDEFINED`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "undefined"

    def __bool__(self) -> bool:
        return False


UNDEFINED: Final = Undefined()
"""JavaScript's undefined."""


class JsTypeError(Exception):
    """JavaScript throws a TypeError here; the compiler adds the place."""


class JsLimitError(Exception):
    """A string becomes longer than :data:`MAX_STRING`; the compiler adds the place."""


# -- values from outside ----------------------------------------------------------------------

_PLAIN: Final = frozenset({str, bool, float, type(None), dict, list, tuple, Undefined})


def read(value: Any) -> Any:
    """A value from outside as one of ours.

    Raises:
        JsTypeError: it is nothing that JSON can hold.
    """
    kind = type(value)
    if kind in _PLAIN:
        return value
    if kind is int:
        return value if -_SAFE <= value <= _SAFE else _to_double(value)
    if isinstance(value, Enum):
        return read(value.value)
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, (list, tuple, dict)):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, int):
        return read(int(value))
    raise JsTypeError(f"a {kind.__name__} is nothing that JSON can hold")


def _to_double(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        return math.inf if value > 0 else -math.inf


def is_nullish(value: Any) -> bool:
    """Whether it is undefined or null."""
    return value is None or value is UNDEFINED


def get(value: Any, key: Any) -> Any:
    """``value[key]`` of anything but undefined and null: own properties only.

    Raises:
        JsTypeError: the key has no string form, or the property is nothing that JSON can hold.
    """
    if isinstance(value, dict):
        return read(value.get(key if isinstance(key, str) else to_string(key), UNDEFINED))
    if isinstance(value, (list, tuple)):
        index = _index(key)
        if index is not None:
            return read(value[index]) if index < len(value) else UNDEFINED
        return len(value) if to_string(key) == "length" else UNDEFINED
    if isinstance(value, str):
        index = _index(key)
        if index is not None:
            units = Units(value)
            return units.part(index, index + 1) if index < len(units) else UNDEFINED
        return len(Units(value)) if to_string(key) == "length" else UNDEFINED
    to_string(key)
    return UNDEFINED


def contains_key(key: Any, container: Any) -> bool:
    """``key in container``: own keys only.

    Raises:
        JsTypeError: the container is neither object nor array.
    """
    if isinstance(container, dict):
        return to_string(key) in container
    if isinstance(container, (list, tuple)):
        index = _index(key)
        return index < len(container) if index is not None else to_string(key) == "length"
    raise JsTypeError(f"cannot use 'in' to search in {type_of(container)}")


_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,9}")


def _index(key: Any) -> int | None:
    """The key as an index of an array, if it is one."""
    if isinstance(key, bool):
        return None
    if isinstance(key, (int, float)):
        return int(key) if 0 <= key < _SAFE and key == int(key) else None
    text = to_string(key)
    return int(text) if _INDEX.fullmatch(text) else None


# -- conversions ------------------------------------------------------------------------------


def truthy(value: Any) -> bool:
    """ToBoolean: false are undefined, null, false, 0, -0, NaN and the empty string."""
    if value is True or value is False:
        return value is True
    if value is None or value is UNDEFINED:
        return False
    if isinstance(value, (str, int)):
        return bool(value)
    if isinstance(value, float):
        return value == value and value != 0.0  # noqa: PLR0124 - NaN differs from itself
    return True


def type_of(value: Any) -> str:
    """The ``typeof`` operator."""
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, str):
        return "string"
    if isinstance(value, (int, float)):
        return "number"
    return "object"


_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_PREFIXED: Final = re.compile(r"0[xX][0-9a-fA-F]+|0[oO][0-7]+|0[bB][01]+")
_INFINITE: Final = {"Infinity": math.inf, "+Infinity": math.inf, "-Infinity": -math.inf}


def to_number(value: Any) -> float:
    """ToNumber.

    Raises:
        JsTypeError: an object has no primitive value.
    """
    if isinstance(value, float):
        return value
    if isinstance(value, int):
        return float(value)
    if value is None:
        return 0.0
    if value is UNDEFINED:
        return math.nan
    if not isinstance(value, str):
        value = to_primitive(value)
    text = trim(value)
    if not text:
        return 0.0
    if _DECIMAL.fullmatch(text):
        return float(text)
    if _PREFIXED.fullmatch(text):
        return _to_double(int(text, 0))
    return _INFINITE.get(text, math.nan)


def to_integer(value: Any) -> float:
    """ToIntegerOrInfinity."""
    number = to_number(value)
    if number != number:  # noqa: PLR0124 - NaN differs from itself
        return 0
    return number if math.isinf(number) else math.trunc(number)


def to_string(value: Any) -> str:
    """ToString.

    Raises:
        JsTypeError: an object has no string form.
        JsLimitError: it gets longer than :data:`MAX_STRING`.
    """
    if isinstance(value, str):
        return value
    if value is None:
        return "null"
    if value is True or value is False:
        return "true" if value else "false"
    if value is UNDEFINED:
        return "undefined"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return number_to_string(value)
    return str(to_primitive(value))


def to_primitive(value: Any) -> Any:
    """ToPrimitive; arrays and objects become strings, whatever the hint."""
    if isinstance(value, (list, tuple)):
        parts: list[str] = []
        length = 0
        for item in value:
            inner = read(item)
            part = "" if is_nullish(inner) else to_string(inner)
            length += len(part) + 1
            if length > MAX_STRING:
                raise JsLimitError
            parts.append(part)
        return join_surrogates(",".join(parts))
    if isinstance(value, dict):
        if "toString" in value:  # it hides the method and cannot be called itself
            raise JsTypeError("cannot convert object to primitive value")
        return "[object Object]"
    return value


# -- operators --------------------------------------------------------------------------------


def strict_equals(left: Any, right: Any) -> bool:
    """The ``===`` operator; arrays and objects equal only themselves."""
    kind = type(left)
    if kind is type(right):
        if kind is dict or kind is list or kind is tuple:
            return left is right
        return bool(left == right)
    if isinstance(left, bool) or isinstance(right, bool):
        return False
    if isinstance(left, (int, float)) and isinstance(right, (int, float)):
        return left == right
    return left is right


def same_value_zero(left: Any, right: Any) -> bool:
    """As ``===``, but NaN equals NaN; what ``includes`` of arrays asks."""
    if isinstance(left, float) and isinstance(right, float) and left != left:  # noqa: PLR0124
        return right != right  # noqa: PLR0124 - NaN differs from itself
    return strict_equals(left, right)


def loose_equals(left: Any, right: Any) -> bool:
    """The ``==`` operator."""
    if is_nullish(left) or is_nullish(right):
        return is_nullish(left) and is_nullish(right)
    left_object = isinstance(left, (dict, list, tuple))
    right_object = isinstance(right, (dict, list, tuple))
    if left_object and right_object:
        return left is right
    if left_object:
        return loose_equals(to_primitive(left), right)
    if right_object:
        return loose_equals(left, to_primitive(right))
    if isinstance(left, str) and isinstance(right, str):
        return left == right
    return to_number(left) == to_number(right)


def add(left: Any, right: Any) -> Any:
    """The ``+`` operator: strings join, all else adds."""
    left, right = to_primitive(left), to_primitive(right)
    if isinstance(left, str) or isinstance(right, str):
        first, second = to_string(left), to_string(right)
        if len(first) + len(second) > MAX_STRING:
            raise JsLimitError
        if first[-1:] >= "\ud800" and "\udc00" <= second[:1] <= "\udfff":
            return join_surrogates(first + second)
        return first + second
    return to_number(left) + to_number(right)


def _subtract(left: Any, right: Any) -> float:
    return to_number(left) - to_number(right)


def _multiply(left: Any, right: Any) -> float:
    return to_number(left) * to_number(right)


def _divide(left: Any, right: Any) -> float:
    dividend, divisor = to_number(left), to_number(right)
    if divisor != 0:
        return dividend / divisor
    if dividend == 0 or dividend != dividend:  # noqa: PLR0124 - NaN differs from itself
        return math.nan
    return math.copysign(math.inf, dividend) * math.copysign(1, divisor)


def _remainder(left: Any, right: Any) -> float:
    dividend, divisor = to_number(left), to_number(right)
    if divisor == 0 or math.isinf(dividend):
        return math.nan
    return math.fmod(dividend, divisor)


def _less(left: Any, right: Any) -> bool:
    left, right = to_primitive(left), to_primitive(right)
    if isinstance(left, str) and isinstance(right, str):
        return utf16_less(left, right)
    return to_number(left) < to_number(right)


def _less_or_equal(left: Any, right: Any) -> bool:
    left, right = to_primitive(left), to_primitive(right)
    if isinstance(left, str) and isinstance(right, str):
        return not utf16_less(right, left)
    return to_number(left) <= to_number(right)


def _greater(left: Any, right: Any) -> bool:
    left, right = to_primitive(left), to_primitive(right)
    return _less(right, left)


def _greater_or_equal(left: Any, right: Any) -> bool:
    left, right = to_primitive(left), to_primitive(right)
    return _less_or_equal(right, left)


BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "===": strict_equals,
    "!==": lambda left, right: not strict_equals(left, right),
    "==": loose_equals,
    "!=": lambda left, right: not loose_equals(left, right),
    "+": add,
    "-": _subtract,
    "*": _multiply,
    "/": _divide,
    "%": _remainder,
    "<": _less,
    "<=": _less_or_equal,
    ">": _greater,
    ">=": _greater_or_equal,
    "in": contains_key,
}
"""Every binary operator but the ones that may leave out their right side."""
