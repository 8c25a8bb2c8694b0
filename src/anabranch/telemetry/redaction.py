"""Masking of what must not travel on: personal, redacted and sensitive properties."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from anabranch.specs.telemetry import TelemetryEventSpec

__all__ = ["REDACTED", "mask", "masked_names", "redact"]

REDACTED: Final = "REDACTED"
"""What a masked string becomes."""


def mask(value: Any) -> Any:
    """A value of the same shape that says nothing.

    Text becomes ``"REDACTED"``, numbers 0, booleans false, null stays; objects keep their keys and
    lists their length, masked inside.
    """
    if isinstance(value, str):
        return REDACTED
    if isinstance(value, bool):
        return False
    if isinstance(value, (int, float)):
        return 0
    if isinstance(value, Mapping):
        return {key: mask(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [mask(inner) for inner in value]
    return None if value is None else REDACTED


def masked_names(event: TelemetryEventSpec) -> tuple[str, ...]:
    """Properties that are masked: flagged pii or redact, or any of a sensitive event."""
    return tuple(name for name in event.properties if event.masks(name))


def redact(event: TelemetryEventSpec, properties: Mapping[str, Any]) -> dict[str, Any]:
    """A copy with the event's protected properties masked.

    Undeclared properties are masked too, for nobody has said that they may be shown.
    """
    return {
        name: mask(value) if name not in event.properties or event.masks(name) else value
        for name, value in properties.items()
    }
