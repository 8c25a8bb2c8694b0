"""Whether results support making a variant canonical."""

from __future__ import annotations

from dataclasses import dataclass

from anabranch.events.models import Comparison, MetricResult, Results
from anabranch.specs import ExperimentSpec, SuccessMetric
from anabranch.specs.explain import nearest
from anabranch.specs.lint.results import MISMATCH

__all__ = ["Evidence", "judge"]


@dataclass(frozen=True, slots=True)
class Evidence:
    """What the results say of a variant.

    Attributes:
        findings: What speaks for it, or does not speak against it.
        objections: What speaks against promoting it; none where the results support it.
    """

    findings: tuple[str, ...]
    objections: tuple[str, ...]


def judge(
    spec: ExperimentSpec, variant: str, results: Results | None, primary: str | None = None
) -> Evidence:
    """Whether the results support promoting the variant.

    They do where there is no sample ratio mismatch, the primary metric is better than control's
    for certain, and no other metric is worse for certain by more than it tolerates as a guardrail.
    Certain is what the sequential interval says, at whatever moment one looks.

    Args:
        spec: The experiment.
        variant: Id of the variant.
        results: Of this version; None where there are none.
        primary: Name of the metric that decides; the first when not given.

    Raises:
        ValueError: No metric has that name.
    """
    if primary is not None and primary not in spec.metrics_by_name:
        known = spec.metrics_by_name
        raise ValueError(f"no success metric is named {primary!r}: {nearest(primary, known)}")
    if results is None:
        return Evidence((), (f"there are no results of {spec.meta.label}",))
    findings: list[str] = []
    objections: list[str] = []
    ratio = results.srm.sequential_p_value
    if ratio is not None and ratio < MISMATCH:
        objections.append(
            f"sample ratio mismatch, p = {ratio:.2g}: units are missing from an arm, so its "
            "figures cannot be trusted"
        )
    elif ratio is not None:
        findings.append(f"no sample ratio mismatch, p = {ratio:.2g}")
    if not spec.success_metrics:
        objections.append("there is no success metric: nothing says that it is better")
        return Evidence(tuple(findings), tuple(objections))
    decides = spec.metrics_by_name.get(primary or "", spec.success_metrics[0])
    measured = {one.name: one for one in results.metrics}
    for metric in spec.success_metrics:
        told, certain = _compared(metric, variant, measured.get(metric.name))
        if metric is decides:
            (findings if certain == 1 else objections).append(
                f"{told}: {_PRIMARY[certain]}" if told else f"{metric.name}: not measured yet"
            )
        elif certain < 0:
            objections.append(f"{told}: worse for certain")
        elif told:
            findings.append(
                f"{told}: {'better for certain' if certain else 'not worse for certain'}"
            )
    return Evidence(tuple(findings), tuple(objections))


_PRIMARY = {
    1: "better for certain",
    0: "neither better nor worse for certain, and it is the metric that decides",
    -1: "worse for certain, and it is the metric that decides",
}


def _compared(metric: SuccessMetric, variant: str, result: MetricResult | None) -> tuple[str, int]:
    """The comparison in words, and 1 for better, -1 for worse, 0 for not decided."""
    comparison = _of(variant, result)
    interval = None if comparison is None else comparison.sequential
    if comparison is None or interval is None:
        return "", 0
    low, high = interval.low, interval.high
    told = (
        f"{metric.name}: difference {comparison.difference:+.4g}, 95 % at any time "
        f"{low:+.4g} to {high:+.4g}"
        if comparison.difference is not None
        else f"{metric.name}: 95 % at any time {low:+.4g} to {high:+.4g}"
    )
    tolerated = 0 if metric.guardrail is None else metric.guardrail.tolerance
    if metric.direction == "decrease":
        low, high = -high, -low
    return told, (low > 0) - (high < -tolerated)


def _of(variant: str, result: MetricResult | None) -> Comparison | None:
    if result is None:
        return None
    return next((one for one in result.comparisons if one.variant == variant), None)
