"""Units that a metric leaves out, for they had its event before their first exposure.

Whoever has bought already cannot be won as a buyer. What a unit did before its exposure is no
consequence of its variant, so leaving such units out of both arms favours neither; they are
counted, and the run's units and its sample ratio are of all.

Among a unit's totals of a run lies, under ``$prior``, by metric the time of the earliest such event
that is known. It outlives the ledger, so a unit stays left out whatever the ledger forgets, and is
taken in again only when its first exposure turns out to be earlier than that.
"""

from __future__ import annotations

from collections.abc import Container
from typing import Final

from anabranch.metrics.changes import VariantChanges
from anabranch.metrics.totals import Totals

__all__ = ["exclude", "excluded", "leave", "readmit"]

_PRIOR: Final = "$prior"
_NONE: Final[frozenset[str]] = frozenset()


def excluded(totals: Totals) -> Container[str]:
    """The metrics that the unit is left out of."""
    return totals.get(_PRIOR, _NONE)


def exclude(totals: Totals, of_variant: VariantChanges, metric: str, time: int) -> bool:
    """The unit had the metric's event at that time, before its first exposure; True if that is new.

    What was counted of the metric is the caller's to take back.
    """
    prior: dict[str, int] = totals.setdefault(_PRIOR, {})  # type: ignore[arg-type,assignment]
    known = prior.get(metric)
    prior[metric] = time if known is None else min(known, time)
    if known is None:
        of_variant.moments[metric].excluded += 1
    return known is None


def readmit(totals: Totals, of_variant: VariantChanges, first: int) -> None:
    """First exposure has moved to that time, maybe before what the unit was left out for."""
    prior: dict[str, int] = totals.get(_PRIOR, {})  # type: ignore[assignment]
    for metric in [metric for metric, time in prior.items() if time >= first]:
        del prior[metric]
        of_variant.moments[metric].excluded -= 1
    if not prior:
        totals.pop(_PRIOR, None)


def leave(totals: Totals, of_variant: VariantChanges) -> None:
    """The unit leaves the run: it is no longer counted as left out of its metrics."""
    for metric in totals.pop(_PRIOR, ()):
        of_variant.moments[metric].excluded -= 1
