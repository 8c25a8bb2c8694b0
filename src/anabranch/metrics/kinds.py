"""What alerts are about."""

from __future__ import annotations

from enum import StrEnum

__all__ = ["Kind"]


class Kind(StrEnum):
    """Every kind of alert there is; each has a section in docs/guardrails.md."""

    GUARDRAIL = "guardrail"
    SAMPLE_RATIO = "sample_ratio"
    EXPOSURE_IMBALANCE = "exposure_imbalance"
    SILENCE = "silence"
    ERROR_BUDGET = "error_budget"
    ANOMALY = "anomaly"
    SPEC_REFUSED = "spec_refused"
