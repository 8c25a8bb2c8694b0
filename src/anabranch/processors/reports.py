"""What the aggregate stage publishes, from what it keeps: results of runs, cells of windows."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from anabranch.events.cloudevents import format_time
from anabranch.events.models import (
    Adjustment,
    Bounds,
    Comparison,
    Interval,
    Lift,
    MetricResult,
    MetricVariantResult,
    MetricWindow,
    Results,
    SampleRatio,
    SegmentName,
    VariantResult,
    Window,
)
from anabranch.metrics import welch
from anabranch.metrics.exact import Exact
from anabranch.metrics.moments import Moments
from anabranch.metrics.plan import is_quantile
from anabranch.metrics.results import (
    ArmFigures,
    arm_figures,
    best,
    contrast,
    expected_shares,
    value_of,
)
from anabranch.metrics.sample_ratio import sample_ratio, sequential_sample_ratio
from anabranch.metrics.welch import Difference
from anabranch.metrics.windows import size_name
from anabranch.specs import ExperimentSpec, SuccessMetric

__all__ = ["EXPOSURES", "Arm", "metric_window", "results"]

EXPOSURES = "$exposures"
"""Stands for a metric's name where a window counts units first exposed in it."""


class Arm:
    """One variant of a run as kept: units, crossovers and the metrics' moments by name."""

    __slots__ = ("crossovers", "moments", "units")

    def __init__(
        self,
        units: int = 0,
        crossovers: int = 0,
        moments: Mapping[str, Moments] | None = None,
    ) -> None:
        self.units = units
        self.crossovers = crossovers
        self.moments = moments or {}


def results(
    spec: ExperimentSpec,
    arms: Mapping[str, Arm],
    as_of: int,
    segment: SegmentName | msgspec.UnsetType = msgspec.UNSET,
) -> Results:
    """The cumulative results of a run, or of a segment of it.

    Arms that have seen nothing are there with zeros.
    """
    nothing = Arm()
    by_variant = {variant.id: arms.get(variant.id, nothing) for variant in spec.variants}
    units = {variant: arm.units for variant, arm in by_variant.items()}
    expected = expected_shares(spec)
    return Results(
        experiment=spec.key,
        version=spec.version,
        digest=spec.digest,
        as_of=format_time(as_of),
        control=spec.control_variant,
        variants=[
            VariantResult(id=variant, units=arm.units, crossovers=arm.crossovers)
            for variant, arm in by_variant.items()
        ],
        srm=SampleRatio(
            p_value=sample_ratio(units, expected),
            expected=expected,
            sequential_p_value=sequential_sample_ratio(units, expected),
        ),
        metrics=[
            _metric(metric, by_variant, spec.control_variant) for metric in spec.success_metrics
        ],
        segment=segment,
    )


def _metric(metric: SuccessMetric, arms: Mapping[str, Arm], control: str) -> MetricResult:
    nothing = Moments()
    measured = {
        variant: (arm.units - found.excluded, found)
        for variant, arm in arms.items()
        for found in (arm.moments.get(metric.name, nothing),)
    }
    probabilities = best(
        metric.aggregation,
        list(measured.values()),
        winsorized=metric.winsorize is not None,
        increase=metric.direction == "increase",
    )
    likely = {} if probabilities is None else dict(zip(measured, probabilities, strict=True))
    return MetricResult(
        name=metric.name,
        aggregation=metric.aggregation,
        variants=[
            _variant(
                variant,
                arm_figures(
                    metric.aggregation,
                    units,
                    moments,
                    winsorized=metric.winsorize is not None,
                    steps=len(metric.steps) + 1,
                    per_unit=metric.per == "unit",
                ),
                likely.get(variant),
                moments.excluded if metric.exclude_prior else msgspec.UNSET,
            )
            for variant, (units, moments) in measured.items()
        ],
        comparisons=[
            _comparison(metric, variant, control, measured)
            for variant in measured
            if variant != control
        ],
        per="unit" if metric.per == "unit" else msgspec.UNSET,
    )


def _variant(
    variant: str,
    figures: ArmFigures,
    probability_best: float | None,
    excluded: int | msgspec.UnsetType,
) -> MetricVariantResult:
    return MetricVariantResult(
        id=variant,
        units=figures.units,
        events=figures.events,
        converted=figures.converted,
        rate=figures.rate,
        sum=figures.sum,
        mean=figures.mean,
        event_mean=figures.event_mean,
        value=figures.value,
        denominator=figures.denominator,
        steps=figures.steps,
        interval=_bounds(figures.interval),
        probability_best=probability_best,
        excluded=excluded,
    )


def _comparison(
    metric: SuccessMetric,
    variant: str,
    control: str,
    measured: Mapping[str, tuple[int, Moments]],
) -> Comparison:
    found = contrast(
        metric.aggregation,
        measured[variant],
        measured[control],
        winsorized=metric.winsorize is not None,
        adjusted=metric.covariate is not None,
        per_unit=metric.per == "unit",
    )
    adjustment = found.adjustment
    return Comparison(
        variant=variant,
        control=control,
        difference=found.difference,
        relative_lift=found.relative_lift,
        fixed=_interval(found.fixed),
        sequential=_interval(found.sequential),
        adjustment=msgspec.UNSET
        if adjustment is None
        else Adjustment(
            theta=adjustment.theta,
            difference=adjustment.difference,
            variance_reduction=adjustment.variance_reduction,
        ),
        lift=msgspec.UNSET
        if is_quantile(metric.aggregation)
        else Lift(fixed=_bounds(found.fixed_lift), sequential=_bounds(found.sequential_lift)),
    )


def _bounds(found: welch.Bounds | None) -> Bounds | None:
    return None if found is None else Bounds(low=found.low, high=found.high)


def _interval(found: Difference | None) -> Interval | None:
    if found is None:
        return None
    return Interval(low=found.low, high=found.high, p_value=found.p_value)


def metric_window(
    spec: ExperimentSpec,
    variant: str,
    metric: str,
    *,
    start: int,
    end: int,
    size: int,
    units: int,
    events: int,
    total: Exact,
    bins: dict[str, int],
    beside: Exact,
    revision: int,
    final: bool,
) -> tuple[bytes, MetricWindow] | None:
    """Key and value of one cell of a window; None if the spec no longer has the metric."""
    if metric == EXPOSURES:
        aggregation, value = "exposures", float(events) if events else None
    else:
        known = spec.metrics_by_name.get(metric)
        if known is None:
            return None
        aggregation = known.aggregation
        value = value_of(
            aggregation, units=units, events=events, total=total, bins=bins, beside=beside
        )
    name = size_name(size)
    begins = format_time(start)
    key = f"{spec.key}|{spec.version}|{variant}|{metric}|{name}|{begins}"
    return key.encode(), MetricWindow(
        experiment=spec.key,
        version=spec.version,
        variant=variant,
        metric=metric,
        aggregation=aggregation,
        window=Window(start=begins, end=format_time(end), size=name),
        units=units,
        events=events,
        sum=float(total),
        value=value,
        revision=revision,
        final=final,
    )
