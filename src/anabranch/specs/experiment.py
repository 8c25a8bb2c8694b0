"""Experiments: variants, how units are allocated to them, and what success is measured by."""

from __future__ import annotations

from enum import StrEnum
from functools import cached_property
from itertools import pairwise
from typing import ClassVar, Final, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from anabranch.specs.allocation import (
    Allocation,
    HashAlgorithm,
    PolicyRef,
    RandomAllocation,
    StickyAllocation,
    TargetedAllocation,
    TargetingRule,
)
from anabranch.specs.base import SpecModel
from anabranch.specs.explain import Path, nearest, wrong
from anabranch.specs.fields import (
    Expression,
    Id,
    JsonObject,
    Key,
    Version,
    Weight,
)
from anabranch.specs.health import Guardrail, Health, OnBreach
from anabranch.specs.meta import Ref, duplicates
from anabranch.specs.metric import (
    Aggregation,
    Covariate,
    Denominator,
    SuccessMetric,
    TelemetryEventRef,
    Winsorize,
)
from anabranch.specs.segments import MOST_VALUES, Segment
from anabranch.specs.spec import Spec
from anabranch.specs.traffic import (
    DEFAULT_UNIT,
    Coverage,
    Holdout,
    Holdouts,
    Identity,
    Keep,
    Layer,
    Prerequisite,
    RampStep,
    Schedule,
)

__all__ = [
    "Aggregation",
    "Allocation",
    "Covariate",
    "Denominator",
    "ExperimentRef",
    "ExperimentSpec",
    "Guardrail",
    "HashAlgorithm",
    "Health",
    "Holdout",
    "Identity",
    "Keep",
    "Layer",
    "Override",
    "PolicyRef",
    "Prerequisite",
    "RampStep",
    "RandomAllocation",
    "Schedule",
    "Segment",
    "Status",
    "StickyAllocation",
    "SuccessMetric",
    "TargetedAllocation",
    "TargetingRule",
    "TelemetryEventRef",
    "Variant",
    "Winsorize",
]

CONTRACTSPEC_UNIT: Final[tuple[Identity, ...]] = ("sessionId", "userId", "organizationId")
"""The order in which the hash ``contractspec`` looks for something to hash."""

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


class Override(SpecModel):
    """What a variant changes: with ``config`` the target itself, else what takes its place."""

    type: Literal["dataView", "workflow", "theme", "policy", "presentation"]
    """Which kind of spec the target is."""
    target: Key
    """Key of the spec that the config changes; without a config, of the spec that takes the
    original's place."""
    version: Version | None = None
    """The target's version; the latest when not given."""
    config: JsonObject | None = None
    """JSON merge patch (RFC 7396) of the target's document: null removes, lists are replaced."""

    @property
    def label(self) -> str:
        return self.target if self.version is None else f"{self.target} {self.version}"


class Variant(SpecModel):
    """One arm of an experiment."""

    id: Id
    """Unique within the experiment."""
    name: str = Field(default="", validation_alias=AliasChoices("name", "key"))
    """What people call it; ``key`` is the newer spelling."""
    description: str = ""
    """What is different about it."""
    weight: Weight = 1
    """Share of units relative to the other variants' weights; 0 is never chosen by the split."""
    overrides: tuple[Override, ...] = ()
    """What it changes."""
    metadata: JsonObject = Field(default_factory=dict)
    """Anything else, for applications; evaluation does not look at it."""


class ExperimentSpec(Spec):
    """An experiment. Immutable; change it by a new version.

    Raises:
        SpecValidationError: with the spec's key, the path of each wrong field and the remedy.
    """

    kind: ClassVar[str] = "Experiment"

    control_variant: Id
    """Id of the variant that the others are compared with, and that whoever is not enrolled gets.
    """
    variants: tuple[Variant, ...] = Field(min_length=1)
    """The arms."""
    allocation: Allocation
    """How units come to their variants."""
    success_metrics: tuple[SuccessMetric, ...] = ()
    """What success is measured by."""
    segments: tuple[Segment, ...] = ()
    """Attributes by whose values the results are told apart, besides as a whole."""
    unit: tuple[Identity, ...] = DEFAULT_UNIT
    """Identities in order: the first that a context carries is the unit. For a sticky allocation
    it is its attribute alone; with the hash ``contractspec`` it is sessionId, userId,
    organizationId when not given, after the attribute of a sticky allocation."""
    coverage: Coverage = 1
    """Share of eligible units enrolled, or a ramp: a list of steps, each with ``from`` and
    ``share``, in order of time and never falling."""
    layer: Layer | None = None
    """Part of a line shared with other experiments, of which no unit is in two."""
    holdout: Holdouts = ()
    """Holdouts whose units are kept out; one or a list."""
    prerequisites: tuple[Prerequisite, ...] = ()
    """Other experiments that a unit must be enrolled in."""
    schedule: Schedule | None = None
    """When it takes traffic; always when not given."""
    exclude: Expression | None = None
    """JavaScript subset over ``context``: whom it leaves out, bots and people of the house. They
    get control and are not exposed, so nothing of theirs is measured; one that raises leaves nobody
    out."""
    forced: dict[str, Id] = Field(default_factory=dict)
    """Unit, as in ``user:123``, to variant id, for quality assurance."""
    keep: Keep | None = None
    """Whether what a unit was given first holds on, whatever becomes of weights, rules, attributes
    and versions, until the salt changes: `unit`; with `person` a user also takes over what the
    session was given. Not kept when not given."""
    on_breach: OnBreach = "alert"
    """What is done when a guardrail is harmed or units come in other shares than planned: alert,
    or pause, which pauses the experiment too. A guardrail may say otherwise."""
    health: Health = Field(default_factory=Health)
    """When its telemetry counts as silent."""
    status: Status = Status.RUNNING
    """Where it is in its life: draft, running, paused, completed or retired."""

    @cached_property
    def variants_by_id(self) -> dict[str, Variant]:
        return {variant.id: variant for variant in self.variants}

    @property
    def always_told(self) -> frozenset[str]:
        """The hash ``contractspec`` has another default for the unit, so it is written with it."""
        other = self.allocation.hash == "contractspec"
        return super().always_told | ({"unit"} if other else frozenset())

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
    def _segments_are_few(self) -> Self:
        for twice in duplicates(segment.attribute for segment in self.segments):
            raise wrong(("segments",), f"two are of {twice!r}: name all its values in one")
        values = sum(len(segment.values) for segment in self.segments)
        if values > MOST_VALUES:
            raise wrong(
                ("segments",),
                f"have {values} values, and results are told for {MOST_VALUES} at most: name those "
                "that matter, the others count as other",
            )
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
    def _unit_fits(self) -> Self:
        if not self.unit:
            raise wrong(("unit",), "is empty: name at least one identity, or leave it out")
        for twice in duplicates(self.unit):
            raise wrong(("unit",), f"{twice!r} is listed twice: once is enough")
        told = "unit" in self.model_fields_set
        first = self.allocation.attribute if isinstance(self.allocation, StickyAllocation) else None
        if self.allocation.hash == "contractspec":
            if not told:
                rest = (one for one in CONTRACTSPEC_UNIT if one != first)
                self.__dict__["unit"] = (*rest,) if first is None else (first, *rest)
            elif first is not None and self.unit[0] != first:
                raise wrong(("unit",), f"a sticky allocation's unit begins with {first!r}")
        elif first is not None:
            if told and self.unit != (first,):
                raise wrong(
                    ("unit",),
                    f"a sticky allocation's unit is its attribute, {first!r}: leave unit out, "
                    "or allocate by random",
                )
            self.__dict__["unit"] = (first,)
        return self

    @model_validator(mode="after")
    def _person_has_two_names(self) -> Self:
        if self.keep == "person" and not {"userId", "sessionId"} <= {*self.unit}:
            raise wrong(
                ("keep",),
                f"is person, and the unit is {', '.join(self.unit)}: a person is known by userId "
                "and sessionId, so list both as unit, or keep by unit",
            )
        return self

    @model_validator(mode="after")
    def _ramp_rises(self) -> Self:
        if not isinstance(self.coverage, tuple):
            return self
        if not self.coverage:
            raise wrong(("coverage",), "is a ramp without steps: give one, or a number")
        for i, (before, step) in enumerate(pairwise(self.coverage), start=1):
            if step.from_ <= before.from_:
                raise wrong(
                    ("coverage", i, "from"),
                    f"{step.from_} is not after the step before, {before.from_}: steps are in "
                    "order of time",
                )
            if step.share < before.share:
                raise wrong(
                    ("coverage", i, "share"),
                    f"falls from {before.share} to {step.share}: units that were exposed would "
                    "leave; a ramp only rises",
                )
        return self

    @model_validator(mode="after")
    def _others_named_once(self) -> Self:
        for twice in duplicates(holdout.key for holdout in self.holdout):
            raise wrong(("holdout",), f"{twice!r} is named twice: once is enough")
        for i, needed in enumerate(self.prerequisites):
            if needed.experiment == self.meta.key:
                raise wrong(
                    ("prerequisites", i, "experiment"), "an experiment cannot require itself"
                )
        for twice in duplicates(needed.experiment for needed in self.prerequisites):
            raise wrong(("prerequisites",), f"{twice!r} is named twice: once is enough")
        return self

    @model_validator(mode="after")
    def _weights_fit_hash(self) -> Self:
        if self.allocation.hash == "unleash":
            for i, variant in enumerate(self.variants):
                if variant.weight != int(variant.weight):
                    raise wrong(
                        ("variants", i, "weight"),
                        f"is {variant.weight}, and the hash unleash counts in whole weights: "
                        "write them as Unleash has them, out of 1000",
                    )
        return self
