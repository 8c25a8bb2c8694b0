"""``# anabranch: ignore AB110 -- why``: findings that were looked at and are meant."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

__all__ = ["Ignore", "read_ignores"]

_COMMENT: Final = re.compile(
    r"(?P<before>^|.*?\s)\#\s*anabranch:\s*ignore\b(?P<codes>[\sA-Z0-9,]*)(?:--\s*(?P<reason>.*))?"
)
_CODE: Final = re.compile(r"AB\d{3}")


@dataclass(frozen=True, slots=True)
class Ignore:
    """One comment.

    Attributes:
        line: Where it stands, from 1.
        last: Last line of those it is about; of a comment that stands alone, the next line that
            is neither empty nor a comment, else its own.
        codes: Rules it is about.
        reason: Empty where it gives none.
    """

    line: int
    last: int
    codes: tuple[str, ...]
    reason: str


def read_ignores(text: str) -> Iterator[Ignore]:
    """The comments of a YAML or Python file; JSON has none."""
    lines = text.splitlines()
    for number, line in enumerate(lines, start=1):
        found = _COMMENT.match(line)
        if found is None:
            continue
        last = number
        if not found["before"].strip():
            last += 1
            while last < len(lines) and not lines[last - 1].partition("#")[0].strip():
                last += 1
        codes = tuple(_CODE.findall(found["codes"]))
        yield Ignore(number, last, codes, (found["reason"] or "").strip())
