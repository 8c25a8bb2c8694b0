"""Strings as JavaScript has them: sequences of UTF-16 code units; and numbers as strings.

Python's strings are sequences of characters, so the two differ where a character lies beyond the
Basic Multilingual Plane or where half of one stands alone.
"""

from __future__ import annotations

import math
from typing import Final

__all__ = ["Units", "join_surrogates", "number_to_string", "trim", "utf16_less"]


class Units:
    """A string seen as UTF-16 code units; as it is where it has no character beyond the BMP."""

    __slots__ = ("_bytes", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        wide = not text.isascii() and max(text) > "\uffff"
        self._bytes = text.encode("utf-16-le", "surrogatepass") if wide else None

    def __len__(self) -> int:
        return len(self._text) if self._bytes is None else len(self._bytes) // 2

    def part(self, start: int, end: int) -> str:
        if self._bytes is None:
            return self._text[start:end]
        return self._bytes[2 * start : 2 * end].decode("utf-16-le", "surrogatepass")

    def find(self, text: str, start: int) -> int:
        """Position from ``start`` on, -1 when not there."""
        if self._bytes is None:
            return self._text.find(text, start)
        wanted = text.encode("utf-16-le", "surrogatepass")
        at = 2 * start
        while (at := self._bytes.find(wanted, at)) % 2:
            if at < 0:
                return -1
            at += 1
        return at // 2


def join_surrogates(text: str) -> str:
    """The text with halves of one character that meet joined to that character."""
    if text.isascii() or not any("\ud800" <= character <= "\udfff" for character in text):
        return text
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def utf16_less(left: str, right: str) -> bool:
    """Whether ``left`` sorts before ``right``, code unit by code unit."""
    if left.isascii() or right.isascii():
        return left < right
    return left.encode("utf-16-be", "surrogatepass") < right.encode("utf-16-be", "surrogatepass")


_BLANKS: Final = (
    "\t\n\v\f\r \u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000\ufeff"
)


def trim(text: str) -> str:
    """Without JavaScript's white space at both ends."""
    return text.strip(_BLANKS)


def number_to_string(value: float) -> str:
    """Number::toString: the shortest digits that read back as the same number, as Python's."""
    if value != value:  # noqa: PLR0124 - NaN differs from itself
        return "NaN"
    if math.isinf(value):
        return "Infinity" if value > 0 else "-Infinity"
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # The number is 0.DIGITS times ten to the power of point.
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"
