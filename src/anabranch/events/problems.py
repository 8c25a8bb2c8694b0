"""What is wrong with an event's fields, in plain words."""

from __future__ import annotations

import re

import msgspec

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?:key in )?\$\.?(?P<path>.*)`)?$", re.DOTALL)
_EXPECTED = re.compile(r"^Expected `(?P<expected>[^`]+)`, got `(?P<got>[^`]+)`$")
_MISSING = re.compile(r"^Object missing required field `(?P<name>[^`]+)`$")
_WORDS = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    "object": "object",
    "array": "array",
    "null": "null",
}


def explain(error: msgspec.ValidationError) -> str:
    """``Expected `str`, got `int` - at `$.userId``` as ``userId: expected string, got integer``."""
    match = _AT.match(str(error))
    what, path = (match["what"], match["path"]) if match else (str(error), None)
    missing = _MISSING.match(what)
    if missing:
        where = f"{path}.{missing['name']}" if path else missing["name"]
        return f"{where}: is missing"
    expected = _EXPECTED.match(what)
    if expected:
        what = f"expected {_plain(expected['expected'])}, got {_plain(expected['got'])}"
    return f"{path or 'the event'}: {what}"


def _plain(types: str) -> str:
    return " or ".join(_WORDS.get(name.strip(), name.strip()) for name in types.split("|"))
