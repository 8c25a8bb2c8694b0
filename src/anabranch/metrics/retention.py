"""What may be forgotten of units that nothing has been heard of for long.

Records of units shed what has left the ledger's horizon, and go altogether once nothing in them
can matter: a unit that was never exposed when its observations have left the horizon, and one that
was exposed when its last first exposure lies further back than units are kept. A unit that is
forgotten and exposed again counts as a new one, so units are to be kept for longer than any
experiment runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from anabranch.errors import SettingsError
from anabranch.metrics.ledger import Ledger
from anabranch.metrics.windows import DAY

__all__ = ["RetentionSettings", "shed", "waiting"]


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long units are kept, and how units are looked through for what may go.

    Attributes:
        units_ms: A unit is forgotten so long after its last first exposure, in stream time.
        every_ms: All units are looked through once in so much stream time.
        slice: Units looked at with each batch meanwhile.

    Raises:
        SettingsError: a setting is not positive.
    """

    units_ms: int = 180 * DAY
    every_ms: int = DAY
    slice: int = 500

    def __post_init__(self) -> None:
        if min(self.units_ms, self.every_ms, self.slice) <= 0:
            raise SettingsError(f"units' retention has to be positive in all of {self}")


_RUNS: Final = "r"
_LEDGER: Final = "l"


def waiting(record: dict[str, Any]) -> int:
    """How many observations are kept of a unit that was exposed to nothing so far."""
    columns = record.get(_LEDGER)
    return 0 if columns is None or record.get(_RUNS) else len(Ledger(columns))


def shed(record: dict[str, Any], *, arrived_before: int, exposed_before: int) -> bool:
    """Take out of a unit's record, in place, what its ledger need not remember.

    Args:
        record: As it lies in state, see :mod:`anabranch.metrics.attribution`.
        arrived_before: Stream time before which observations may go.
        exposed_before: Event time before which first exposures may go.

    Returns:
        Whether the record is of no use any more.
    """
    columns = record.get(_LEDGER)
    if columns is not None:
        ledger = Ledger(columns)
        ledger.forget(arrived_before)
        if not len(ledger):
            del record[_LEDGER]
    runs = record.get(_RUNS, {})
    return _LEDGER not in record and all(run[0] < exposed_before for run in runs.values())
