"""Everything to be done with one kind of event, compiled for the hot path."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from anabranch.errors import SpecValidationError
from anabranch.specs.registry import TelemetryRegistry
from anabranch.specs.telemetry import TelemetryConfig, TelemetryEventSpec
from anabranch.specs.version import normalize_version, spellings
from anabranch.telemetry.anomalies import Anomaly, anomalies, detection
from anabranch.telemetry.checks import Checker
from anabranch.telemetry.redaction import mask, masked_names
from anabranch.telemetry.sampling import sampled

__all__ = ["EventPlan", "TelemetryPlans", "compile_event"]


class EventPlan:
    """Checks, masks, samples and judges events of one kind.

    Attributes:
        event: The declaration it was compiled from.
        rate: Share of events kept.
        actions: What to do about an anomaly: ``alert``, ``log``, ``trigger_regen``.
        minimum_sample: How many events have to be seen before an anomaly is told.
    """

    __slots__ = (
        "_checker",
        "_masked",
        "_thresholds",
        "actions",
        "event",
        "minimum_sample",
        "rate",
    )

    def __init__(self, event: TelemetryEventSpec, config: TelemetryConfig) -> None:
        found = detection(event, config)
        sampling = event.sampling
        self.event = event
        self.rate = config.default_sampling_rate if sampling is None else sampling.rate
        self.actions: tuple[str, ...] = () if found is None else found.actions
        self.minimum_sample = 0 if found is None else found.minimum_sample
        self._checker = Checker(event)
        self._masked = masked_names(event)
        self._thresholds = () if found is None else found.thresholds

    def keeps(self, event_id: str, source: str) -> bool:
        """Whether sampling keeps the event; the same for every replay."""
        return self.rate >= 1 or sampled(event_id, source, self.rate)

    def apply(self, properties: Mapping[str, Any]) -> tuple[dict[str, Any], int]:
        """The properties that may travel on, masked, and how many undeclared ones were left out.

        Raises:
            EventSchemaError: naming event, property, and expected and actual type.
        """
        clean, undeclared = self._checker.check(properties)
        for name in self._masked:
            if name in clean:
                clean[name] = mask(clean[name])
        return clean, undeclared

    def anomalies(self, clean: Mapping[str, Any]) -> list[Anomaly]:
        """Values out of bounds among what :meth:`apply` gave."""
        return anomalies(self._thresholds, clean) if self._thresholds else []


def compile_event(event: TelemetryEventSpec, config: TelemetryConfig | None = None) -> EventPlan:
    """The plan of an event; ``config`` is that of the TelemetrySpec which declares it."""
    return EventPlan(event, TelemetryConfig() if config is None else config)


class TelemetryPlans:
    """Plans of every event that a registry declares now; make it anew when specs change."""

    __slots__ = ("_plans",)

    def __init__(self, registry: TelemetryRegistry) -> None:
        self._plans: dict[tuple[str, int | str], EventPlan] = {}
        for spec, event in registry.declarations():
            plan = compile_event(event, spec.config)
            for spelling in spellings(event.version):
                self._plans[event.key, spelling] = plan

    def get(self, name: str, version: int | str) -> EventPlan | None:
        """The plan of the event, or None where it is not declared; 1 means "1.0.0"."""
        found = self._plans.get((name, version))
        if found is not None:
            return found
        try:
            return self._plans.get((name, normalize_version(version)))
        except SpecValidationError:
            return None
