"""AB3xx: what is measured; AB4xx: who is responsible."""

from __future__ import annotations

from collections.abc import Iterator

from anabranch.specs.experiment import ExperimentSpec, Status
from anabranch.specs.lint.rule import Found, Severity, World, rule

__all__: list[str] = []


@rule("AB301", Severity.WARNING)
def metric_without_property(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A metric aggregates values and does not say of which property.

    It takes the event's only numeric property, so that declaring a second one breaks it. Give the
    metric a `property`.
    """
    for i, metric in enumerate(spec.success_metrics):
        if not metric.needs_property or metric.property is not None:
            continue
        ref = metric.telemetry_event
        event = world.catalog.telemetry.event(ref.key, ref.version)
        numeric = event.numeric if event is not None else ()
        known = f", {numeric[0]!r} for now" if len(numeric) == 1 else ""
        yield Found(
            ("successMetrics", i),
            f"{metric.name!r} is a {metric.aggregation} and names no property: name one{known}",
        )


@rule("AB302", Severity.WARNING)
def nothing_measured(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """It has no success metric, so nothing will be known at its end.

    Name the event that should happen more, or less, often.
    """
    del world
    if not spec.success_metrics and spec.status in {Status.DRAFT, Status.RUNNING}:
        yield Found(("successMetrics",), "are none: name what should change")


@rule("AB303", Severity.WARNING)
def nothing_compared(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """It has one variant only, so there is nothing to compare.

    Add the variant that is to be tried, or roll out without an experiment.
    """
    del world
    if len(spec.variants) == 1:
        yield Found(
            ("variants",), f"are {spec.variants[0].id!r} alone: add what it is compared with"
        )


@rule("AB401", Severity.INFO)
def nobody_responsible(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """It names no owner.

    Somebody has to end it. Name a person or a team in `meta.owners`.
    """
    del world
    if not spec.meta.owners:
        yield Found(("meta", "owners"), "are none: name who ends it")
