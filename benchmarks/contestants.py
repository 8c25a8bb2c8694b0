"""Contestants: processes of their own that read the same topic and do the same work."""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field

WARM_UP = 0.1
"""Share of the records that is processed before the clock starts."""

_PATIENCE = 180


class ContestantError(Exception):
    """A contestant ended badly, or did not do its work; the message says how."""


@dataclass(frozen=True)
class Contestant:
    """A process to measure.

    Attributes:
        name: In tables.
        module: Run with ``python -m``; takes ``--bootstrap --source --sink --records`` and prints
            one line of JSON with ``records``, ``seconds`` and ``cpu_seconds`` after the warm-up.
        records: How many it reads; slow ones are given fewer.
    """

    name: str
    module: str
    records: int


@dataclass
class Figures:
    """What a contestant did in every round."""

    rates: list[float] = field(default_factory=list)
    micros: list[float] = field(default_factory=list)

    @property
    def rate(self) -> float:
        """Records a second, median of the rounds."""
        return statistics.median(self.rates)

    @property
    def cpu(self) -> float:
        """CPU microseconds a record, median of the rounds."""
        return statistics.median(self.micros)


def run(contestant: Contestant, *, bootstrap: str, source: str, sink: str) -> dict[str, float]:
    """Run one contestant to its end.

    Raises:
        ContestantError: It failed or printed no figures.
    """
    command = [
        *(sys.executable, "-m", contestant.module),
        *("--bootstrap", bootstrap, "--source", source, "--sink", sink),
        *("--records", str(contestant.records)),
    ]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=_PATIENCE, check=False
        )
    except subprocess.TimeoutExpired as error:
        raise ContestantError(f"{contestant.name} did not end in {_PATIENCE} s") from error
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        raise ContestantError(f"{contestant.name} ended with {done.returncode}: {done.stderr}")
    found: dict[str, float] = json.loads(lines[-1])
    return found


class Clock:
    """Wall and CPU time of this process from the end of the warm-up to the last record."""

    def __init__(self, records: int) -> None:
        self.total = records
        self._begin = int(records * WARM_UP)
        self._started: tuple[int, float, float] | None = None

    def passed(self, count: int) -> bool:
        """Told how many records are done; True when it was the last."""
        if self._started is None and count >= self._begin:
            self._started = (count, time.perf_counter(), time.process_time())
        return count >= self.total

    def print_figures(self, count: int) -> None:
        if self._started is None:
            raise ContestantError("the warm-up never ended")
        at, wall, cpu = self._started
        figures = {
            "records": count - at,
            "seconds": time.perf_counter() - wall,
            "cpu_seconds": time.process_time() - cpu,
        }
        print(json.dumps(figures), flush=True)


async def watch(clock: Clock, count: Callable[[], int], every: float = 0.005) -> None:
    """Until the last record is done."""
    while not clock.passed(count()):  # noqa: ASYNC110 - a stock agent has no event to wait for
        await asyncio.sleep(every)


def take(figures: Figures, found: dict[str, float]) -> None:
    figures.rates.append(found["records"] / found["seconds"])
    figures.micros.append(found["cpu_seconds"] / found["records"] * 1e6)


@dataclass(frozen=True)
class Arguments:
    """The command line that every contestant takes."""

    bootstrap: str
    source: str
    sink: str
    records: int


def arguments() -> Arguments:
    parser = argparse.ArgumentParser()
    for name in ("bootstrap", "source", "sink"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--records", type=int, required=True)
    return Arguments(**vars(parser.parse_args()))
