"""Rates and CPU taken from outside, the same way for every contestant.

What counts as done is what is committed: the offsets of the contestant's group, or for the raw
pass-through, which commits none, what its sink holds. A contestant is at work for as long as there
is a backlog, so the time between two commits with records left behind them is its time alone.
"""

from __future__ import annotations

import asyncio
import itertools
import statistics
import subprocess
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.contestants import ContestantError

_EVERY = 0.02

Progress = Callable[[], Awaitable[tuple[int, ...]]]
"""Records done, partition by partition."""


@dataclass(frozen=True, slots=True)
class Sample:
    """What was seen at one time: seconds, CPU seconds since the start, records done."""

    at: float
    cpu: float
    done: tuple[int, ...]

    @property
    def total(self) -> int:
        return sum(self.done)


@dataclass(frozen=True, slots=True)
class Measured:
    """One contestant in one round.

    Attributes:
        rate: Records a second.
        cpu: CPU microseconds a record, of the process with its children.
        commit_ms: Milliseconds between two commits of a partition, the median.
        rss: Most bytes of memory that it ever had resident.
    """

    rate: float
    cpu: float
    commit_ms: float
    rss: int = 0


def between(samples: Sequence[Sample], *, warm_up: int, records: int) -> Measured:
    """From the first commit after the warm-up to the last that left something to do.

    Who commits so seldom that there are no two of these is measured between the last two.

    Args:
        samples: In order.
        warm_up: Records before the clock starts.
        records: All that there are.

    Raises:
        ContestantError: There are no two commits at all.
    """
    commits = [
        (before, sample)
        for before, sample in itertools.pairwise(samples)
        if before.total < sample.total < records
    ]
    if len(commits) < 2:
        raise ContestantError(
            f"{len(commits)} commits were seen before the last of {records:,} records: two are "
            "needed, so give more --records"
        )
    warm = sum(sample.total < warm_up for _, sample in commits)
    commits = commits[min(warm, len(commits) - 2) :]
    first, last = commits[0][1], commits[-1][1]
    count, seconds = last.total - first.total, last.at - first.at
    gaps: list[float] = []
    for partition in range(len(first.done)):
        times = [s.at for b, s in commits if s.done[partition] > b.done[partition]]
        gaps += [later - earlier for earlier, later in itertools.pairwise(times)]
    return Measured(
        rate=count / seconds,
        cpu=(last.cpu - first.cpu) / count * 1e6,
        commit_ms=statistics.median(gaps) * 1000 if gaps else seconds * 1000,
    )


async def watch(
    process: subprocess.Popen[bytes], progress: Progress, *, records: int, patience: float
) -> tuple[list[Sample], int]:
    """Samples until every record is done, and the peak of resident memory in bytes.

    Raises:
        ContestantError: The contestant ended before, or made no progress for too long.
    """
    watched = psutil.Process(process.pid)
    samples: list[Sample] = []
    moved = time.perf_counter()
    while True:
        done = await progress()
        if process.poll() is not None:
            raise ContestantError(f"it ended with {process.returncode}")
        now = time.perf_counter()
        samples.append(Sample(now, _cpu(watched), done))
        if len(samples) > 1 and samples[-1].total > samples[-2].total:
            moved = now
        if samples[-1].total >= records:
            return samples, _peak(watched)
        if now > moved + patience:
            raise ContestantError(
                f"no progress for {patience:g} s, at {samples[-1].total:,} of {records:,} records"
            )
        await asyncio.sleep(_EVERY)


def _family(process: psutil.Process) -> list[psutil.Process]:
    return [process, *process.children(recursive=True)]


def _cpu(process: psutil.Process) -> float:
    """User and system time of the process and its children, those that have ended included."""
    ended = process.cpu_times()
    spent = ended.children_user + ended.children_system
    for member in _family(process):
        try:
            times = member.cpu_times()
        except psutil.NoSuchProcess:
            continue
        spent += times.user + times.system
    return spent


def _peak(process: psutil.Process) -> int:
    """Sum of the peaks: VmHWM of /proc/PID/status, in kB there."""
    peak = 0
    for member in _family(process):
        for line in Path(f"/proc/{member.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak += int(line.split()[1]) * 1024
    return peak
