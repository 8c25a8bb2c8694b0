"""What people write: experiments, telemetry and policies, as immutable, validated models."""

from anabranch.specs.experiment import (
    Aggregation,
    Allocation,
    ExperimentRef,
    ExperimentSpec,
    Identity,
    Override,
    PolicyRef,
    RandomAllocation,
    Schedule,
    Status,
    StickyAllocation,
    SuccessMetric,
    TargetedAllocation,
    TargetingRule,
    TelemetryEventRef,
    Variant,
)
from anabranch.specs.meta import Meta, Stability
from anabranch.specs.policy import PolicyRule, PolicySpec
from anabranch.specs.telemetry import TelemetryEventSpec, TelemetryProperty, TelemetrySpec
from anabranch.specs.version import normalize_version, version_key

__all__ = [
    "Aggregation",
    "Allocation",
    "ExperimentRef",
    "ExperimentSpec",
    "Identity",
    "Meta",
    "Override",
    "PolicyRef",
    "PolicyRule",
    "PolicySpec",
    "RandomAllocation",
    "Schedule",
    "Stability",
    "Status",
    "StickyAllocation",
    "SuccessMetric",
    "TargetedAllocation",
    "TargetingRule",
    "TelemetryEventRef",
    "TelemetryEventSpec",
    "TelemetryProperty",
    "TelemetrySpec",
    "Variant",
    "normalize_version",
    "version_key",
]
