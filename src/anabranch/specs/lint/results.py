"""What results say of an experiment, for rules that ask whether it is decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from anabranch.specs.experiment import ExperimentSpec

__all__ = ["winner"]

MISMATCH: Final = 0.001
"""Below this, the sample ratio's p-value says that the allocation is broken."""


def winner(spec: ExperimentSpec, results: Mapping[str, Any]) -> str | None:
    """The variant whose first success metric is better than control's for certain, if one is.

    Certain is what the sequential interval, which may be looked at at any time, says. Of several,
    the one whose interval begins best.

    Args:
        spec: The experiment.
        results: A value of the ``results`` topic, as JSON has it.
    """
    if not spec.success_metrics:
        return None
    p_value = results.get("srm", {}).get("sequentialPValue")
    if p_value is not None and p_value < MISMATCH:
        return None
    wanted = spec.success_metrics[0]
    metrics = [one for one in results.get("metrics", ()) if one.get("name") == wanted.name]
    best: tuple[float, str] | None = None
    for comparison in metrics[0].get("comparisons", ()) if metrics else ():
        interval = comparison.get("sequential") or {}
        low, high = interval.get("low"), interval.get("high")
        if low is None or high is None:
            continue
        least = low if wanted.direction == "increase" else -high
        if least > 0 and (best is None or least > best[0]):
            best = (least, str(comparison["variant"]))
    return None if best is None else best[1]
