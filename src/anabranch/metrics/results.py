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
ratio        numerator over denominator     that ratio, by the delta method
funnel       units that took every step     share of units that took every step
p50 … p99    quantile over events or units  that quantile
===========  =============================  ==========================================

Of a winsorized metric the totals within their bounds are compared; with a covariate, what is left
of the totals once what units did before is taken out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Final, TypeVar

from anabranch.metrics import quantiles
from anabranch.metrics.best import probabilities_to_be_best
from anabranch.metrics.exact import Exact
from anabranch.metrics.lift import fixed_lift, sequential_lift, sequential_mean
from anabranch.metrics.moments import Moments
from anabranch.metrics.plan import is_quantile
from anabranch.metrics.quantiles import EventQuantiles, Quantiles, UnitQuantiles
from anabranch.metrics.samples import Arm, RatioSample, Sample, adjust
from anabranch.metrics.sequential import sequential
from anabranch.metrics.sketch import quantile, with_idle
from anabranch.metrics.welch import Bounds, Difference, welch
from anabranch.specs import ExperimentSpec, TargetedAllocation

A = TypeVar("A", bound=Arm)

UNITS: Final = frozenset({"unique", "funnel"})
"""Aggregations in which a unit counts once or not at all."""

__all__ = [
    "Adjustment",
    "ArmFigures",
    "Contrast",
    "arm_figures",
    "best",
    "contrast",
    "expected_shares",
    "value_of",
]


@dataclass(frozen=True, slots=True)
class ArmFigures:
    """One metric of one arm.

    Attributes:
        converted: Units with at least one event.
        rate: ``converted`` per unit.
        sum: Of the property's values; of events for ``count``, of units converted for ``unique``.
        mean: ``sum`` per unit; of a winsorized metric, the totals within their bounds per unit.
        event_mean: ``sum`` per event.
        value: See the module; None without data.
        denominator: Of a ratio, what ``sum`` is over.
        steps: Of a funnel, the units that took each step.
        interval: Of ``mean``, of a ratio of ``value``; for any number of looks.
    """

    units: int
    events: int
    converted: int
    rate: float | None
    sum: float
    mean: float | None
    event_mean: float | None
    value: float | None
    denominator: float | None = None
    steps: list[int] | None = None
    interval: Bounds | None = None


@dataclass(frozen=True, slots=True)
class Adjustment:
    """What a covariate changed.

    Attributes:
        theta: Slope of the metric on the covariate.
        difference: Without it.
        variance_reduction: Share of the difference's variance that is gone.
    """

    theta: float
    difference: float
    variance_reduction: float


@dataclass(frozen=True, slots=True)
class Contrast:
    """An arm against control; None where there is too little data to tell.

    Attributes:
        fixed: Valid for one look at a planned size.
        sequential: Valid for any number of looks.
        adjustment: Where a covariate was taken into account.
        fixed_lift: Interval of the relative lift, for one look.
        sequential_lift: The same for any number of looks.
    """

    difference: float | None = None
    relative_lift: float | None = None
    fixed: Difference | None = None
    sequential: Difference | None = None
    adjustment: Adjustment | None = None
    fixed_lift: Bounds | None = None
    sequential_lift: Bounds | None = None


def value_of(
    aggregation: str,
    *,
    units: int,
    events: int,
    total: Exact,
    bins: Mapping[str, int],
    beside: Exact = 0,
) -> float | None:
    """What the aggregation comes to over some events; None if there are none.

    Args:
        aggregation: count, sum, avg, unique, ratio, funnel or pNN.
        units: Distinct units with an event.
        events: How many events.
        total: Exact sum of their values.
        bins: Sketch of their values.
        beside: Exact sum of a ratio's denominators.
    """
    if aggregation == "ratio":
        return float(Fraction(total) / Fraction(beside)) if beside else None
    if events <= 0:
        return None
    if aggregation == "count":
        return float(events)
    if aggregation in UNITS:
        return float(units)
    if aggregation == "sum":
        return float(total)
    if aggregation == "avg":
        return _ratio(total, events)
    return quantile(bins, int(aggregation[1:]) / 100)


def arm_figures(
    aggregation: str,
    units: int,
    moments: Moments,
    *,
    winsorized: bool = False,
    steps: int = 0,
    per_unit: bool = False,
) -> ArmFigures:
    """The figures of an arm of so many units; a funnel has so many steps.

    A quantile ``per_unit`` is over the totals of all units.
    """
    total = _total(aggregation, moments)
    compared = _compared(aggregation, winsorized, units, moments)
    return ArmFigures(
        units=units,
        events=moments.events,
        converted=moments.converted,
        rate=_ratio(moments.converted, units),
        sum=float(total),
        mean=_ratio(moments.capped if winsorized else total, units),
        event_mean=_ratio(total, moments.events),
        value=value_of(
            aggregation,
            units=moments.converted,
            events=moments.events,
            total=moments.sum,
            bins=with_idle(units, moments.bins) if per_unit else moments.bins,
            beside=moments.beside,
        ),
        denominator=float(moments.beside) if aggregation == "ratio" else None,
        steps=_reached(moments.bins, steps) if aggregation == "funnel" else None,
        interval=None if compared is None else sequential_mean(compared),
    )


def best(
    aggregation: str,
    arms: Sequence[tuple[int, Moments]],
    *,
    winsorized: bool = False,
    increase: bool = True,
) -> list[float] | None:
    """Each arm's probability to be the best, see :mod:`~anabranch.metrics.best`.

    A covariate is not taken into account. None of quantiles, and with too little data.
    """
    compared = [_compared(aggregation, winsorized, *arm) for arm in arms]
    if any(arm is None for arm in compared):
        return None
    return probabilities_to_be_best([arm for arm in compared if arm], increase=increase)


def _compared(
    aggregation: str, winsorized: bool, units: int, moments: Moments
) -> RatioSample | Sample | None:
    """What of an arm is compared, without a covariate; None of quantiles or without data."""
    if is_quantile(aggregation) or not units:
        return None
    both = _with_second(aggregation, winsorized, units, moments)
    if aggregation != "ratio":
        return _plain(both)
    return both if both.beside > 0 else None


def contrast(
    aggregation: str,
    variant: tuple[int, Moments],
    control: tuple[int, Moments],
    *,
    winsorized: bool = False,
    adjusted: bool = False,
    per_unit: bool = False,
) -> Contrast:
    """Compare an arm with control, each given as its units and moments.

    Args:
        aggregation: How the metric adds up.
        variant: The arm.
        control: What it is compared with.
        winsorized: The units' totals have bounds.
        adjusted: The moments hold a covariate, to be taken into account.
        per_unit: The quantile is over units.
    """
    if is_quantile(aggregation):
        return _quantile_contrast(int(aggregation[1:]) / 100, variant, control, per_unit=per_unit)
    if not variant[0] or not control[0]:
        return Contrast()
    ours, theirs = (_with_second(aggregation, winsorized, *arm) for arm in (variant, control))
    if aggregation == "ratio":
        return _contrast(ours, theirs) if ours.beside > 0 < theirs.beside else Contrast()
    if adjusted:
        return _adjusted_contrast(ours, theirs)
    return _contrast(_plain(ours), _plain(theirs))


def _contrast(ours: A, theirs: A) -> Contrast:
    difference = ours.mean - theirs.mean
    return Contrast(
        difference=float(difference),
        relative_lift=float(difference / theirs.mean) if theirs.mean else None,
        fixed=welch(ours, theirs),
        sequential=sequential(ours, theirs),
        fixed_lift=fixed_lift(ours, theirs),
        sequential_lift=sequential_lift(ours, theirs),
    )


def _quantile_contrast(
    q: float, variant: tuple[int, Moments], control: tuple[int, Moments], *, per_unit: bool
) -> Contrast:
    arms: list[Quantiles] = []
    values = []
    for units, moments in (variant, control):
        bins = with_idle(units, moments.bins) if per_unit else moments.bins
        value = quantile(bins, q)
        if value is None:
            return Contrast()
        values.append(value)
        arms.append(
            UnitQuantiles.of(units, bins)
            if per_unit
            else EventQuantiles.of(units, bins, moments.pairs, moments.others)
        )
    ours, theirs = values
    return Contrast(
        difference=ours - theirs,
        relative_lift=(ours - theirs) / theirs if theirs else None,
        fixed=quantiles.fixed(arms[0], arms[1], q, (ours, theirs)),
        sequential=quantiles.sequential(arms[0], arms[1], q),
    )


def _adjusted_contrast(ours: RatioSample, theirs: RatioSample) -> Contrast:
    plain = _plain(ours), _plain(theirs)
    made = adjust(ours, theirs)
    if made is None:
        return _contrast(*plain)
    before, after = (sum(arm.variance / arm.units for arm in arms) for arms in (plain, made[:2]))
    return replace(
        _contrast(*made[:2]),
        adjustment=Adjustment(
            theta=float(made[2]),
            difference=float(plain[0].mean - plain[1].mean),
            variance_reduction=float(1 - after / before) if before else 0.0,
        ),
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
    return moments.converted if aggregation in UNITS else moments.sum


def _reached(bins: dict[str, int], steps: int) -> list[int]:
    """From how many units came to which step and no further: how many took each."""
    return [
        sum(count for last, count in bins.items() if int(last) >= step)
        for step in range(1, steps + 1)
    ]


def _with_second(aggregation: str, winsorized: bool, units: int, moments: Moments) -> RatioSample:
    """Both totals of an arm's units."""
    total, squares = moments.sum, moments.sum_squares
    if aggregation in UNITS:
        # A unit's total is worth 1 or 0, and so is its square.
        total = squares = moments.converted
    elif winsorized:
        total = moments.capped
    return RatioSample(
        units,
        Fraction(total),
        Fraction(squares),
        Fraction(moments.beside),
        Fraction(moments.beside_squares),
        Fraction(moments.cross),
    )


def _plain(arm: RatioSample) -> Sample:
    return Sample(arm.units, arm.total, arm.squares)


def _ratio(total: Exact, count: int) -> float | None:
    """Correctly rounded: the division is of exact numbers."""
    return float(Fraction(total) / count) if count > 0 else None
