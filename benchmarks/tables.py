"""Figures side by side, with the floors that the project holds itself to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from rich import box
from rich.table import Table

from benchmarks.contestants import Figures

CPU: Final = "CPU µs"


@dataclass(frozen=True)
class Floor:
    """Least ratio of a contestant's rate to another's."""

    contestant: str
    other: str
    ratio: float


@dataclass(frozen=True)
class Ceiling:
    """Most that a contestant may take, by the table's measure."""

    contestant: str
    most: float


@dataclass
class Comparison:
    """Contestants that did the same work.

    Attributes:
        title: What they did.
        unit: What is counted.
        figures: By contestant, in the order of the table.
        floors: What must hold.
        ceilings: What must hold, too.
        measure: What the figures are; without rates where it is not time.
        by_cpu: Ratios are of CPU time, for what waits for nothing; else of rates.
    """

    title: str
    unit: str
    figures: Mapping[str, Figures]
    floors: Sequence[Floor] = field(default=())
    ceilings: Sequence[Ceiling] = field(default=(), kw_only=True)
    measure: str = CPU
    by_cpu: bool = False

    def ratio(self, contestant: str, other: str) -> float:
        if self.by_cpu:
            return self.figures[other].cpu / self.figures[contestant].cpu
        return self.figures[contestant].rate / self.figures[other].rate

    def missed(self) -> list[str]:
        """A line for every floor and every ceiling that does not hold."""
        too_much = [
            f"{one.contestant} takes {self.figures[one.contestant].cpu:,.2f} {self.measure} a "
            f"{self.unit}: {one.most:g} is the most"
            for one in self.ceilings
            if self.figures[one.contestant].cpu > one.most
        ]
        return too_much + [
            f"{floor.contestant} reaches {self.ratio(floor.contestant, floor.other):.2f} of "
            f"{floor.other}: the floor is {floor.ratio:g}"
            for floor in self.floors
            if self.ratio(floor.contestant, floor.other) < floor.ratio
        ]

    def as_rich(self) -> Table:
        rounds = max(len(f.micros) for f in self.figures.values())
        table = Table(
            title=f"{self.title} (median of {rounds})", box=box.SIMPLE, title_justify="left"
        )
        table.add_column("")
        timed = self.measure == CPU
        if timed:
            table.add_column(f"{self.unit}s/s", justify="right")
        table.add_column(f"{self.measure} a {self.unit}", justify="right")
        others = list(dict.fromkeys(floor.other for floor in self.floors))
        for other in others:
            table.add_column(f"x {other.split(',')[0]}", justify="right")
        for name, found in self.figures.items():
            ratios = [f"{self.ratio(name, other):.2f}" for other in others]
            rate = [f"{found.rate:,.0f}"] if timed else []
            table.add_row(name, *rate, f"{found.cpu:,.2f}", *ratios)
        return table

    def as_json(self) -> dict[str, object]:
        return {
            "title": self.title,
            "unit": self.unit,
            "measure": self.measure,
            "contestants": [
                {
                    "name": name,
                    "rate": found.rate if found.rates else None,
                    "value": found.cpu,
                    "ratesOfRounds": found.rates,
                    "valuesOfRounds": found.micros,
                }
                for name, found in self.figures.items()
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
