"""A run's moments as figures per arm and comparisons with control.

What an aggregation's ``value`` is, and what is compared:

===========  =============================  ==========================================
aggregation  value of an arm                difference of
===========  =============================  ==========================================
count        events                         events per unit
sum          sum of the property            sum per unit
avg          mean per event                 sum per unit: units were randomised, so it
                                            is over units that arms can be compared
unique       units that converted           share of units that converted
p50 … p99    quantile over events           that quantile; no interval so far
===========  =============================  ==========================================
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from anabranch.metrics.exact import Exact
from anabranch.metrics.moments import Moments
from anabranch.metrics.plan import is_quantile
from anabranch.metrics.sequential import sequential
from anabranch.metrics.sketch import quantile
from anabranch.metrics.welch import Difference, Sample, welch
from anabranch.specs import ExperimentSpec, TargetedAllocation

__all__ = ["ArmFigures", "Contrast", "arm_figures", "contrast", "expected_shares", "value_of"]


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One metric of one arm.

    Attributes:
        converted: Units with at least one event.
        rate: ``converted`` per unit.
        sum: Of the property's values; of events for ``count``, of units converted for ``unique``.
        mean: ``sum`` per unit.
        event_mean: ``sum`` per event.
        value: See the module; None without data.
    """

    units: int
    events: int
    converted: int
    rate: float | None
    sum: float
    mean: float | None
    event_mean: float | None
    value: float | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """An arm against control; None where there is too little data to tell.

    Attributes:
        fixed: Valid for one look at a planned size.
        sequential: Valid for any number of looks.
    """

    difference: float | None = None
    relative_lift: float | None = None
    fixed: Difference | None = None
    sequential: Difference | None = None


def value_of(
    aggregation: str, *, units: int, events: int, total: Exact, bins: dict[str, int]
) -> float | None:
    """What the aggregation comes to over some events; None if there are none.

    Args:
        aggregation: count, sum, avg, unique or pNN.
        units: Distinct units with an event.
        events: How many events.
        total: Exact sum of their values.
        bins: Sketch of their values.
    """
    if events <= 0:
        return None
    if aggregation == "count":
        return float(events)
    if aggregation == "unique":
        return float(units)
    if aggregation == "sum":
        return float(total)
    if aggregation == "avg":
        return _ratio(total, events)
    return quantile(bins, int(aggregation[1:]) / 100)


def arm_figures(aggregation: str, units: int, moments: Moments) -> ArmFigures:
    """The figures of an arm of so many units."""
    total = _total(aggregation, moments)
    return ArmFigures(
        units=units,
        events=moments.events,
        converted=moments.converted,
        rate=_ratio(moments.converted, units),
        sum=float(total),
        mean=_ratio(total, units),
        event_mean=_ratio(total, moments.events),
        value=value_of(
            aggregation,
            units=moments.converted,
            events=moments.events,
            total=moments.sum,
            bins=moments.bins,
        ),
    )


def contrast(
    aggregation: str,
    variant: tuple[int, Moments],
    control: tuple[int, Moments],
) -> Contrast:
    """Compare an arm with control, each given as its units and moments."""
    if is_quantile(aggregation):
        q = int(aggregation[1:]) / 100
        high, low = quantile(variant[1].bins, q), quantile(control[1].bins, q)
        if high is None or low is None:
            return Contrast()
        return Contrast(high - low, (high - low) / low if low else None)
    ours, theirs = (_sample(aggregation, *arm) for arm in (variant, control))
    if not ours.units or not theirs.units:
        return Contrast()
    difference = ours.mean - theirs.mean
    return Contrast(
        difference=float(difference),
        relative_lift=float(difference / theirs.mean) if theirs.mean else None,
        fixed=welch(ours, theirs),
        sequential=sequential(ours, theirs),
    )


def expected_shares(spec: ExperimentSpec) -> dict[str, float]:
    """The share of units that each variant should get; empty where that cannot be known.

    Random and sticky allocations split by weight. Targeting rules send units to a variant by who
    they are, and how many such units there are is nowhere written, with either fallback: a test
    against the weights would raise a false alarm for every rule that matches.
    """
    if isinstance(spec.allocation, TargetedAllocation):
        return {}
    weights = {variant.id: Fraction(variant.weight) for variant in spec.variants}
    total = sum(weights.values())
    return {variant: float(weight / total) for variant, weight in weights.items()}


def _total(aggregation: str, moments: Moments) -> Exact:
    return moments.converted if aggregation == "unique" else moments.sum


def _sample(aggregation: str, units: int, moments: Moments) -> Sample:
    if aggregation == "unique":
        # A unit's total is 1 or 0, and so is its square.
        return Sample(units, Fraction(moments.converted), Fraction(moments.converted))
    return Sample(units, Fraction(moments.sum), Fraction(moments.sum_squares))


def _ratio(total: Exact, count: int) -> float | None:
    """Correctly rounded: the division is of exact numbers."""
    return float(Fraction(total) / count) if count > 0 else None
