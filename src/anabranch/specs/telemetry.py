"""Telemetry: which events may be sent, with which properties, and how they are protected."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import ClassVar, Literal, Self

from pydantic import AliasChoices, Field, model_validator

from anabranch.specs.base import SpecModel
from anabranch.specs.explain import nearest, wrong
from anabranch.specs.fields import Amount, JsonObject, Key, Share, Version
from anabranch.specs.meta import duplicates
from anabranch.specs.spec import Spec

__all__ = [
    "AnomalyDetection",
    "AnomalyThreshold",
    "Privacy",
    "PropertyType",
    "Retention",
    "Sampling",
    "Semantics",
    "TelemetryConfig",
    "TelemetryEventSpec",
    "TelemetryProperty",
    "TelemetryProvider",
    "TelemetrySpec",
]

PropertyType = Literal["string", "number", "boolean", "timestamp", "json"]
"""What a property's value may be; a timestamp is RFC 3339 text or an epoch number."""

Privacy = Literal["public", "internal", "pii", "sensitive"]
"""Every property of a sensitive event is masked."""


class TelemetryProperty(SpecModel):
    """One property of an event; ``pii`` or ``redact`` masks its value."""

    type: PropertyType
    """What its value may be."""
    required: bool = False
    """Whether every event carries it."""
    pii: bool = False
    """Whether it is personal data: its values are masked."""
    redact: bool = False
    """Whether its values are masked for another reason."""
    description: str = ""
    """What it means."""


class Semantics(SpecModel):
    """What the event means: who does what, and why it is measured."""

    who: str = ""
    """Who does it."""
    what: str = ""
    """What they do."""
    why: str = ""
    """Why it is measured."""


class Retention(SpecModel):
    """How long stores keep the event, in days; told to them, not enforced on topics."""

    days: int = Field(ge=0, strict=True)
    """Days after which it is archived or deleted."""
    policy: Literal["archive", "delete"] = "delete"
    """What is then done: archive or delete."""


class Sampling(SpecModel):
    """Share of the events that are kept."""

    not_yet: ClassVar[Mapping[str, str]] = {
        "conditions": "sample by rate alone, or leave sampling out to keep every event"
    }

    rate: Share
    """Share of events kept, by a hash of the event's id."""


class AnomalyThreshold(SpecModel):
    """Bounds of the numeric property named ``metric``, both allowed values themselves."""

    metric: str
    """Name of the numeric property."""
    min: Amount | None = None
    """Least value that is allowed."""
    max: Amount | None = None
    """Greatest value that is allowed."""

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        if self.min is None and self.max is None:
            raise wrong((), "bounds nothing: give min, max or both")
        if self.min is not None and self.max is not None and self.min > self.max:
            raise wrong(("min",), f"{self.min} is above max, {self.max}: exchange them")
        return self


class AnomalyDetection(SpecModel):
    """When values of an event are out of bounds, and what is then done."""

    enabled: bool = False
    """Whether thresholds are watched."""
    minimum_sample: int = Field(default=0, ge=0, strict=True)
    """Events to see, of all partitions, before thresholds apply."""
    thresholds: tuple[AnomalyThreshold, ...] = ()
    """Bounds of properties."""
    actions: tuple[Literal["alert", "log", "trigger_regen"], ...] = ("alert",)
    """What is done: alert puts it on the alerts topic; other tools see to log and trigger_regen."""


class TelemetryEventSpec(SpecModel):
    """One event: its properties and their protection."""

    key: Key = Field(validation_alias=AliasChoices("key", "name"))
    """The event's key; ``name`` is the older spelling."""
    version: Version
    """The event's own version."""
    semantics: Semantics | None = None
    """Who does what, and why it is measured."""
    properties: dict[str, TelemetryProperty] = Field(default_factory=dict)
    """Property to what it may be; events with others lose those."""
    privacy: Privacy = "internal"
    """How private it is: public, internal, pii or sensitive; of a sensitive event everything is
    masked."""
    retention: Retention | None = None
    """How long it is kept."""
    sampling: Sampling | None = None
    """Which share is kept; the spec's default when not given."""
    anomaly_detection: AnomalyDetection | None = None
    """When its values are out of bounds; the spec's default when not given."""
    error_budget: Share | None = None
    """Share of its records that may be refused before an alert is raised; the spec's default when
    not given."""
    tags: tuple[str, ...] = ()
    """Words to find it by; ``privacy-reviewed`` says that it has been."""

    @property
    def label(self) -> str:
        return f"{self.key} {self.version}"

    def masks(self, name: str) -> bool:
        """Whether the property's values are masked before anything is counted."""
        found = self.properties[name]
        return self.privacy == "sensitive" or found.pii or found.redact

    @cached_property
    def numeric(self) -> tuple[str, ...]:
        """Names of the numeric properties, in order."""
        return tuple(name for name, p in self.properties.items() if p.type == "number")

    @cached_property
    def measurable(self) -> tuple[str, ...]:
        """Names of the numeric properties whose values are not masked, in order."""
        return tuple(name for name in self.numeric if not self.masks(name))

    @model_validator(mode="after")
    def _thresholds_have_values(self) -> Self:
        if self.anomaly_detection is None:
            return self
        for i, threshold in enumerate(self.anomaly_detection.thresholds):
            if threshold.metric not in self.measurable:
                known = ", ".join(map(repr, self.measurable)) or "none"
                raise wrong(
                    ("anomalyDetection", "thresholds", i, "metric"),
                    f"{threshold.metric!r} is no numeric property of the event that is not "
                    f"masked; there are: {known}",
                )
        return self


class TelemetryProvider(SpecModel):
    """Somewhere else that events are sent to; kept for the tools that do so."""

    type: str
    """Which system."""
    config: JsonObject = Field(default_factory=dict)
    """What that system needs."""


class TelemetryConfig(SpecModel):
    """What holds for events that do not say it themselves."""

    default_retention_days: int | None = Field(default=None, ge=0, strict=True)
    """How long events are kept that do not say so."""
    default_sampling_rate: Share = 1
    """Share kept of events that do not say so."""
    providers: tuple[TelemetryProvider, ...] = ()
    """Systems that events are sent on to; told to the tools that do so."""
    anomaly_detection: AnomalyDetection | None = None
    """Thresholds of events that have none."""
    default_error_budget: Share = 0.01
    """Share of records that may be refused, of events that do not say so."""


class TelemetrySpec(Spec):
    """A set of events that belong together.

    Raises:
        SpecValidationError: with the spec's key, the path of each wrong field and the remedy.
    """

    kind: ClassVar[str] = "Telemetry"

    events: tuple[TelemetryEventSpec, ...] = Field(min_length=1)
    """The events it declares."""
    config: TelemetryConfig = Field(default_factory=TelemetryConfig)
    """What holds for events that do not say it."""

    @cached_property
    def events_by_name(self) -> Mapping[tuple[str, str], TelemetryEventSpec]:
        """(key, canonical version) to event."""
        return {(event.key, event.version): event for event in self.events}

    @model_validator(mode="after")
    def _events_unique(self) -> Self:
        for twice in duplicates(event.label for event in self.events):
            raise wrong(("events",), f"{twice} is declared twice: key and version are unique")
        return self

    @model_validator(mode="after")
    def _shared_thresholds_have_values(self) -> Self:
        shared = self.config.anomaly_detection
        measurable = {name for event in self.events for name in event.measurable}
        for i, threshold in enumerate(() if shared is None else shared.thresholds):
            if threshold.metric not in measurable:
                raise wrong(
                    ("config", "anomalyDetection", "thresholds", i, "metric"),
                    f"no event has a numeric property {threshold.metric!r} that is not masked: "
                    + nearest(threshold.metric, measurable),
                )
        return self
