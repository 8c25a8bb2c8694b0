"""A worker's metrics, read from what its hosts and tasks keep."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import PackageNotFoundError, version

from anabranch.engine import StageHost, Task, TaskStats
from anabranch.engine.stats import BATCH_SECONDS
from anabranch.specs import Catalog
from anabranch.web.metrics import registry
from anabranch.web.metrics.process import process_samples
from anabranch.web.metrics.registry import COUNTED, Distribution, Sample

__all__ = ["WorkerMetrics", "spec_samples"]

_EVALUATIONS = "evaluations"


class WorkerMetrics:
    """Samples of a worker at the moment they are asked for.

    Args:
        hosts: The worker's hosts as they are now.
        catalog: The specs that hold now; None where nobody knows them.
        refused: How many specs of the topic do not hold.
        clock: Seconds since the epoch.
        monotonic: The clock that tasks note their progress by.
    """

    def __init__(
        self,
        hosts: Callable[[], Sequence[StageHost]],
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        catalog: Callable[[], Catalog] | None = None,
        refused: Callable[[], int] = lambda: 0,
    ) -> None:
        self._hosts = hosts
        self._clock = clock
        self._monotonic = monotonic
        self._catalog = catalog
        self._refused = refused

    def __call__(self) -> Iterator[Sample]:
        catalog = None if self._catalog is None else self._catalog()
        yield from spec_samples(catalog, self._refused())
        for host in self._hosts():
            yield from self._of_host(host)
        yield from process_samples()

    def _of_host(self, host: StageHost) -> Iterator[Sample]:
        stage = host.stage.name
        total = [0] * (len(BATCH_SECONDS) + 1)
        seconds = 0.0
        for partition, stats in sorted(host.stats.items()):
            yield from _done(stage, partition, stats)
            total = [a + b for a, b in zip(total, stats.durations, strict=True)]
            seconds += stats.processing + stats.committing
        yield registry.BATCH_SECONDS.of(Distribution(BATCH_SECONDS, total, seconds), stage)
        for partition, task in sorted(host.tasks.items()):
            yield from self._now(stage, partition, task)

    def _now(self, stage: str, partition: int, task: Task) -> Iterator[Sample]:
        """What rises and falls: of partitions that are ours."""
        is_open = task.ready.is_set()
        now = self._clock()
        yield registry.OPEN.of(int(is_open), stage, partition)
        yield registry.PAUSED.of(int(task.paused is not None), stage, partition)
        idle = max(0.0, self._monotonic() - task.progressed_at)
        yield registry.IDLE_SECONDS.of(idle, stage, partition)
        if not is_open:
            return
        for topic, lag in task.lag.items():
            yield registry.LAG.of(lag, stage, partition, topic)
        stats = task.stats
        if stats.newest is not None:
            age = max(0.0, now - stats.newest / 1000)
            yield registry.RECORD_AGE.of(age, stage, partition)
        reached = stats.levels.get("watermark")
        if reached is not None:
            yield registry.WATERMARK_DELAY.of(max(0.0, now - reached / 1000), stage, partition)
        if task.stage.changelog is not None:
            size = task.store.size()
            if size.entries is not None:
                yield registry.STATE_ENTRIES.of(size.entries, stage, partition)
            if size.bytes is not None:
                yield registry.STATE_BYTES.of(size.bytes, stage, partition)


def spec_samples(catalog: Catalog | None, refused: int) -> Iterator[Sample]:
    """The version, and the specs that this process works by."""
    yield registry.BUILD.of(1, _version())
    yield registry.REFUSED_SPECS.of(refused)
    if catalog is not None:
        found = Counter(spec.status.value for spec in catalog.experiments)
        for status, n in sorted(found.items()):
            yield registry.EXPERIMENTS.of(n, status)


def _done(stage: str, partition: int, stats: TaskStats) -> Iterator[Sample]:
    """What only grows: of partitions that have moved away, too."""
    for metric, value in (
        (registry.BATCHES, stats.batches),
        (registry.PROCESSING, stats.processing),
        (registry.COMMITTING, stats.committing),
        (registry.RESTORES, stats.opened),
        (registry.RESTORED, stats.restored),
        (registry.RESTORING, stats.restoring),
        (registry.FENCES, stats.fenced),
        (registry.FAILURES, stats.failures),
        (registry.PAUSES, stats.pauses),
    ):
        yield metric.of(value, stage, partition)
    for metric, by_name in (
        (registry.RECORDS, stats.read),
        (registry.READ_BYTES, stats.read_bytes),
        (registry.WRITTEN, stats.written),
        (registry.WRITTEN_BYTES, stats.written_bytes),
        (registry.DEAD_LETTERS, stats.reasons),
    ):
        for name, value in sorted(by_name.items()):
            yield metric.of(value, stage, partition, name)
    for name, value in sorted(stats.counters.items()):
        counter, _, kind = name.partition(":")
        if counter == _EVALUATIONS:
            yield registry.EVALUATIONS.of(value, stage, partition, kind)
        elif counter in COUNTED:
            yield COUNTED[counter].of(value, stage, partition)


def _version() -> str:
    try:
        return version("anabranch")
    except PackageNotFoundError:
        return "unknown"
