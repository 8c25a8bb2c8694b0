"""How long an experiment still has to run, from the traffic that it has had so far.

New units become fewer with time, since whoever comes back is not new. So the rate is that of late,
over the last whole days at most a week, which evens the days of the week out; before the first
whole day it is that of all there is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, inf

from anabranch.metrics.power import units_per_arm
from anabranch.metrics.sequential import mixture, standard_errors
from anabranch.metrics.windows import DAY

__all__ = ["Duration", "expected_duration", "rate_of_late", "variance_of_mean"]

_WEEK = 7


@dataclass(frozen=True, slots=True)
class Duration:
    """What is still to come.

    Attributes:
        units: Units of both arms that the experiment has.
        needed: Units of both arms that it needs.
        per_day: New units of both arms in a day of late.
        days: How long it still takes, in days; 0 when it has enough, infinite without traffic.
    """

    units: int
    needed: int
    per_day: float
    days: float


def rate_of_late(arrivals: Mapping[int, int], size_ms: int, now_ms: int) -> float:
    """Units first exposed in a day, of late.

    Args:
        arrivals: Start of a window to the units first exposed in it, as the ``$exposures`` of
            ``metric-windows`` tell; windows without any may be left out.
        size_ms: The windows' size.
        now_ms: Until when windows are complete, in event time: the results' ``asOf``.

    Raises:
        ValueError: the size is not positive.
    """
    if size_ms <= 0:
        raise ValueError(f"windows have a positive size, not {size_ms} ms")
    complete = {start: units for start, units in arrivals.items() if start + size_ms <= now_ms}
    if not complete:
        return 0.0
    until = max(complete) + size_ms
    ran = until - min(complete)
    span = max(min(ran // DAY, _WEEK) * DAY, min(ran, DAY))
    counted = sum(units for start, units in complete.items() if start >= until - span)
    return counted / span * DAY


def variance_of_mean(low: float, high: float, units: int) -> float:
    """The variance over units, given back by the sequential interval of their mean.

    Args:
        low: The interval's lower end.
        high: The interval's upper end.
        units: So many units the mean is of.
    """
    reach = float(standard_errors(float(units), mixture()))
    return ((high - low) / 2 / reach) ** 2 * units


def expected_duration(
    difference: float,
    *,
    units: tuple[int, int],
    variances: tuple[float, float],
    per_day: float,
    power: float = 0.8,
) -> Duration:
    """How long until the fixed test finds the difference with that power.

    The split stays what it is. Whoever watches by the sequential interval finds the planned
    difference with the same power at about twice the units, see docs/statistics.md.

    Args:
        difference: Of the means, worth finding; not zero.
        units: Of the variant, and of control, so far; at least one each.
        variances: Over units, of the variant and of control, as seen so far.
        per_day: New units of both arms in a day, see :func:`rate_of_late`.
        power: Chance to find it.

    Raises:
        ValueError: an argument is out of range.
    """
    if min(units) < 1 or per_day < 0:
        raise ValueError(
            f"both arms need a unit, and traffic cannot be negative: not {units} and {per_day}"
        )
    wanted = units_per_arm(difference, variances=variances, power=power, ratio=units[0] / units[1])
    # An arm that is ahead of its share does not make up for one that is behind.
    together = sum(units)
    needed = max(ceil(arm * together / share) for arm, share in zip(wanted, units, strict=True))
    left = max(0, needed - together)
    days = 0.0 if not left else left / per_day if per_day else inf
    return Duration(together, needed, per_day, days)
