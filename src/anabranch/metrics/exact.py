"""Numbers that add up exactly: to the cent, and to the same digits in whatever order they come.

A JSON number is taken as the shortest decimal that stands for it (Python's ``repr``), so 0.1 is
one tenth. Sums and sums of squares are decimals that are never rounded; the one rounding is
:func:`float` at the end, which is correct to the last bit.

Magnitudes are bounded, so that one absurd value cannot make every later sum thousands of digits
long: a value is zero, or its magnitude lies between :data:`LEAST` and :data:`GREATEST`.
"""

from __future__ import annotations

from decimal import (
    ROUND_HALF_EVEN,
    Context,
    Decimal,
    DivisionByZero,
    Inexact,
    InvalidOperation,
    Overflow,
)
from typing import Final

from anabranch.errors import EventSchemaError

__all__ = [
    "EXACT",
    "GREATEST",
    "LEAST",
    "Exact",
    "add",
    "check",
    "decimal",
    "from_text",
    "multiply",
    "text",
]

GREATEST: Final = 1e18
"""Largest magnitude of a value that a metric takes: nanoseconds since 1970 still fit."""

LEAST: Final = 1e-30
"""Smallest magnitude but zero."""

EXACT: Final = Context(
    prec=2000,
    rounding=ROUND_HALF_EVEN,
    traps=[InvalidOperation, DivisionByZero, Overflow, Inexact],
)
"""Arithmetic that raises rather than rounds. A square needs at most 37 digits before the point
and 92 after it, which leaves room for more additions than there will ever be."""

add: Final = EXACT.add
"""The sum of two exact numbers."""

multiply: Final = EXACT.multiply
"""Their product."""

Exact = Decimal | int
"""An exact number. Counts stay integers, which are exact and cheaper; ``EXACT`` takes both."""


def check(value: object, what: str) -> int | float:
    """The value as a number a metric can take.

    Args:
        value: What the event carries.
        what: What it is, for the message: ``property 'amount' of 'shop.order'``.

    Raises:
        EventSchemaError: it is not a number, or of a magnitude that is not taken.
    """
    kind = type(value)
    if kind is not int and kind is not float:
        raise EventSchemaError(
            f"{what} is {_describe(value)}, but a metric adds it up: send a JSON number"
        )
    number: int | float = value  # type: ignore[assignment]  # narrowed by the test above
    if number and not LEAST <= abs(number) <= GREATEST:
        raise EventSchemaError(
            f"{what} is {_shown(number)}; a metric takes zero and magnitudes from {LEAST:g} to "
            f"{GREATEST:g}: send it in another unit of measure"
        )
    return number


def _describe(value: object) -> str:
    if isinstance(value, bool):
        return f"the boolean {str(value).lower()}"
    if isinstance(value, str):
        return f"the string {value[:40]!r}"
    return {dict: "an object", list: "an array", type(None): "null"}.get(
        type(value), f"a {type(value).__name__}"
    )


def _shown(number: float) -> str:
    if isinstance(number, int) and abs(number) > 10**30:
        return "an integer of more than 30 digits"
    return repr(number)


def decimal(value: float) -> Decimal:
    """The exact decimal of a checked number."""
    return Decimal(value) if type(value) is int else Decimal(repr(value))


def from_text(value: str) -> Decimal:
    """The decimal that :func:`text` wrote."""
    return EXACT.create_decimal(value)


def text(value: Exact) -> str:
    """Plain digits, one spelling for each number: ``"12.5"``, never ``"1.25E+1"``."""
    if not value:
        return "0"
    digits = str(value)
    if "E" in digits:
        digits = format(value, "f")
    return digits.rstrip("0").rstrip(".") if "." in digits else digits
