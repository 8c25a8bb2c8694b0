"""Which faults strike when, from a seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from tests.chaos.faults import FAULTS, FEWEST, MOST, Fault

_SHORTEST = 10.0
_AT_ONCE = 0.25


@dataclass(frozen=True)
class Blow:
    """One fault of a plan.

    Attributes:
        pause: Seconds to wait before it.
        at_once: It strikes together with the one after it.
    """

    fault: Fault
    pause: float
    at_once: bool


@dataclass(frozen=True)
class Plan:
    """A run's faults in order, and how many workers it begins with.

    Attributes:
        disk: Whether workers keep state on disk, which the one that replaces them finds.
    """

    workers: int
    disk: bool
    blows: Sequence[Blow]

    @property
    def seconds(self) -> float:
        """About how long all of it takes: the load is spread over that."""
        return max(_SHORTEST, sum(blow.pause + blow.fault.seconds for blow in self.blows))


def make_plan(seed: int, faults: Sequence[str] = (), count: int | None = None) -> Plan:
    """The plan of a seed.

    Args:
        seed: The same seed and faults give the same plan.
        faults: Names to choose from; all when none is given.
        count: How many faults; four to seven by chance when None.
    """
    random = Random(f"plan {seed}")
    names = list(faults or FAULTS)
    wanted = random.randint(4, 7) if count is None else count
    chosen: list[str] = []
    while len(chosen) < wanted:
        again = list(names)
        random.shuffle(again)
        chosen += again
    blows = [
        Blow(FAULTS[name](), random.uniform(0.2, 2.0), random.random() < _AT_ONCE)
        for name in chosen[:wanted]
    ]
    return Plan(random.randint(FEWEST, MOST - 1), random.random() < 0.5, blows)
