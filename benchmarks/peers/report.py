"""The peers' figures side by side."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass

from rich import box
from rich.table import Table

from benchmarks.peers.meter import Measured
from benchmarks.tables import Floor


@dataclass
class PeerComparison:
    """Contestants that did the same work, with the floors that must hold.

    Attributes:
        title: What they did.
        unit: What is counted.
        measured: By contestant, in the order of the table: one a round.
        floors: Least ratios of rates, each the median of the rounds' own ratios.
    """

    title: str
    unit: str
    measured: Mapping[str, Sequence[Measured]]
    floors: Sequence[Floor]

    def ratio(self, contestant: str, other: str) -> float:
        """Median over the rounds of the ratio within a round."""
        pairs = zip(self.measured[contestant], self.measured[other], strict=True)
        return statistics.median(ours.rate / theirs.rate for ours, theirs in pairs)

    def missed(self) -> list[str]:
        """A line for every floor that does not hold."""
        return [
            f"{floor.contestant} reaches {self.ratio(floor.contestant, floor.other):.2f} of "
            f"{floor.other}: the floor is {floor.ratio:g}"
            for floor in self.floors
            if self.ratio(floor.contestant, floor.other) < floor.ratio
        ]

    def as_rich(self) -> Table:
        """Ratios are to the contestants of those numbers."""
        rounds = max(map(len, self.measured.values()))
        table = Table(
            title=f"{self.title}, exactly once (median of {rounds}, ± half the range)",
            box=box.SIMPLE,
            title_justify="left",
        )
        table.add_column("")
        table.add_column("", no_wrap=True)
        numbers = {name: str(n) for n, name in enumerate(self.measured, 1)}
        columns = (f"{self.unit}s/s", f"CPU µs a {self.unit}", "commit ms", "peak MiB")
        others = list(dict.fromkeys(floor.other for floor in self.floors))
        for column in (*columns, *(f"x {numbers[other]}" for other in others)):
            table.add_column(column, justify="right")
        for name, found in self.measured.items():
            table.add_row(
                numbers[name],
                name,
                _spread([m.rate for m in found], ",.0f"),
                _spread([m.cpu for m in found], ".2f"),
                f"{statistics.median(m.commit_ms for m in found):,.0f}",
                f"{max(m.rss for m in found) / 2**20:,.0f}",
                *(f"{self.ratio(name, other):.2f}" for other in others),
            )
        return table

    def as_json(self) -> dict[str, object]:
        return {
            "title": self.title,
            "unit": self.unit,
            "contestants": [
                {
                    "name": name,
                    "rate": statistics.median(m.rate for m in found),
                    "cpuMicros": statistics.median(m.cpu for m in found),
                    "commitMs": statistics.median(m.commit_ms for m in found),
                    "peakRss": max(m.rss for m in found),
                    "rounds": [asdict(m) for m in found],
                }
                for name, found in self.measured.items()
            ],
            "floors": [
                {
                    "contestant": floor.contestant,
                    "other": floor.other,
                    "ratio": self.ratio(floor.contestant, floor.other),
                    "floor": floor.ratio,
                }
                for floor in self.floors
            ],
        }


def _spread(values: Sequence[float], form: str) -> str:
    middle = format(statistics.median(values), form)
    if len(values) == 1:
        return middle
    half = (max(values) - min(values)) / 2 / statistics.median(values)
    return f"{middle} ±{half:.0%}"
