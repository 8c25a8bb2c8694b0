"""Kinds of field that several specs share."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import timedelta
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BeforeValidator, Field, PlainValidator, StringConstraints

from anabranch.errors import SpecValidationError
from anabranch.specs.version import normalize_version

__all__ = [
    "Amount",
    "Expression",
    "Id",
    "JsonObject",
    "Key",
    "Name",
    "Seconds",
    "Share",
    "Version",
    "Weight",
]


def _number(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        raise ValueError(f"must be a number, not {value!r}")  # noqa: TRY004 - pydantic's protocol
    if not math.isfinite(value):
        raise ValueError(f"must be a finite number, not {value!r}")
    return value


def _weight(value: Any) -> int | float:
    number = _number(value)
    if number < 0:
        raise ValueError(f"must not be negative, but is {number}: 0 takes the variant out")
    return number


def _share(value: Any) -> int | float:
    number = _number(value)
    if not 0 <= number <= 1:
        raise ValueError(f"must lie between 0 and 1 (0.25 is 25 %), but is {number}")
    return number


Amount = Annotated[int | float, PlainValidator(_number, json_schema_input_type=float)]
"""A finite number, kept as given."""

Weight = Annotated[
    int | float, PlainValidator(_weight, json_schema_input_type=Annotated[float, Field(ge=0)])
]
"""A finite number that is not negative, kept as given."""

Share = Annotated[
    int | float, PlainValidator(_share, json_schema_input_type=Annotated[float, Field(ge=0, le=1)])
]
"""A fraction between 0 and 1, both included."""


def _version(value: Any) -> str:
    try:
        return normalize_version(value)
    except SpecValidationError as error:
        raise ValueError(str(error)) from None


Version = Annotated[str, BeforeValidator(_version, json_schema_input_type=str | int)]
"""A semantic version in its canonical spelling; 1 and "1.2" are accepted."""


def _key(value: str) -> str:
    if not re.fullmatch(r"[^\s|]+", value):
        raise ValueError(
            f"{value!r} is not a key: keys are not empty and hold neither spaces nor '|', which "
            "separates keys in the stream"
        )
    return value


def _name(value: str) -> str:
    if value != value.strip() or not value:
        raise ValueError(f"{value!r} is empty or begins or ends with spaces")
    if "|" in value:
        raise ValueError(f"{value!r} holds '|', which separates names in the stream: leave it out")
    if value.startswith("$"):
        raise ValueError(f"{value!r} begins with '$', which is kept for names of our own")
    return value


Key = Annotated[str, AfterValidator(_key)]
"""Key of a spec or a telemetry event, like ``sigil.onboarding.split_form``."""

Id = Annotated[str, AfterValidator(_key)]
"""Identifier of a variant: like a key."""

Name = Annotated[str, AfterValidator(_name)]
"""Name of a metric, which may hold spaces."""

Expression = Annotated[str, StringConstraints(min_length=1)]
"""Source of a targeting expression; it is compiled where it is evaluated."""


_DURATION: Final = re.compile(r"(\d+)\s*([smhdw])")
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def _seconds(value: Any) -> int:
    seconds: float
    if isinstance(value, timedelta):
        seconds = value.total_seconds()
    elif isinstance(value, str):
        match = _DURATION.fullmatch(value.strip())
        if match is None:
            raise ValueError(
                f"{value!r} is not a duration: write seconds, or a number and one of s, m, h, d, "
                "w, as in '7d' or '12h'"
            )
        seconds = int(match[1]) * _SECONDS[match[2]]
    else:
        seconds = _number(value)
    if seconds != int(seconds) or seconds <= 0:
        raise ValueError(f"must be a positive number of whole seconds, but is {seconds}")
    return int(seconds)


Seconds = Annotated[int, PlainValidator(_seconds, json_schema_input_type=int | str)]
"""A duration in whole seconds; "90s", "30m", "12h", "7d" and "2w" are accepted."""


_DEEPEST: Final = 64


def _json(value: Any, where: str = "", depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise ValueError(f"is nested more than {_DEEPEST} deep: flatten it")
    if value is None or isinstance(value, (str, bool, int)):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where or 'it'} is {value!r}, which JSON does not have")
        return value
    if isinstance(value, (list, tuple)):
        return [_json(inner, f"{where}[{i}]", depth + 1) for i, inner in enumerate(value)]
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(  # noqa: TRY004 - pydantic's protocol
                    f"{where or 'it'} has the key {key!r}: keys are text in JSON"
                )
        return {
            key: _json(inner, f"{where}.{key}".removeprefix("."), depth + 1)
            for key, inner in value.items()
        }
    raise ValueError(f"{where or 'it'} holds a {type(value).__name__}, which JSON does not have")


def _any_json(value: Any) -> Any:
    return _json(value)


Json = Annotated[Any, PlainValidator(_any_json)]
"""Anything JSON can hold."""

JsonObject = Annotated[dict[str, Any], AfterValidator(_any_json)]
"""An object of anything JSON can hold."""
