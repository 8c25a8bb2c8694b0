"""What units do by variant, and what the metrics come to with it: the planted truth.

A unit does an event at most once, or once and a few times more (``repeats``, by Poisson), inside
the attribution window of every metric of it; a funnel's step only after the step before. Values are
log-normal: ``value`` is their median, ``noise`` the standard deviation of their logarithm. So every
mean and quantile is known in closed form, but for a few that have none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from math import exp
from typing import Final

from scipy.special import ndtri

from anabranch.errors import SettingsError
from anabranch.specs import Catalog, ExperimentSpec, SuccessMetric
from anabranch.specs.explain import nearest
from anabranch.telemetry.plan import TelemetryPlans

__all__ = ["Behaviour", "Truth", "plant"]

HOUR: Final = 3600
Property = tuple[str, str]
"""An event's label and the name of its property."""


@dataclass(frozen=True, slots=True)
class Truth:
    """What a metric of a variant comes to; None where there is no closed form.

    Attributes:
        expected: Mean per unit; of a ratio the ratio, of a quantile its value.
        difference: From control.
        relative_lift: Of control's.
    """

    metric: str
    variant: str
    expected: float | None
    difference: float | None
    relative_lift: float | None


@dataclass(slots=True)
class Behaviour:
    """What units do; events by their label, as in ``shop.order 1.0.0``.

    Attributes:
        shares: Variant and event to the share of units that do it, of those that did what is
            before it.
        values: Variant and property to the median of its values.
        noise: Standard deviation of the values' logarithms.
        repeats: How many more times a unit does what it does, on average.
        after: Event to the event that has to be before it.
        spans: Event to the seconds after first exposure between which it happens.
    """

    shares: dict[tuple[str, str], float] = field(default_factory=dict)
    values: dict[tuple[str, Property], float] = field(default_factory=dict)
    noise: float = 0.5
    repeats: float = 0.0
    after: dict[str, str] = field(default_factory=dict)
    spans: dict[str, tuple[float, float]] = field(default_factory=dict)

    @property
    def events(self) -> list[str]:
        """Every event, what has to be before another first."""
        return list(self.spans)


def plant(
    catalog: Catalog,
    spec: ExperimentSpec,
    *,
    effects: Mapping[tuple[str, str], float],
    rates: Mapping[str, float],
    values: Mapping[str, float],
    noise: float = 0.5,
    repeats: float = 0.0,
) -> tuple[Behaviour, list[Truth]]:
    """A behaviour with these effects, and what is true then.

    Args:
        catalog: For the telemetry specs, whose sampling thins what units do.
        spec: The experiment.
        effects: Variant and metric to the relative change of what the metric measures: how many
            units do it, or for a quantile how large its values are. None at all is an A/A test.
        rates: Metric to the share of control's units that do its event.
        values: Metric to the median of its property.
        noise: As of :class:`Behaviour`.
        repeats: As of :class:`Behaviour`.

    Raises:
        SettingsError: There is no such variant or metric, or a share leaves 0 to 1.
    """
    for name in {*rates, *values, *(metric for _, metric in effects)}:
        _check(name, spec.metrics_by_name, "metric")
    for variant, _ in effects:
        _check(variant, spec.variants_by_id, "variant")
    made = Behaviour(noise=noise, repeats=repeats)
    for metric in spec.success_metrics:
        _add(made, metric)
    for variant in spec.variants_by_id:
        for event in made.spans:
            made.shares[variant, event] = 0.5 if event in made.after else 0.2
        for metric in spec.success_metrics:
            for prop in _properties(metric):
                made.values[variant, prop] = 20.0
        for name, rate in rates.items():
            made.shares[variant, _moved(spec.metrics_by_name[name])] = rate
        for name, value in values.items():
            made.values[variant, _property(spec.metrics_by_name[name])] = value
    for (variant, name), effect in effects.items():
        metric = spec.metrics_by_name[name]
        if metric.aggregation.startswith("p") and metric.needs_property:
            made.values[variant, _property(metric)] *= 1 + effect
        else:
            made.shares[variant, _moved(metric)] *= 1 + effect
    for (variant, event), share in made.shares.items():
        if not 0 <= share <= 1:
            raise SettingsError(
                f"{share:.4g} of the units of {variant!r} would do {event}: give a smaller effect "
                "or another rate"
            )
    return made, _truths(made, spec, TelemetryPlans(catalog.telemetry))


def _check(name: str, known: Mapping[str, object], what: str) -> None:
    if name not in known:
        raise SettingsError(f"there is no {what} {name!r}: {nearest(name, known)}")


def _chain(metric: SuccessMetric) -> list[str]:
    return [ref.label for ref in (metric.telemetry_event, *metric.steps)]


def _moved(metric: SuccessMetric) -> str:
    """The event by whose share a metric is moved: of a funnel the last."""
    return _chain(metric)[-1]


def _property(metric: SuccessMetric) -> Property:
    if not metric.needs_property or metric.property is None:
        raise SettingsError(f"metric {metric.name!r} has no property whose values could be set")
    return metric.telemetry_event.label, metric.property


def _properties(metric: SuccessMetric) -> list[Property]:
    found = []
    if metric.property is not None:
        found.append((metric.telemetry_event.label, metric.property))
    if metric.denominator is not None and metric.denominator.property is not None:
        found.append((metric.denominator.telemetry_event.label, metric.denominator.property))
    return found


def _add(made: Behaviour, metric: SuccessMetric) -> None:
    """The metric's events: what is before what, and between which times."""
    chain = _chain(metric)
    events = [*chain]
    if metric.denominator is not None:
        events.append(metric.denominator.telemetry_event.label)
    low, high = metric.after or 0.0, metric.window
    for event in events:
        known_low, known_high = made.spans.get(event, (0.0, float("inf")))
        start = max(low, known_low)
        end = min(known_high, start + HOUR if high is None else high)
        if end <= start:  # no time suits all its metrics: those it does not suit have no truth
            start, end = known_low, known_high
        made.spans[event] = start, end
    for before, event in pairwise(chain):
        if event not in made.after and not _leads(made, event, before):
            made.after[event] = before
    made.spans = {event: made.spans[event] for event in _ordered(made)}


def _leads(made: Behaviour, first: str, last: str) -> bool:
    """Whether ``last`` comes after ``first`` already, so that the other way round is a circle."""
    at: str | None = last
    while at is not None:
        if at == first:
            return True
        at = made.after.get(at)
    return False


def _ordered(made: Behaviour) -> list[str]:
    done: list[str] = []

    def put(event: str) -> None:
        if event in made.after and made.after[event] not in done:
            put(made.after[event])
        if event not in done:
            done.append(event)

    for event in made.spans:
        put(event)
    return done


# -- truth ------------------------------------------------------------------------------------


def _truths(made: Behaviour, spec: ExperimentSpec, plans: TelemetryPlans) -> list[Truth]:
    found = []
    for metric in spec.success_metrics:
        control = _expected(made, metric, spec.control_variant, plans)
        for variant in spec.variants_by_id:
            expected = _expected(made, metric, variant, plans)
            told = expected is not None and control is not None
            difference = expected - control if told else None  # type: ignore[operator]
            found.append(
                Truth(
                    metric.name,
                    variant,
                    expected,
                    difference,
                    difference / control if difference is not None and control else None,
                )
            )
    return found


def _expected(
    made: Behaviour, metric: SuccessMetric, variant: str, plans: TelemetryPlans
) -> float | None:
    if metric.winsorize is not None or not _suits(made, metric):
        return None
    event = metric.telemetry_event.label
    if metric.aggregation.startswith("p"):
        if metric.per == "unit" or metric.property is None:
            return None
        median = made.values[variant, (event, metric.property)]
        return median * exp(made.noise * float(ndtri(int(metric.aggregation[1:]) / 100)))
    if metric.aggregation == "funnel":
        chain = _chain(metric)
        follows = all(made.after.get(b) == a for a, b in pairwise(chain))
        whole = all(_kept(e, plans) == 1 for e in chain)
        return _done(made, variant, chain[-1]) if follows and whole else None
    kept = _kept(event, plans)
    if metric.aggregation == "unique":
        return _done(made, variant, event) * (1 - (1 - kept) * exp(-made.repeats * kept))
    total = _total(made, variant, event, metric.property, kept)
    if metric.denominator is None:
        return total
    below = metric.denominator.telemetry_event.label
    over = _total(made, variant, below, metric.denominator.property, _kept(below, plans))
    return total / over if over else None


def _suits(made: Behaviour, metric: SuccessMetric) -> bool:
    """Whether all its events happen inside the metric's attribution window."""
    events = _chain(metric)
    if metric.denominator is not None:
        events.append(metric.denominator.telemetry_event.label)
    low, high = metric.after or 0.0, metric.window or float("inf")
    return all(low <= made.spans[e][0] and made.spans[e][1] <= high for e in events)


def _kept(event: str, plans: TelemetryPlans) -> float:
    """The share of the event that the gate's sampling keeps."""
    name, _, version = event.rpartition(" ")
    plan = plans.get(name, version)
    return 0.0 if plan is None else plan.rate


def _done(made: Behaviour, variant: str, event: str) -> float:
    """The share of all units that do it, what has to be before it included."""
    share = made.shares[variant, event]
    before = made.after.get(event)
    return share if before is None else share * _done(made, variant, before)


def _total(made: Behaviour, variant: str, event: str, prop: str | None, kept: float) -> float:
    """Mean over units of occurrences, or of the property's sum."""
    times = _done(made, variant, event) * (1 + made.repeats) * kept
    if prop is None:
        return times
    return times * made.values[variant, (event, prop)] * exp(made.noise**2 / 2)
