"""Which units an experiment takes, and when: identities, schedule, coverage, layer, holdouts."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Final, Literal, Self

from pydantic import (
    AfterValidator,
    AliasChoices,
    AwareDatetime,
    BeforeValidator,
    Discriminator,
    Field,
    Tag,
    model_validator,
)

from anabranch.specs.base import SpecModel
from anabranch.specs.explain import wrong
from anabranch.specs.fields import Id, Key, Share, Version

__all__ = [
    "DEFAULT_UNIT",
    "Coverage",
    "Holdout",
    "Holdouts",
    "Identity",
    "Keep",
    "Layer",
    "Moment",
    "Prerequisite",
    "RampStep",
    "Schedule",
]

Identity = Literal["userId", "sessionId", "organizationId"]
"""What a unit may be identified by."""

Keep = Literal["unit", "person"]
"""Who keeps a variant: the unit, or the person who may come by session and by user."""

DEFAULT_UNIT: Final[tuple[Identity, ...]] = ("userId", "sessionId", "organizationId")


def _utc(value: datetime) -> datetime:
    return value.astimezone(UTC)


Moment = Annotated[AwareDatetime, AfterValidator(_utc)]
"""A date and time with its offset (RFC 3339), kept in UTC."""


class Schedule(SpecModel):
    """When an experiment takes traffic: from ``start`` on, before ``end``."""

    start: Moment | None = None
    """First moment that takes traffic; from ever on when not given."""
    end: Moment | None = None
    """First moment that takes none any more; for ever when not given."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise wrong(("end",), f"{self.end} is not after the start, {self.start}")
        return self

    def overlaps(self, other: Schedule) -> bool:
        """Whether some moment lies inside both."""
        return (self.start is None or other.end is None or self.start < other.end) and (
            other.start is None or self.end is None or other.start < self.end
        )


class RampStep(SpecModel):
    """One step of a ramp: the coverage from a moment on."""

    from_: Moment = Field(validation_alias=AliasChoices("from"), serialization_alias="from")
    """When the step begins."""
    share: Share
    """Share of eligible units enrolled from then on."""


def _coverage_kind(value: Any) -> str:
    return "ramp" if isinstance(value, list | tuple) else "share"


Coverage = Annotated[
    Annotated[Share, Tag("share")] | Annotated[tuple[RampStep, ...], Tag("ramp")],
    Discriminator(_coverage_kind),
]
"""A share, or the steps of a ramp; before its first step nobody is enrolled."""


class Layer(SpecModel):
    """A part of a line that experiments share: parts that do not overlap share no unit.

    Every unit has one place on a layer's line, between 0 and 1, which depends on the layer's key
    and the unit alone.
    """

    key: Key
    """Name of the layer, the same in all its experiments."""
    start: Share = 0
    """Where this experiment's part of the line begins, itself included."""
    end: Share = 1
    """Where it ends, itself excluded."""

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.start >= self.end:
            raise wrong(("end",), f"{self.end} is not after the start, {self.start}")
        return self

    def overlaps(self, other: Layer) -> bool:
        """Whether both hold a common part of one line."""
        return self.key == other.key and self.start < other.end and other.start < self.end


class Holdout(SpecModel):
    """Units kept out of every experiment that names the holdout: they get control, uncounted.

    Which units are held out depends on the holdout's key and the unit alone.
    """

    key: Key
    """Name of the holdout, the same in all experiments that it keeps units out of."""
    share: Share
    """Share of units held out."""


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, Mapping | Holdout) else value


Holdouts = Annotated[
    tuple[Holdout, ...],
    BeforeValidator(_several, json_schema_input_type=Holdout | tuple[Holdout, ...]),
]
"""One holdout or a list of them."""


class Prerequisite(SpecModel):
    """Another experiment that a unit must be enrolled in first."""

    experiment: Key
    """Its key."""
    version: Version | None = None
    """Its version; the current one when not given."""
    variant: Id | None = None
    """The variant that the unit must have there; any when not given."""

    @property
    def label(self) -> str:
        return self.experiment if self.version is None else f"{self.experiment} {self.version}"
