"""What may be forgotten of units that nothing has been heard of for long.

Records of units shed what has left the ledger's horizon, and go altogether once nothing in them
can matter: a unit that was never exposed when its observations have left the horizon, and one that
was exposed when its last first exposure lies further back than units are kept. A unit that is
forgotten and exposed again counts as a new one, so units are to be kept for longer than any
experiment runs.

Stream time may run far faster than the clock: a worker that reads a month of history in a minute
would let go of the first week's observations while their exposures are still with the stage before
it. So what may go is decided by the watermark of a while ago *by the clock*, see :func:`settled`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from anabranch.errors import SettingsError
from anabranch.metrics.ledger import Ledger
from anabranch.metrics.windows import DAY, MINUTE

__all__ = ["RetentionSettings", "settled", "shed", "waiting"]


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How long units are kept, and how units are looked through for what may go.

    Attributes:
        units_ms: A unit is forgotten so long after its last first exposure, in stream time.
        every_ms: All units are looked through once in so much stream time.
        slice: Units looked at with each batch meanwhile.
        grace_ms: Nothing is forgotten within so long, by the clock, of having been read: as far
            as the stages before may be behind when all of them read a backlog.

    Raises:
        SettingsError: a setting is not positive (the grace may be 0).
    """

    units_ms: int = 180 * DAY
    every_ms: int = DAY
    slice: int = 500
    grace_ms: int = 10 * MINUTE

    def __post_init__(self) -> None:
        if min(self.units_ms, self.every_ms, self.slice) <= 0 or self.grace_ms < 0:
            raise SettingsError(f"units' retention has to be positive in all of {self}")


def settled(marks: list[list[int]], now: int, reached: int, grace_ms: int) -> int | None:
    """The watermark as it was at least the grace ago, by the clock; None while none is so old.

    Args:
        marks: Clock and watermark of one or two moments, the older one first; changed in place.
        now: The clock, milliseconds since the epoch.
        reached: The watermark now.
        grace_ms: How long ago at least. It is twice that at most while records keep coming.
    """
    if not grace_ms:
        return reached
    if not marks or now < marks[-1][0]:  # a clock that was set back waits anew
        marks[:] = [[now, reached]]
    elif now >= marks[-1][0] + grace_ms:
        marks[:] = [marks[-1], [now, reached]]
    return marks[0][1] if len(marks) > 1 else None


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
