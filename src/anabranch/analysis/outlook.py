"""What an experiment can find with the units that it has, and how long it still takes.

The variances are those of the results: an arm's interval of its mean is so many standard errors
wide as its units say, and so gives them back.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec

from anabranch.analysis.rows import moment
from anabranch.errors import UnknownSpecError
from anabranch.events.models import MetricResult, MetricVariantResult, Results
from anabranch.metrics.duration import expected_duration, variance_of_mean
from anabranch.metrics.power import least_difference
from anabranch.specs.explain import nearest

__all__ = ["Outlook", "outlook"]

_DAY: Final = 86_400.0
_WEEK: Final = 7 * _DAY


@dataclass(frozen=True, slots=True)
class Outlook:
    """What is to be expected of one comparison, by the fixed test at the chosen power.

    Whoever watches by the sequential interval finds the planned difference with the same power at
    about twice the units.

    Attributes:
        difference: That is to be found, of means per unit; of a ratio, of ratios.
        least_difference: The smallest that the units so far find: the minimum detectable effect.
        units: Of both arms so far.
        needed: Of both arms, to find ``difference``.
        per_day: New units of both arms in a day, over the last seven days that were looked at.
        days: How long it still takes; 0 when there are enough, infinite without traffic.
    """

    metric: str
    variant: str
    control: str
    difference: float
    least_difference: float
    units: int
    needed: int
    per_day: float
    days: float


def outlook(
    history: Sequence[Results],
    metric: str,
    *,
    variant: str | None = None,
    lift: float | None = None,
    difference: float | None = None,
    power: float = 0.8,
) -> Outlook:
    """Of one run's history; arguments and errors as of :meth:`.Analysis.outlook`."""
    if (lift is None) == (difference is None):
        raise ValueError("what is to be found? give lift or difference, one of them")
    last = history[-1]
    metrics = {one.name: one for one in last.metrics}
    found = metrics.get(metric)
    if found is None:
        raise UnknownSpecError(f"there is no metric {metric!r}: {nearest(metric, metrics)}")
    arms = {arm.id: arm for arm in found.variants}
    theirs = arms.pop(last.control)
    if variant is None and len(arms) != 1:
        raise ValueError(f"which variant? give variant=, one of {', '.join(arms)}")
    ours = next(iter(arms.values())) if variant is None else arms.get(variant)
    if ours is None:
        raise UnknownSpecError(f"there is no variant {variant!r}: {nearest(str(variant), arms)}")
    if difference is None:
        base = theirs.value if found.aggregation == "ratio" else theirs.mean
        if not base:
            raise ValueError(f"control has nothing of {metric!r} that a lift could be of")
        difference = (lift or 0.0) * abs(base)
    kept = _kept(found, ours.id)
    variances = _variance(ours, metric) * kept, _variance(theirs, metric) * kept
    units = ours.units, theirs.units
    expected = expected_duration(
        difference,
        units=units,
        variances=variances,
        per_day=_per_day(history, metric, (ours.id, theirs.id)),
        power=power,
    )
    return Outlook(
        metric=metric,
        variant=ours.id,
        control=theirs.id,
        difference=difference,
        least_difference=least_difference(units=units, variances=variances, power=power),
        units=expected.units,
        needed=expected.needed,
        per_day=expected.per_day,
        days=expected.days,
    )


def _kept(metric: MetricResult, variant: str) -> float:
    """The share of the variance that a covariate leaves."""
    for comparison in metric.comparisons:
        if comparison.variant == variant and comparison.adjustment is not msgspec.UNSET:
            return 1 - comparison.adjustment.variance_reduction
    return 1.0


def _variance(arm: MetricVariantResult, metric: str) -> float:
    """Over units, from the interval of the mean."""
    if arm.interval is None:
        raise ValueError(
            f"there is no interval of {metric!r} of {arm.id!r}: quantiles have none, and no arm "
            "has one with too little data"
        )
    return variance_of_mean(arm.interval.low, arm.interval.high, arm.units)


def _per_day(history: Sequence[Results], metric: str, arms: tuple[str, str]) -> float:
    """New units in a day, between the last look and the first of the seven days before it."""
    seen = [
        (moment(look).timestamp(), sum(arm.units for arm in of.variants if arm.id in arms))
        for look in history
        for of in look.metrics
        if of.name == metric
    ]
    until, units = seen[-1]
    since, before = next(one for one in seen if one[0] >= until - _WEEK)
    if since >= until:
        raise ValueError(
            "one look tells nothing of traffic: give more looks, of read_events or rebuild"
        )
    return (units - before) / (until - since) * _DAY
