"""What a unit's totals come to, and what a change of them moves in the moments over all units.

A unit has a total of each metric, and of some metrics a second one beside it: a ratio's
denominator, or what the unit did before its first exposure (a covariate). Over units are kept the
sums of both totals, of their squares and of their products. A total enters them as what it is
*worth*: itself, as a rule; within the bounds of a winsorized metric; 1 for one that counts units.

Totals lie in a dict by the name of their measure. One is ``[events]``, of measures over a property
``[events, sum, sum of squares]``, of quantiles with the unit's bins as a fourth; one beside it is
``[events]`` or ``[events, sum]``. Of a funnel it is ``[steps, times of the steps, complete]``.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from anabranch.metrics.changes import VariantChanges
from anabranch.metrics.exact import EXACT, Exact, add, decimal, from_text, multiply, text
from anabranch.metrics.moments import Moments
from anabranch.metrics.pairs import count_pairs, retract_pairs
from anabranch.metrics.plan import Measure, main_of
from anabranch.metrics.sketch import add_bins, bin_of

__all__ = ["Totals", "bin_name", "completed", "count", "count_plain", "retract", "walk"]

Totals = dict[str, list[Any]]


def bin_name(measure: Measure, value: float) -> str | None:
    """The sketch's bin of a value; None if the measure has no sketch."""
    return bin_of(value) if measure.sketched else None


def count_plain(
    totals: Totals, moments: Moments, measure: Measure, value: float
) -> tuple[Exact, str | None]:
    """:func:`count` one more observation for a plain measure, in fewer steps: most are that."""
    kept = totals.get(measure.name)
    if kept is None:
        kept = totals[measure.name] = _nothing(measure)
        moments.converted += 1
    events = kept[0]
    kept[0] = events + 1
    moments.events += 1
    if measure.property is None:
        moments.sum += 1
        moments.sum_squares += 2 * events + 1
        moments.event_squares += 1
        return 1, None
    amount = decimal(value)
    square = multiply(amount, amount)
    moments.sum = add(moments.sum, amount)
    moments.event_squares = add(moments.event_squares, square)
    if events:
        was = Decimal(kept[1])
        becomes = add(was, amount)
        moments.sum_squares = add(moments.sum_squares, multiply(amount, add(was, becomes)))
        kept[1] = str(becomes)
        kept[2] = str(add(Decimal(kept[2]), square))
    else:
        moments.sum_squares = add(moments.sum_squares, square)
        kept[1] = str(amount)
        kept[2] = str(square)
    if not measure.sketched:
        return amount, None
    name = bin_of(value)
    moments.bins[name] = moments.bins.get(name, 0) + 1
    if events:
        count_pairs(kept[3], name, moments.pairs, moments.others, 1)
    kept[3][name] = kept[3].get(name, 0) + 1
    return amount, name


def count(
    totals: Totals, of_variant: VariantChanges, measure: Measure, value: float, sign: int
) -> tuple[Exact, str | None]:
    """Count an observation for the unit (``sign`` 1) or take it back (-1): totals and moments.

    Returns:
        The exact value and its bin.
    """
    if measure.main is not None:
        return _count_beside(totals, of_variant, measure, measure.main, value, sign), None
    moments = of_variant.moments[measure.name]
    kept = totals.get(measure.name)
    if kept is None:
        kept = totals[measure.name] = _nothing(measure)
    plain = measure.bounds is None and measure.beside is None
    before = 0 if plain else _worth(measure, kept)
    events = kept[0]
    if measure.per_unit and events:
        add_bins(moments.bins, {bin_of(float(_total(kept))): 1}, -1)
    kept[0] = events + sign
    moments.events += sign
    amount: Exact
    if measure.property is None:
        amount, name = 1, None
        moments.sum += sign
        if measure.bounds is None:
            moments.sum_squares += 2 * sign * events + 1
        moments.event_squares += sign
    else:
        amount, name = decimal(value), bin_name(measure, value)
        _add_value(kept, moments, amount, sign, squared=measure.bounds is None)
        if name is not None:
            add_bins(moments.bins, {name: 1}, sign)
            if sign < 0:
                add_bins(kept[3], {name: 1}, sign)
            count_pairs(kept[3], name, moments.pairs, moments.others, sign)
            if sign > 0:
                add_bins(kept[3], {name: 1}, sign)
    if not plain:
        _move(totals, moments, measure, before, _worth(measure, kept))
    if measure.per_unit and kept[0]:
        add_bins(moments.bins, {bin_of(float(_total(kept))): 1})
    if events == 0:
        moments.converted += 1
    if kept[0] == 0:
        moments.converted -= 1
        del totals[measure.name]
    return amount, name


def walk(totals: Totals, of_variant: VariantChanges, measure: Measure, times: list[int]) -> None:
    """The unit has come so far through a funnel: when it took each of its first steps.

    Over units are kept, as bins, how many have come to which step and no further.
    """
    moments = of_variant.moments[measure.name]
    kept = totals.pop(measure.name, None)
    if kept is not None:
        _walked(moments, kept, -1)
    if times:
        now = [len(times), times, int(len(times) == len(measure.steps))]
        totals[measure.name] = now
        _walked(moments, now, 1)


def completed(kept: list[Any] | None) -> int | None:
    """When the unit completed the funnel, by its total; None if it has not."""
    if kept is None or not kept[2]:
        return None
    last: int = kept[1][-1]
    return last


def _walked(moments: Moments, kept: list[Any], sign: int) -> None:
    steps, _, complete = kept
    add_bins(moments.bins, {str(steps): 1}, sign)
    moments.converted += sign * complete
    moments.events += sign * complete
    moments.sum = EXACT.add(moments.sum, sign * complete)


def retract(totals: Totals, of_variant: VariantChanges, measures: Iterable[Measure]) -> None:
    """Take all that a unit's totals added to the moments back; the totals themselves stay."""
    known = {measure.name: measure for measure in measures}
    for name, kept in totals.items():
        main = main_of(name)
        if main is not None:
            beside = _total(kept)
            moments = of_variant.moments[main]
            moments.beside = EXACT.subtract(moments.beside, beside)
            moments.beside_squares = EXACT.subtract(moments.beside_squares, _square(beside))
            continue
        moments = of_variant.moments[name]
        if len(kept) > 1 and isinstance(kept[1], list):
            _walked(moments, kept, -1)
            continue
        measure = known.get(name)
        total = _total(kept)
        moments.converted -= 1
        moments.events -= kept[0]
        moments.sum = EXACT.subtract(moments.sum, total)
        squares = kept[0] if len(kept) == 1 else from_text(kept[2])
        moments.event_squares = EXACT.subtract(moments.event_squares, squares)
        if measure is None or measure.bounds is None:
            moments.sum_squares = EXACT.subtract(moments.sum_squares, _square(total))
        if measure is not None and (measure.bounds or measure.beside):
            _move(totals, moments, measure, _worth(measure, kept), 0)
        if len(kept) == 4:
            add_bins(moments.bins, kept[3], -1)
            retract_pairs(kept[3], moments.pairs, moments.others)
        if measure is not None and measure.per_unit:
            add_bins(moments.bins, {bin_of(float(total)): 1}, -1)


def _count_beside(
    totals: Totals,
    of_variant: VariantChanges,
    measure: Measure,
    main: Measure,
    value: float,
    sign: int,
) -> Exact:
    """A second total that grows by d has a square that grows by d(2t + d), a product by d."""
    kept = totals.get(measure.name)
    if kept is None:
        kept = totals[measure.name] = [0] if measure.property is None else [0, "0"]
    amount: Exact = 1 if measure.property is None else decimal(value)
    change = amount if sign > 0 else EXACT.minus(amount)
    was = _total(kept)
    becomes = EXACT.add(was, change)
    moments = of_variant.moments[main.name]
    moments.beside = EXACT.add(moments.beside, change)
    moments.beside_squares = EXACT.add(
        moments.beside_squares, EXACT.multiply(change, EXACT.add(was, becomes))
    )
    own = totals.get(main.name)
    if own is not None:
        moments.cross = EXACT.add(moments.cross, EXACT.multiply(change, _worth(main, own)))
    kept[0] += sign
    if measure.property is not None:
        kept[1] = text(becomes)
    if kept[0] == 0:
        del totals[measure.name]
    return amount


def _move(totals: Totals, moments: Moments, measure: Measure, before: Exact, after: Exact) -> None:
    """The unit's total is worth something else: the sums that depend on its worth."""
    change = EXACT.subtract(after, before)
    if not change:
        return
    if measure.bounds is not None:
        moments.capped = EXACT.add(moments.capped, change)
        moments.sum_squares = EXACT.add(
            moments.sum_squares, EXACT.multiply(change, EXACT.add(before, after))
        )
    beside = None if measure.beside is None else totals.get(measure.beside)
    if beside is not None:
        moments.cross = EXACT.add(moments.cross, EXACT.multiply(change, _total(beside)))


def _worth(measure: Measure, kept: list[Any]) -> Exact:
    if not kept[0]:
        return 0
    if measure.units_only:
        return 1
    total = _total(kept)
    if measure.bounds is not None:
        lower, upper = measure.bounds
        if lower is not None and total < lower:
            return lower
        if upper is not None and total > upper:
            return upper
    return total


def _total(kept: list[Any]) -> Exact:
    """Sum of the values; of occurrences where there is no property."""
    total: Exact = kept[0] if len(kept) == 1 else from_text(kept[1])
    return total


def _square(total: Exact) -> Exact:
    return EXACT.multiply(total, total)


def _nothing(measure: Measure) -> list[Any]:
    if measure.property is None:
        return [0]
    return [0, "0", "0", {}] if measure.sketched else [0, "0", "0"]


def _add_value(
    kept: list[Any], moments: Moments, amount: Decimal, sign: int, *, squared: bool
) -> None:
    """Sums and squares; a unit's total that grows by d has a square that grows by d(2t + d)."""
    square = EXACT.multiply(amount, amount)
    if sign < 0:
        amount, square = amount.copy_negate(), square.copy_negate()
    was, was_squares = from_text(kept[1]), from_text(kept[2])
    becomes = EXACT.add(was, amount)
    moments.sum = EXACT.add(moments.sum, amount)
    if squared:
        moments.sum_squares = EXACT.add(
            moments.sum_squares, EXACT.multiply(amount, EXACT.add(was, becomes))
        )
    moments.event_squares = EXACT.add(moments.event_squares, square)
    kept[1] = text(becomes)
    kept[2] = text(EXACT.add(was_squares, square))
