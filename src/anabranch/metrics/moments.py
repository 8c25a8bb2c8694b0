"""What is kept of one metric over all units of an arm: enough for every aggregation."""

from __future__ import annotations

from typing import Any, Self

from anabranch.metrics.exact import EXACT, Exact, from_text, text
from anabranch.metrics.sketch import add_bins

__all__ = ["Moments"]


class Moments:
    """Cumulative moments, or a change of them. Exact; adding is commutative and associative.

    Attributes:
        converted: Units with at least one counted event.
        events: Counted events.
        sum: Sum of their values.
        sum_squares: Sum over units of (the unit's total) squared.
        event_squares: Sum over events of (the value) squared.
        bins: Sketch of the values, for quantile metrics.
        capped: Sum over units of what a unit's total is worth, for winsorized metrics, whose
            ``sum_squares`` is of that too.
        beside: Sum over units of the second total, a ratio's denominator or a covariate.
        beside_squares: Sum over units of (the second total) squared.
        cross: Sum over units of the product of both totals.
        pairs: Of quantiles over events, see :mod:`~anabranch.metrics.pairs`.
        others: Likewise.
        excluded: Units left out of the metric, for what they did before their first exposure.
    """

    __slots__ = (
        "beside",
        "beside_squares",
        "bins",
        "capped",
        "converted",
        "cross",
        "event_squares",
        "events",
        "excluded",
        "others",
        "pairs",
        "sum",
        "sum_squares",
    )

    def __init__(
        self,
        converted: int = 0,
        events: int = 0,
        sum: Exact = 0,  # noqa: A002  # the field's name everywhere
        sum_squares: Exact = 0,
        event_squares: Exact = 0,
        bins: dict[str, int] | None = None,
        capped: Exact = 0,
        beside: Exact = 0,
        beside_squares: Exact = 0,
        cross: Exact = 0,
        pairs: dict[str, int] | None = None,
        others: dict[str, int] | None = None,
        excluded: int = 0,
    ) -> None:
        self.converted = converted
        self.events = events
        self.sum = sum
        self.sum_squares = sum_squares
        self.event_squares = event_squares
        self.bins: dict[str, int] = {} if bins is None else bins
        self.capped = capped
        self.beside = beside
        self.beside_squares = beside_squares
        self.cross = cross
        self.pairs: dict[str, int] = {} if pairs is None else pairs
        self.others: dict[str, int] = {} if others is None else others
        self.excluded = excluded

    def add(self, other: Moments, sign: int = 1) -> None:
        """Take a change in, in place; with a ``sign`` of -1 take it back."""
        add = EXACT.add if sign > 0 else EXACT.subtract
        self.converted += sign * other.converted
        self.events += sign * other.events
        self.excluded += sign * other.excluded
        self.sum = add(self.sum, other.sum)
        self.sum_squares = add(self.sum_squares, other.sum_squares)
        self.event_squares = add(self.event_squares, other.event_squares)
        if other.bins:
            add_bins(self.bins, other.bins, sign)
        if other.others or other.pairs:
            add_bins(self.pairs, other.pairs, sign)
            add_bins(self.others, other.others, sign)
        if other.extended:
            self.capped = add(self.capped, other.capped)
            self.beside = add(self.beside, other.beside)
            self.beside_squares = add(self.beside_squares, other.beside_squares)
            self.cross = add(self.cross, other.cross)

    @property
    def extended(self) -> bool:
        """Whether there is anything of a winsorized metric or one with a second total."""
        return bool(self.beside or self.beside_squares or self.cross or self.capped)

    def __bool__(self) -> bool:
        """Whether anything is there: a change that cancels out is none."""
        return bool(
            self.converted
            or self.events
            or self.sum
            or self.sum_squares
            or self.event_squares
            or self.bins
            or self.others
            or self.pairs
            or self.excluded
            or self.extended
        )

    @classmethod
    def from_state(cls, value: list[Any]) -> Self:
        converted, events, total, squares, event_squares, bins, *more = value
        return cls(
            converted,
            events,
            from_text(total),
            from_text(squares),
            from_text(event_squares),
            bins,
            *map(from_text, more[:4]),  # type: ignore[arg-type]  # four exact numbers, or none
            *more[4:],
        )

    def to_state(self) -> list[Any]:
        return [
            self.converted,
            self.events,
            text(self.sum),
            text(self.sum_squares),
            text(self.event_squares),
            self.bins,
            *(
                map(text, (self.capped, self.beside, self.beside_squares, self.cross))
                if self.extended or self.others or self.pairs or self.excluded
                else ()
            ),
            *((self.pairs, self.others) if self.others or self.pairs or self.excluded else ()),
            *((self.excluded,) if self.excluded else ()),
        ]
