"""Experiments: variants, how units are allocated to them, and what success is measured by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Annotated, ClassVar, Literal, Self

from pydantic import AfterValidator, AliasChoices, AwareDatetime, Field, model_validator

from anabranch.specs.base import SpecModel
from anabranch.specs.explain import Path, nearest, wrong
from anabranch.specs.fields import (
    Amount,
    Expression,
    Id,
    JsonObject,
    Key,
    Name,
    Seconds,
    Share,
    Version,
    Weight,
)
from anabranch.specs.meta import Ref, duplicates
from anabranch.specs.spec import Spec

__all__ = [
    "Aggregation",
    "Allocation",
    "ExperimentRef",
    "ExperimentSpec",
    "Identity",
    "Override",
    "PolicyRef",
    "RandomAllocation",
    "Schedule",
    "Status",
    "StickyAllocation",
    "SuccessMetric",
    "TargetedAllocation",
    "TargetingRule",
    "TelemetryEventRef",
    "Variant",
]

Identity = Literal["userId", "sessionId", "organizationId"]
"""What a unit may be identified by."""

DEFAULT_UNIT: tuple[Identity, ...] = ("userId", "sessionId", "organizationId")

Aggregation = Literal["count", "avg", "sum", "unique", "p50", "p75", "p90", "p95", "p99"]
"""How a metric's events add up; pNN is the quantile over events."""

UNIT_PREFIXES = ("user:", "session:", "organization:")


class Status(StrEnum):
    """Where an experiment is in its life. Paused gives control, without exposure."""

    DRAFT = "draft"
    RUNNING = "running"
    PAUSED = "paused"
    COMPLETED = "completed"
    RETIRED = "retired"


class ExperimentRef(Ref):
    """A reference to an experiment; without a version the latest."""


class PolicyRef(Ref):
    """A reference to a policy; without a version the latest."""


class TelemetryEventRef(SpecModel):
    """A reference to an event that a TelemetrySpec declares; its version is the event's own."""

    key: Key = Field(validation_alias=AliasChoices("key", "name"))
    version: Version

    @property
    def label(self) -> str:
        return f"{self.key} {self.version}"


class Override(SpecModel):
    """What a variant changes: ``target`` is the key of the spec that takes the original's place."""

    type: Literal["dataView", "workflow", "theme", "policy", "presentation"]
    target: Key
    version: Version | None = None
    config: JsonObject | None = None


class Variant(SpecModel):
    """One arm of an experiment."""

    id: Id
    name: str = Field(default="", validation_alias=AliasChoices("name", "key"))
    """What people call it; ``key`` is the newer spelling."""
    description: str = ""
    weight: Weight = 1
    """Share of units relative to the other variants' weights; 0 is never chosen by the split."""
    overrides: tuple[Override, ...] = ()
    metadata: JsonObject = Field(default_factory=dict)


class _Hashed(SpecModel):
    salt: str | None = None
    """What the hash is seasoned with; the experiment's key when not given."""
    hash: Literal["mmh3"] = "mmh3"


class RandomAllocation(_Hashed):
    """Split by weight, by a hash of the unit."""

    type: Literal["random"] = "random"


class StickyAllocation(_Hashed):
    """Split by weight, by a hash of one identity only."""

    type: Literal["sticky"] = "sticky"
    attribute: Identity


class TargetingRule(SpecModel):
    """Gives ``variant_id`` to units that pass policy, expression and percentage, where given."""

    variant_id: Id
    percentage: Share | None = None
    """Share of matching units, 0 to 1; all when not given."""
    policy: PolicyRef | None = None
    expression: Expression | None = None
    """JavaScript subset over ``context``."""


class TargetedAllocation(_Hashed):
    """The first matching rule decides; without one, control or the weighted split."""

    type: Literal["targeted"] = "targeted"
    rules: tuple[TargetingRule, ...] = Field(min_length=1)
    fallback: Literal["control", "random"] = "control"


Allocation = Annotated[
    RandomAllocation | StickyAllocation | TargetedAllocation, Field(discriminator="type")
]


class SuccessMetric(SpecModel):
    """An outcome: a telemetry event and how its occurrences add up per variant."""

    not_yet: ClassVar[Mapping[str, str]] = {"guardrail": "bounds that must hold come later"}

    name: Name
    telemetry_event: TelemetryEventRef
    aggregation: Aggregation
    property: str | None = None
    """Numeric property of the event that avg, sum and quantiles aggregate; inferred where the
    event has only one."""
    target: Amount | None = None
    """The value hoped for."""
    direction: Literal["increase", "decrease"] = "increase"
    """Which way is better."""
    window: Seconds | None = None
    """Attribution window after the unit's first exposure, in seconds; no end when not given."""

    @cached_property
    def needs_property(self) -> bool:
        """Whether the aggregation is over a value rather than over occurrences or units."""
        return self.aggregation not in {"count", "unique"}

    @model_validator(mode="after")
    def _property_has_a_use(self) -> Self:
        if self.property is not None and not self.needs_property:
            raise wrong(
                ("property",),
                f"{self.aggregation} counts occurrences, not values: leave property out, or "
                "aggregate by sum, avg or a quantile",
            )
        return self


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A date and time with its offset (RFC 3339), kept in UTC."""


class Schedule(SpecModel):
    """When an experiment takes traffic: from ``start`` on, before ``end``."""

    start: Moment | None = None
    end: Moment | None = None

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise wrong(("end",), f"{self.end} is not after the start, {self.start}")
        return self


class ExperimentSpec(Spec):
    """An experiment. Immutable; change it by a new version.

    Raises:
        SpecValidationError: with the spec's key, the path of each wrong field and the remedy.
    """

    kind: ClassVar[str] = "Experiment"
    not_yet: ClassVar[Mapping[str, str]] = {
        "layer": "mutual exclusion comes later",
        "holdout": "holdouts come later",
        "prerequisites": "prerequisites come later",
    }

    control_variant: Id
    variants: tuple[Variant, ...] = Field(min_length=1)
    allocation: Allocation
    success_metrics: tuple[SuccessMetric, ...] = ()
    unit: tuple[Identity, ...] = DEFAULT_UNIT
    """Identities in order: the first that a context carries is the unit. For a sticky allocation
    it is its attribute alone."""
    coverage: Share = 1
    """Share of eligible units enrolled."""
    schedule: Schedule | None = None
    forced: dict[str, Id] = Field(default_factory=dict)
    """Unit, as in ``user:123``, to variant id, for quality assurance."""
    status: Status = Status.RUNNING

    @cached_property
    def variants_by_id(self) -> dict[str, Variant]:
        return {variant.id: variant for variant in self.variants}

    @property
    def control(self) -> Variant:
        return self.variants_by_id[self.control_variant]

    @cached_property
    def metrics_by_name(self) -> dict[str, SuccessMetric]:
        return {metric.name: metric for metric in self.success_metrics}

    @model_validator(mode="after")
    def _variants_fit(self) -> Self:
        ids = [variant.id for variant in self.variants]
        for twice in duplicates(ids):
            raise wrong(("variants",), f"two have the id {twice!r}: ids are unique")
        if not any(variant.weight > 0 for variant in self.variants):
            raise wrong(
                ("variants",), "all weights are 0: give at least one variant a positive weight"
            )
        named: list[tuple[Path, str]] = [(("controlVariant",), self.control_variant)]
        if isinstance(self.allocation, TargetedAllocation):
            named += [
                (("allocation", "rules", i, "variantId"), rule.variant_id)
                for i, rule in enumerate(self.allocation.rules)
            ]
        named += [(("forced", unit), variant) for unit, variant in self.forced.items()]
        for path, variant in named:
            if variant not in ids:
                raise wrong(path, f"no variant has the id {variant!r}: {nearest(variant, ids)}")
        return self

    @model_validator(mode="after")
    def _metric_names_unique(self) -> Self:
        for twice in duplicates(metric.name for metric in self.success_metrics):
            raise wrong(("successMetrics",), f"two are named {twice!r}: names are unique")
        return self

    @model_validator(mode="after")
    def _forced_are_units(self) -> Self:
        for unit in self.forced:
            if not unit.startswith(UNIT_PREFIXES) or unit.endswith(":"):
                raise wrong(
                    ("forced", unit), "is not a unit: write user:ID, session:ID or organization:ID"
                )
        return self

    @model_validator(mode="after")
    def _unit_of_sticky(self) -> Self:
        if not self.unit:
            raise wrong(("unit",), "is empty: name at least one identity, or leave it out")
        for twice in duplicates(self.unit):
            raise wrong(("unit",), f"{twice!r} is listed twice: once is enough")
        if isinstance(self.allocation, StickyAllocation):
            alone = (self.allocation.attribute,)
            if "unit" in self.model_fields_set and self.unit != alone:
                raise wrong(
                    ("unit",),
                    f"a sticky allocation's unit is its attribute, {alone[0]!r}: leave unit out, "
                    "or allocate by random",
                )
            self.__dict__["unit"] = alone
        return self
