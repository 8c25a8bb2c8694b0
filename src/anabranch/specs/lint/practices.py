"""AB1xx: the five best practices of the specification."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any, Final

from anabranch.specs.base import canonical
from anabranch.specs.experiment import (
    ExperimentSpec,
    Status,
    TargetedAllocation,
    TelemetryEventRef,
)
from anabranch.specs.explain import Path, spell
from anabranch.specs.lint.reach import splits
from anabranch.specs.lint.results import winner
from anabranch.specs.lint.rule import Found, Severity, World, rule
from anabranch.specs.patches import touched

__all__: list[str] = []

REVIEWED: Final = "privacy-reviewed"
"""The tag that says so, of an event or of its whole TelemetrySpec."""

# -- 1: short-lived, with a new version for every change --------------------------------------

_DECIDES: Final = (
    "controlVariant", "variants", "allocation", "unit", "keep", "layer", "holdout", "prerequisites",
)  # fmt: skip
"""Fields that decide who gets what."""
_SHOWN: Final = {"name", "description", "metadata"}
"""Fields of a variant that are for people."""


@rule("AB101", Severity.ERROR, practice=1)
def changed_without_version(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """Who gets what has changed, and the version has not.

    Results are kept by version: under the old one they would mix units of before and after. Give
    the changed spec a higher `meta.version`; a draft may be changed freely. Compares with git
    (`--since`), or with digests of published specs (`--published`).
    """
    name = (spec.kind, spec.key, spec.version)
    remedy = f"give meta.version a number above {spec.version}"
    before = world.facts.before.get(name)
    if isinstance(before, ExperimentSpec):
        if before.status is Status.DRAFT:
            return
        old, new = _decisive(before), _decisive(spec)
        for field in _DECIDES:
            if old.get(field) != new.get(field):
                yield Found((field,), f"has changed within version {spec.version}: {remedy}")
        return
    digest = world.facts.published.get(name)
    if digest is not None and digest != spec.digest:
        yield Found(
            ("meta", "version"),
            f"is {spec.version}, which is published with another content ({digest}, and this is "
            f"{spec.digest}): {remedy}",
        )


def _decisive(spec: ExperimentSpec) -> dict[str, Any]:
    document: dict[str, Any] = canonical(spec)
    variants = [
        {name: value for name, value in variant.items() if name not in _SHOWN}
        for variant in document["variants"]
    ]
    return {**document, "variants": variants}


@rule("AB102", Severity.WARNING, practice=1)
def runs_too_long(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """It runs for too long, or past its end.

    Experiments are short-lived: users, seasons and other experiments change meanwhile, and two
    ways of doing one thing have to be kept up. Decide, then promote or retire. The bound is 42
    days unless `--longest` says otherwise; without a `schedule.start` it counts from the file's
    first commit.
    """
    if spec.status is not Status.RUNNING:
        return
    facts, plan = world.facts, spec.schedule
    start = plan.start if plan is not None and plan.start is not None else None
    start = start or facts.born.get((spec.kind, spec.key, spec.version))
    end = None if plan is None else plan.end
    if end is not None and facts.now is not None and end <= facts.now:
        yield Found(
            ("status",),
            f"is running, and the schedule has ended {_days(facts.now - end)} ago: decide, then "
            "set it to completed",
        )
    elif start is not None and end is not None and end - start > facts.longest:
        yield Found(
            ("schedule",),
            f"lasts {_days(end - start)}, longer than {_days(facts.longest)}: end it earlier, or "
            "start with fewer variants or a larger effect to look for",
        )
    elif start is not None and facts.now is not None and facts.now - start > facts.longest:
        yield Found(
            ("status",),
            f"has been running for {_days(facts.now - start)}, longer than "
            f"{_days(facts.longest)}: decide, then promote the winner or retire it",
        )


def _days(span: timedelta) -> str:
    days = span / timedelta(days=1)
    return f"{days:.0f} day{'' if round(days) == 1 else 's'}"


@rule("AB103", Severity.INFO, practice=1)
def has_no_end(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """It runs, and has no planned end.

    The fixed intervals and p-values of its results hold at a planned end only; the sequential ones
    hold always. Give it a `schedule.end`.
    """
    del world
    if spec.status is Status.RUNNING and (spec.schedule is None or spec.schedule.end is None):
        yield Found(
            ("schedule",), "has no end: give it one, so that the fixed intervals have a meaning"
        )


# -- 2: a control, and overrides that can be taken back ---------------------------------------


@rule("AB104", Severity.ERROR, practice=2)
def control_gets_no_units(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """No unit is given the control variant, so there is nothing to compare with.

    A control of weight 0 is chosen by no split. Give it a weight, or fall back to control.
    """
    del world
    if splits(spec) and spec.control.weight == 0:
        at = spec.variants.index(spec.control)
        yield Found(
            ("variants", at, "weight"),
            f"is 0, and {spec.control.id!r} is the control: give it a share of the units to "
            "compare with",
        )


@rule("AB105", Severity.WARNING, practice=2)
def control_has_overrides(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """The control variant changes something.

    Control is what holds without the experiment: whoever is not enrolled sees it without any
    override. Where it has overrides of its own, the comparison is with something nobody else sees.
    """
    del world
    if spec.control.overrides:
        at = spec.variants.index(spec.control)
        yield Found(
            ("variants", at, "overrides"),
            f"are those of the control, {spec.control.id!r}: make them a variant, and leave "
            "control as the specs are",
        )


_IDENTITY: Final = (("kind",), ("meta", "key"), ("meta", "name"), ("meta", "version"))


@rule("AB106", Severity.ERROR, practice=2)
def override_changes_identity(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """An override changes which spec its target is, so it cannot be taken back by name.

    Leave `kind`, `meta.key` and `meta.version` out of an override's `config`.
    """
    del world
    for v, variant in enumerate(spec.variants):
        for i, override in enumerate(variant.overrides):
            for path in touched(override.config) if override.config else ():
                if any(path == name[: len(path)] for name in _IDENTITY):
                    yield Found(
                        ("variants", v, "overrides", i, "config", *path),
                        f"changes the {spell(path)} of {override.label}: leave it out",
                    )


@rule("AB107", Severity.INFO, practice=2)
def override_of_any_version(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """An override names no version of its target.

    It then changes whichever version is the latest, and a new version of the target changes what
    the variant is. Give the override a `version`.
    """
    del world
    for v, variant in enumerate(spec.variants):
        for i, override in enumerate(variant.overrides):
            if override.version is None:
                yield Found(
                    ("variants", v, "overrides", i),
                    f"means the latest version of {override.target}, whichever that is: name one",
                )


# -- 3: privacy-reviewed telemetry ------------------------------------------------------------


@rule("AB108", Severity.WARNING, practice=3)
def telemetry_not_reviewed(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A metric's event has not been reviewed for privacy.

    An event has been when it, or its TelemetrySpec's `meta`, carries the tag `privacy-reviewed`.
    """
    for path, ref, _ in _measured(spec):
        found = world.catalog.telemetry.declaration(ref.key, ref.version)
        if found is not None:
            telemetry, event = found
            if REVIEWED not in {*event.tags, *telemetry.meta.tags}:
                yield Found(
                    path,
                    f"is {ref.label}, which nobody has reviewed for privacy: have it reviewed, "
                    f"then tag the event {REVIEWED!r}",
                )


@rule("AB109", Severity.ERROR, practice=3)
def metric_on_personal_data(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A metric is of an event that is personal or sensitive, or of a masked property.

    Values of masked properties never reach a metric, and what is personal should not decide an
    experiment. Declare an event of its own for the outcome, without personal data.
    """
    for path, ref, name in _measured(spec):
        event = world.catalog.telemetry.event(ref.key, ref.version)
        if event is None:
            continue
        if event.privacy in {"pii", "sensitive"}:
            yield Found(
                path,
                f"is {ref.label}, whose privacy is {event.privacy}: measure an event without "
                "personal data",
            )
        elif name in event.properties and event.masks(name):
            yield Found(
                (*path[:-1], "property"),
                f"is {name!r}, which {ref.label} declares as personal data: its values "
                "are masked; measure another",
            )


def _measured(spec: ExperimentSpec) -> Iterator[tuple[Path, TelemetryEventRef, str | None]]:
    """Every event that a metric looks at: where it is named, and the property that is measured."""
    for i, metric in enumerate(spec.success_metrics):
        at: Path = ("successMetrics", i)
        yield (*at, "telemetryEvent"), metric.telemetry_event, metric.property
        for k, ref in enumerate(metric.steps):
            yield (*at, "steps", k), ref, None
        over = metric.denominator
        if over is not None:
            yield (*at, "denominator", "telemetryEvent"), over.telemetry_event, over.property


# -- 4: few targeting rules, with policies ----------------------------------------------------


@rule("AB110", Severity.WARNING, practice=4)
def targeting_without_policy(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A targeting rule asks no policy.

    Whoever sends the right attributes gets the variant. Where it is not for everybody, name a
    `policy` that decides on roles and consents.
    """
    del world
    if isinstance(spec.allocation, TargetedAllocation):
        for i, one in enumerate(spec.allocation.rules):
            if one.policy is None:
                yield Found(
                    ("allocation", "rules", i),
                    f"gives {one.variant_id!r} without asking a policy: name one, so that nobody "
                    "gets it who may not see it",
                )


@rule("AB111", Severity.INFO, practice=4)
def many_targeting_rules(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """It has many targeting rules.

    Each rule makes who is in a variant harder to say, and a comparison of variants with different
    people in them is none. Split at random where that will do.
    """
    most = world.facts.most_rules
    if isinstance(spec.allocation, TargetedAllocation) and len(spec.allocation.rules) > most:
        yield Found(
            ("allocation", "rules"),
            f"are {len(spec.allocation.rules)}, more than {most}: split at random within fewer, "
            "or make several experiments of it",
        )


# -- 5: promote the winner, retire the experiment ---------------------------------------------


@rule("AB112", Severity.WARNING, practice=5)
def winner_not_promoted(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """A variant has won, and the experiment is still there.

    Won means: the sequential interval of the first success metric lies on the better side of zero,
    and the sample ratio is as expected. Make the variant's overrides part of the canonical specs,
    then retire the experiment. Needs `--results`.
    """
    if spec.status not in {Status.RUNNING, Status.PAUSED, Status.COMPLETED}:
        return
    results = world.facts.results.get((spec.key, spec.version))
    won = None if results is None else winner(spec, results)
    if won is not None:
        yield Found(
            ("status",),
            f"is {spec.status}, and {won!r} has won by {spec.success_metrics[0].name!r}: promote "
            "it to the canonical spec, then set the status to retired",
        )


@rule("AB113", Severity.INFO, practice=5)
def completed_not_retired(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """It is completed, and has not been retired.

    Once the decision is carried out, retire it: its variants need not be kept up any more.
    """
    del world
    if spec.status is Status.COMPLETED:
        yield Found(("status",), "is completed: carry the decision out, then set it to retired")
