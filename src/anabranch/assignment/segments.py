"""Which segments of an experiment a context belongs to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from anabranch.specs.segments import OTHER, Segment

__all__ = ["segments_of"]


def segments_of(
    segments: Sequence[Segment], attributes: Mapping[str, Any] | None
) -> dict[str, str]:
    """Attribute to the value that the context counts for: one of the segment's, or ``other``."""
    given = attributes or {}
    return {
        segment.attribute: label
        if (label := _text(given.get(segment.attribute))) in segment.values
        else OTHER
        for segment in segments
    }


def _text(value: Any) -> str:
    """As JSON writes it; of what is neither text, number nor boolean, nothing that can be named."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() else repr(value)
    return OTHER
