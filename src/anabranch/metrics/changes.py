"""What one batch changes in one run, gathered before it is sent as a delta."""

from __future__ import annotations

from collections import defaultdict

from anabranch.metrics.exact import EXACT, Exact
from anabranch.metrics.moments import Moments

__all__ = ["Cell", "RunChanges", "VariantChanges", "WindowChanges"]


class Cell:
    """Change of one metric in one window.

    Attributes:
        units: Distinct units with an event in it.
        beside: Sum of a ratio's denominator.
    """

    __slots__ = ("beside", "bins", "events", "sum", "units")

    def __init__(self) -> None:
        self.units = 0
        self.events = 0
        self.sum: Exact = 0
        self.bins: dict[str, int] = {}
        self.beside: Exact = 0

    def count_beside(self, sign: int, value: Exact) -> None:
        """A ratio's denominator grows by the value (``sign`` 1), or shrinks (-1)."""
        self.beside = (EXACT.add if sign > 0 else EXACT.subtract)(self.beside, value)

    def count(self, sign: int, value: Exact, bin_name: str | None) -> None:
        """One event more (``sign`` 1) or fewer (-1)."""
        self.events += sign
        self.sum = (EXACT.add if sign > 0 else EXACT.subtract)(self.sum, value)
        if bin_name is not None:
            total = self.bins.get(bin_name, 0) + sign
            if total:
                self.bins[bin_name] = total
            else:
                del self.bins[bin_name]

    def __bool__(self) -> bool:
        return bool(self.units or self.events or self.sum or self.bins or self.beside)


class WindowChanges:
    """Change of one window of one variant."""

    __slots__ = ("cells", "exposures")

    def __init__(self) -> None:
        self.exposures = 0
        self.cells: defaultdict[str, Cell] = defaultdict(Cell)


class VariantChanges:
    """Change of one variant over all time."""

    __slots__ = ("crossovers", "moments", "units")

    def __init__(self) -> None:
        self.units = 0
        self.crossovers = 0
        self.moments: defaultdict[str, Moments] = defaultdict(Moments)


class RunChanges:
    """Change of one run.

    Attributes:
        as_of: Greatest event time taken in: of exposures, and of exposed units' observations of
            the run's events. Whether each of them counts is left out of it on purpose: what counts
            can be taken back, and the greatest time would then depend on the order of arrival.
        variants: By variant. What is not there yet is made when it is asked for, here and below.
        windows: By size, start and variant.
        segments: By attribute, value and variant.
    """

    __slots__ = ("as_of", "segments", "variants", "windows")

    def __init__(self) -> None:
        self.as_of: int | None = None
        self.variants: defaultdict[str, VariantChanges] = defaultdict(VariantChanges)
        self.windows: defaultdict[tuple[int, int, str], WindowChanges] = defaultdict(WindowChanges)
        self.segments: defaultdict[tuple[str, str, str], VariantChanges] = defaultdict(
            VariantChanges
        )

    def saw(self, time: int) -> None:
        """Take note of an event time."""
        if self.as_of is None or time > self.as_of:
            self.as_of = time
