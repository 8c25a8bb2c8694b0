"""What figures of a run say about its health: each judge gives verdicts with their evidence.

A judge looks at this moment's figures alone. What follows from its verdict, an alert or none, is
:mod:`anabranch.metrics.alarms`' to say. docs/guardrails.md has every kind with its formula.

Two thresholds keep a condition that hovers at its limit from being told over and over: one that
must be crossed for a breach, and a milder one for its end. Between them stays what was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from anabranch.metrics.kinds import Kind
from anabranch.metrics.sample_ratio import sequential_sample_ratio
from anabranch.metrics.windows import HOUR, MINUTE

__all__ = [
    "LEAST_EXPECTED_EVENTS",
    "LEAST_UNITS",
    "SUDDEN",
    "Kind",
    "Quiet",
    "Verdict",
    "Word",
    "harm",
    "imbalance",
    "sample_ratio_mismatch",
    "silence",
]


MISMATCH: Final = 0.001
"""Sequential p-value at which units come in other shares than planned."""

CALM: Final = 0.05
"""Sequential p-value from which on a mismatch or an imbalance is over."""

SUDDEN: Final = 1e-6
"""P-value of one hour's exposures at which they are out of balance, or of its refused telemetry at
which there is too much of it: one false alarm in a million hours at most."""

HOURLY_CONCENTRATION: Final = 100.0
"""As :data:`anabranch.metrics.sample_ratio.CONCENTRATION`, for the fewer units of an hour: it looks
for larger deviations."""

LEAST_UNITS: Final = 50
"""Units of an hour that ends an imbalance; records of one that ends an overspent budget."""

LEAST_EXPECTED_EVENTS: Final = 14.0
"""Units with an event that must be expected of those exposed since: that none comes by chance then
has a probability of exp(-14), less than one in a million (Poisson)."""

Word = Literal["breach", "between", "over"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a judge says of one subject.

    Attributes:
        kind: What is judged.
        word: ``breach``, ``over`` (it is in order), or ``between`` the thresholds of both.
        figure: How bad it is, to tell when it has grown worse; the same unit at every look.
        evidence: The figures that led to it, JSON-able.
        message: The same in words.
        metric: Of which metric.
        variant: Of which variant.
        pause: Whether a breach pauses the experiment.
    """

    kind: Kind
    word: Word
    figure: float
    evidence: Mapping[str, Any] = field(default_factory=dict)
    message: str = ""
    metric: str | None = None
    variant: str | None = None
    pause: bool = False

    @property
    def subject(self) -> str:
        """What tells it from the run's other verdicts."""
        return "|".join((self.kind, self.metric or "", self.variant or ""))


def harm(
    metric: str,
    variant: str,
    control: str,
    *,
    direction: str,
    tolerance: float,
    difference: float,
    low: float,
    high: float,
    p_value: float,
    pause: bool = False,
) -> Verdict:
    """Whether a variant harms a guardrail metric.

    A breach when the whole sequential interval is worse than tolerated, over when the difference
    itself is tolerable. The interval covers the truth at all looks together with 95 %, so a variant
    that does no harm is ever found harmful with at most 2.5 % per guardrail and variant.

    Args:
        metric: The guardrail.
        variant: The arm.
        control: What it is compared with.
        direction: Which way is better, ``increase`` or ``decrease``.
        tolerance: How much worse it may be.
        difference: The arm's value less control's.
        low: Lower end of the sequential interval of the difference.
        high: Its upper end.
        p_value: The sequential p-value of no difference, for the record.
        pause: Whether a breach pauses.
    """
    sign = 1 if direction == "decrease" else -1
    worse = sign * difference
    least = low if sign > 0 else -high
    word: Word = "breach" if least > tolerance else "over" if worse <= tolerance else "between"
    beyond = f", of which {tolerance:g} would be tolerated" if tolerance else ""
    return Verdict(
        Kind.GUARDRAIL,
        word,
        worse,
        {
            "control": control,
            "direction": direction,
            "difference": difference,
            "low": low,
            "high": high,
            "pValue": p_value,
            "tolerance": tolerance,
            "test": "sequential",
        },
        f"{variant} is worse than {control} in {metric!r} by {worse:.4g}{beyond} "
        f"(95 % at any time: {low:+.3g} … {high:+.3g})",
        metric=metric,
        variant=variant,
        pause=pause,
    )


def sample_ratio_mismatch(
    units: Mapping[str, int],
    expected: Mapping[str, float],
    p_value: float | None,
    *,
    pause: bool = False,
) -> Verdict | None:
    """Whether units come in other shares than the split promises; None where none are expected.

    Args:
        units: Units of each arm.
        expected: Share of each arm.
        p_value: Of :func:`~anabranch.metrics.sample_ratio.sequential_sample_ratio`.
        pause: Whether a breach pauses.
    """
    if p_value is None:
        return None
    worst, off = _furthest(units, expected)
    return Verdict(
        Kind.SAMPLE_RATIO,
        "breach" if p_value <= MISMATCH else "over" if p_value >= CALM else "between",
        abs(off),
        {"pValue": p_value, "units": dict(units), "expected": dict(expected), "furthest": worst},
        f"{worst} has {_share(units, worst):.2%} of the units and should have "
        f"{expected.get(worst, 0):.2%} (sequential p = {p_value:.2g})",
        pause=pause,
    )


def imbalance(
    hours: Mapping[int, Mapping[str, int]], expected: Mapping[str, float]
) -> Verdict | None:
    """Whether first exposures of some late hour came in other shares than planned.

    A breach with the latest hour that is out of balance by itself, over with a later one that is
    complete (another has begun), has :data:`LEAST_UNITS` and is in balance.

    Args:
        hours: Where each hour begins, in milliseconds, to first exposures by variant.
        expected: Share of each arm; without any there is no verdict.
    """
    if not expected or not hours:
        return None
    found = None
    for start in sorted(hours):
        units = {variant: max(0, n) for variant, n in hours[start].items()}
        p_value = sequential_sample_ratio(units, expected, concentration=HOURLY_CONCENTRATION)
        if p_value is None:
            continue
        total = sum(units.values())
        complete = start != max(hours)
        calm = complete and total >= LEAST_UNITS and p_value >= CALM
        word: Word = "breach" if p_value <= SUDDEN else "over" if calm else "between"
        if word == "between" and found is not None:
            continue
        worst, off = _furthest(units, expected)
        found = Verdict(
            Kind.EXPOSURE_IMBALANCE,
            word,
            abs(off),
            {
                "start": start,
                "pValue": p_value,
                "exposures": units,
                "expected": dict(expected),
                "furthest": worst,
            },
            f"{worst} had {_share(units, worst):.2%} of an hour's {total:,} first exposures and "
            f"should have {expected.get(worst, 0):.2%} (sequential p = {p_value:.2g})",
        )
    return found


@dataclass(frozen=True, slots=True)
class Quiet:
    """How long nothing came of a metric.

    Attributes:
        last: End of the latest window that had an event of it, milliseconds.
        exposed: Start of the latest window that had an exposure.
        since: Units first exposed between the two.
    """

    last: int
    exposed: int
    since: int


def silence(metric: str, quiet: Quiet, *, rate: float, longest_ms: int) -> Verdict:
    """Whether a metric's events have stopped while exposures go on, all in event time.

    Args:
        metric: The metric.
        quiet: How long nothing came.
        rate: Share of units that had an event so far.
        longest_ms: How long is too long.
    """
    gap = quiet.exposed - quiet.last
    awaited = rate * quiet.since
    word: Word = "over" if gap < longest_ms else "between"
    if gap >= longest_ms and awaited >= LEAST_EXPECTED_EVENTS:
        word = "breach"
    return Verdict(
        Kind.SILENCE,
        word,
        float(gap),
        {
            "lastEvent": quiet.last,
            "lastExposure": quiet.exposed,
            "silentMs": gap,
            "limitMs": longest_ms,
            "exposuresSince": quiet.since,
            "expectedUnits": round(awaited, 3),
        },
        f"no event of {metric!r} for {gap // MINUTE} min, while {quiet.since:,} units were exposed "
        f"of which about {awaited:.0f} should have had one",
        metric=metric,
    )


def hour_of(start: int, size: int) -> int:
    """Where the hour begins that a window counts in; a longer window counts as one itself."""
    return start - start % HOUR if size <= HOUR else start


def _share(units: Mapping[str, int], variant: str) -> float:
    total = sum(units.values())
    return units.get(variant, 0) / total if total else 0.0


def _furthest(units: Mapping[str, int], expected: Mapping[str, float]) -> tuple[str, float]:
    """The arm whose share is furthest from what was planned, and by how much."""

    def arms() -> Iterator[tuple[str, float]]:
        for variant in sorted({*units, *expected}):
            yield variant, _share(units, variant) - expected.get(variant, 0)

    return max(arms(), key=lambda arm: abs(arm[1]))
