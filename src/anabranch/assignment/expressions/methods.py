"""The methods that an expression may call, of strings and of arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from anabranch.assignment.expressions.semantics import (
    UNDEFINED,
    JsTypeError,
    read,
    same_value_zero,
    strict_equals,
    to_integer,
    to_string,
    type_of,
)
from anabranch.assignment.expressions.text import Units, trim

__all__ = ["METHODS", "call"]


def call(value: Any, method: str, arguments: tuple[Any, ...]) -> Any:
    """``value.method(...arguments)``, of a string or an array.

    Raises:
        JsTypeError: the value has no such method.
    """
    if isinstance(value, str):
        found = _STRING_METHODS.get(method)
        if found is not None:
            return found(value, *(*arguments, UNDEFINED, UNDEFINED)[:2])
    elif isinstance(value, (list, tuple)) and method in _ARRAY_METHODS:
        wanted, start = (*arguments, UNDEFINED, UNDEFINED)[:2]
        return _ARRAY_METHODS[method](value, wanted, start)
    raise JsTypeError(f"{type_of(value)}.{method} is not a function")


def _clamp(value: Any, length: int) -> int:
    return int(min(max(to_integer(value), 0), length))


def _index_of(text: str, wanted: Any, start: Any) -> int:
    units, search = Units(text), to_string(wanted)
    return units.find(search, _clamp(start, len(units)))


def _starts_with(text: str, wanted: Any, start: Any) -> bool:
    units, search = Units(text), to_string(wanted)
    at = _clamp(start, len(units))
    return units.part(at, at + len(Units(search))) == search


def _ends_with(text: str, wanted: Any, end: Any) -> bool:
    units, search = Units(text), to_string(wanted)
    stop = len(units) if end is UNDEFINED else _clamp(end, len(units))
    start = stop - len(Units(search))
    return start >= 0 and units.part(start, stop) == search


_STRING_METHODS: Final[dict[str, Callable[[str, Any, Any], Any]]] = {
    "endsWith": _ends_with,
    "includes": lambda text, wanted, start: _index_of(text, wanted, start) >= 0,
    "indexOf": _index_of,
    "startsWith": _starts_with,
    "toLowerCase": lambda text, _, __: text.lower(),
    "toUpperCase": lambda text, _, __: text.upper(),
    "trim": lambda text, _, __: trim(text),
}


def _array_index_of(
    items: list[Any] | tuple[Any, ...],
    wanted: Any,
    start: Any,
    same: Callable[[Any, Any], bool] = strict_equals,
) -> int:
    first = to_integer(start)
    if first < 0:
        first = max(len(items) + first, 0)
    if first >= len(items):
        return -1
    for i in range(int(first), len(items)):
        if same(read(items[i]), wanted):
            return i
    return -1


_ARRAY_METHODS: Final[dict[str, Callable[[Any, Any, Any], Any]]] = {
    "includes": lambda items, wanted, start: (
        _array_index_of(items, wanted, start, same_value_zero) >= 0
    ),
    "indexOf": _array_index_of,
}

METHODS: Final = tuple(sorted(_STRING_METHODS))
"""Methods of strings; ``includes`` and ``indexOf`` are methods of arrays too."""
