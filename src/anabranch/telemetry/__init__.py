"""What may be measured: checks, masking, sampling and thresholds of telemetry events."""

from anabranch.telemetry.anomalies import Anomaly, anomalies
from anabranch.telemetry.checks import Checker, check
from anabranch.telemetry.plan import EventPlan, TelemetryPlans, compile_event
from anabranch.telemetry.redaction import REDACTED, mask, redact
from anabranch.telemetry.sampling import sampled

__all__ = [
    "REDACTED",
    "Anomaly",
    "Checker",
    "EventPlan",
    "TelemetryPlans",
    "anomalies",
    "check",
    "compile_event",
    "mask",
    "redact",
    "sampled",
]
