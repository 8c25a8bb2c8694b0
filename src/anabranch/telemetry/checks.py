"""Whether an event's properties are what its TelemetrySpec declares."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final

from anabranch.errors import EventSchemaError
from anabranch.specs.telemetry import PropertyType, TelemetryEventSpec

__all__ = ["Checker", "check", "is_timestamp"]

# RFC 3339, section 5.6; a second of 60 is a leap second.
_RFC3339: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ]([01]\d|2[0-3]):[0-5]\d:([0-5]\d|60)(\.\d+)?"
    r"([Zz]|[+-]([01]\d|2[0-3]):[0-5]\d)",
    re.ASCII,
)
_MISSING: Final = object()


def is_timestamp(value: Any) -> bool:
    """Whether the value is RFC 3339 text with its offset, or a finite epoch number."""
    if not isinstance(value, str):
        return _is_number(value)
    match = _RFC3339.fullmatch(value)
    if match is None:
        return False
    try:
        date(int(match[1]), int(match[2]), int(match[3]))
    except ValueError:
        return False
    return True


def _is_number(value: Any) -> bool:
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, int) and not isinstance(value, bool)


def _is_string(value: Any) -> bool:
    return isinstance(value, str)


def _is_boolean(value: Any) -> bool:
    return isinstance(value, bool)


def _is_anything(value: Any) -> bool:
    del value
    return True


_RULES: Final[Mapping[PropertyType, tuple[frozenset[type], Callable[[Any], bool], str]]] = {
    "string": (frozenset({str}), _is_string, "a string"),
    "number": (frozenset({int}), _is_number, "a finite number"),
    "boolean": (frozenset({bool}), _is_boolean, "true or false"),
    "timestamp": (frozenset({int}), is_timestamp, "an RFC 3339 time or an epoch number"),
    "json": (frozenset({dict, list, str, int, bool, type(None)}), _is_anything, "JSON"),
}
"""Type to: what is certainly right by its class alone, the whole rule, and how to say it."""


class Checker:
    """Checks properties against one event's declaration.

    An optional property that is null counts as absent. An undeclared property is left out, for
    nobody has said how it is to be protected.
    """

    __slots__ = ("_event", "_fields")

    def __init__(self, event: TelemetryEventSpec) -> None:
        self._event = event
        self._fields = tuple(
            (name, *_RULES[declared.type][:2], declared.required)
            for name, declared in event.properties.items()
        )

    def check(self, properties: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The declared properties, in the order of declaration, and how many others there are.

        Raises:
            EventSchemaError: a required property is missing or null, or one is of a wrong type.
        """
        found: dict[str, Any] = {}
        nulls = 0
        for name, classes, rule, required in self._fields:
            value = properties.get(name, _MISSING)
            if type(value) in classes:
                found[name] = value
            elif value is _MISSING or value is None:
                if required:
                    raise self._error(name, value)
                nulls += value is None
            elif rule(value):
                found[name] = value
            else:
                raise self._error(name, value)
        return found, len(properties) - len(found) - nulls

    def undeclared(self, properties: Mapping[str, Any]) -> list[str]:
        """Names of the properties that the event does not declare."""
        return [name for name in properties if name not in self._event.properties]

    def _error(self, name: str, value: Any) -> EventSchemaError:
        wanted = _RULES[self._event.properties[name].type][2]
        head = f"event {self._event.label}: property {name!r}"
        if value is _MISSING:
            return EventSchemaError(f"{head} is required and missing: send {wanted}")
        return EventSchemaError(f"{head} must be {wanted}, but is {_describe(value)}")


def check(event: TelemetryEventSpec, properties: Mapping[str, Any]) -> dict[str, Any]:
    """The declared ones of the properties, checked; compile a :class:`Checker` for many events.

    Raises:
        EventSchemaError: naming event, property, and expected and actual type.
    """
    return Checker(event).check(properties)[0]


def _describe(value: Any) -> str:
    """The value's type, and the value only where it says nothing about anybody."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a string"
    if isinstance(value, float) and not math.isfinite(value):
        return "not finite"
    if isinstance(value, (int, float)):
        return "a number"
    if isinstance(value, Mapping):
        return "an object"
    if isinstance(value, (list, tuple)):
        return "a list"
    return f"a {type(value).__name__}"
