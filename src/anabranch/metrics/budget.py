"""Whether more telemetry is refused than its error budget allows.

The name is that of site reliability engineering (Beyer, Jones, Petoff, Murphy, "Site Reliability
Engineering", chapter 3): a share that may go wrong. A single refused record says nothing, so what
is looked at is whether so many can be chance where the share is the budget.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from scipy.special import bdtrc

from anabranch.metrics.health import LEAST_UNITS, SUDDEN, Kind, Verdict, Word

__all__ = ["Hour", "overspent"]

ALL: Final = "all telemetry"


@dataclass(slots=True)
class Hour:
    """Records that came within an hour, and those refused, by error."""

    seen: int = 0
    refused: dict[str, int] = field(default_factory=dict)

    @property
    def share(self) -> float:
        return sum(self.refused.values()) / self.seen if self.seen else 0.0


def overspent(hours: Mapping[int, Hour], budget: float, event: str = "") -> Verdict | None:
    """Whether the budget is overspent in some late hour; None where nothing was seen.

    A breach with the latest hour that has more refused records than chance allows: the probability
    of so many or more, were the budget the share of each, is at most
    :data:`~anabranch.metrics.health.SUDDEN` (upper tail of the binomial distribution). Over with a
    later one that is complete (another has begun), has
    :data:`~anabranch.metrics.health.LEAST_UNITS` records and is within the budget.

    Args:
        hours: Where each hour begins, in milliseconds, to what came.
        budget: Share of records that may be refused; with 0 the first one is too much.
        event: Name and version, for the message.
    """
    found = None
    for start in sorted(hours):
        hour = hours[start]
        refused = sum(hour.refused.values())
        over = hour.share > budget
        chance = float(bdtrc(refused - 1, hour.seen, budget)) if over else None
        calm = start != max(hours) and hour.seen >= LEAST_UNITS and not over
        broken = chance is not None and chance <= SUDDEN
        word: Word = "breach" if broken else "over" if calm else "between"
        if word == "between" and found is not None:
            continue
        mostly = max(hour.refused, key=lambda name: (hour.refused[name], name), default="none")
        found = Verdict(
            Kind.ERROR_BUDGET,
            word,
            hour.share,
            {
                "start": start,
                "seen": hour.seen,
                "refused": refused,
                "reasons": dict(sorted(hour.refused.items())),
                "share": hour.share,
                "budget": budget,
                "pValue": chance,
            },
            f"{refused:,} of {hour.seen:,} records of {event or ALL} within an hour were refused, "
            f"{hour.share:.2%} where {budget:.2%} may be; most by {mostly}: see the dead letters "
            "of telemetry",
        )
    return found
