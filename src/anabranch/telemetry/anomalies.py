"""Values out of bounds: each event is judged alone.

A minimum sample (thresholds that apply only once so many events were seen) needs memory over all
partitions, which the gate does not have: the aggregate stage counts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from anabranch.specs.telemetry import (
    AnomalyDetection,
    AnomalyThreshold,
    TelemetryConfig,
    TelemetryEventSpec,
)

__all__ = ["Anomaly", "anomalies", "detection"]


@dataclass(frozen=True, slots=True)
class Anomaly:
    """A property's value outside its bounds; a bound that is None does not bound."""

    metric: str
    value: int | float
    min: int | float | None
    max: int | float | None


def detection(event: TelemetryEventSpec, config: TelemetryConfig) -> AnomalyDetection | None:
    """What holds for the event: its own detection, else the spec's; None where it is off.

    Of the spec's thresholds, those that name a numeric property of the event that is not masked.
    """
    own = event.anomaly_detection
    if own is not None:
        return own if own.enabled else None
    shared = config.anomaly_detection
    if shared is None or not shared.enabled:
        return None
    fitting = [t for t in shared.thresholds if t.metric in event.measurable]
    return shared.model_copy(update={"thresholds": fitting})


def anomalies(
    thresholds: Sequence[AnomalyThreshold], properties: Mapping[str, Any]
) -> list[Anomaly]:
    """The properties (checked ones) whose value lies outside a threshold's bounds."""
    found: list[Anomaly] = []
    for threshold in thresholds:
        value = properties.get(threshold.metric)
        if value is None:
            continue
        low, high = threshold.min, threshold.max
        if (low is not None and value < low) or (high is not None and value > high):
            found.append(Anomaly(threshold.metric, value, low, high))
    return found
