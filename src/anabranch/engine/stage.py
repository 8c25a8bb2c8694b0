"""What a stage is, before anything runs it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from anabranch.engine.breaker import BreakerSettings
from anabranch.engine.state import MemoryStore
from anabranch.engine.store import Store
from anabranch.engine.tracing import NO_SPANS, Spans
from anabranch.processors.protocol import Processor

DEAD_LETTER_SUFFIX = ".dlq"


def in_memory(partition: int) -> Store:
    """A store that is gone with the process."""
    del partition
    return MemoryStore()


@dataclass(frozen=True, slots=True)
class Stage:
    """A named step of the pipeline.

    Attributes:
        name: Also names the consumer group and the transactional ids.
        sources: Logical topics read, co-partitioned: a task takes partition n of all of them.
        outputs: Logical topics written, besides the dead letters of the sources.
        make_processor: Called each time a task opens, and after each
            :meth:`~anabranch.engine.host.StageHost.renew`.
        changelog: Logical topic that backs the state; None for a stage without state.
        max_records: Most records a batch takes.
        linger_ms: How long a batch that is not full waits for more. Zero favours latency; a
            stage that publishes running totals prefers fewer, larger batches.
        cache_size: Entries of the task's local cache.
        catch_up: Awaited before records are given up because the processor does not know what
            they name; it renews the stage if there is something new to know. None where what a
            processor knows never changes.
        in_step: Whether several sources are read in the order of their records' timestamps, see
            :mod:`anabranch.engine.ordering`.
        make_store: Partition to the store of its state; called each time a task opens.
        state_format: Layout of the state's values, see :mod:`anabranch.engine.formats`.
        spans: Told of every batch, see :mod:`anabranch.engine.tracing`.
    """

    name: str
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    make_processor: Callable[[], Processor]
    changelog: str | None = None
    max_records: int = 8000
    linger_ms: int = 0
    cache_size: int = 100_000
    catch_up: Callable[[], Awaitable[None]] | None = None
    in_step: bool = False
    make_store: Callable[[int], Store] = in_memory
    state_format: int = 1
    spans: Spans = NO_SPANS

    @property
    def dead_letters(self) -> tuple[str, ...]:
        """Logical topics of the sources' dead letters."""
        return tuple(source + DEAD_LETTER_SUFFIX for source in self.sources)

    @property
    def written(self) -> tuple[str, ...]:
        """Every logical topic a task of this stage may write, its changelog included."""
        changelog = (self.changelog,) if self.changelog else ()
        return (*self.outputs, *self.dead_letters, *changelog)


@dataclass(frozen=True, slots=True)
class TaskSettings:
    """How patiently a task works; times in seconds.

    Attributes:
        poll_timeout: How long an empty poll waits.
        retries: How often a single record that raises is tried again before it is given up.
        retry_backoff: First pause after a failure; it doubles up to ``max_backoff``.
        fenced_wait: How long a fenced task waits before it takes the partition back, provided
            that it is still an owner. Longer than a rebalance takes.
        idle_commit: After so long without records, positions that passed transaction markers
            are committed, so that lag reads zero where nothing is left to do.
        rest: For which share of the time that the last commit took a small batch gathers more,
            counted from that commit, 50 ms at most. A transaction costs brokers the same whatever
            it holds, so a steady trickle of tiny ones would keep them busy and everybody waiting;
            whoever comes after a pause is not held up.
        stop_grace: How long stopping waits for the open batch before it is cancelled.
        breaker: When too many dead letters pause the partition.
    """

    poll_timeout: float = 0.2
    retries: int = 3
    retry_backoff: float = 0.1
    max_backoff: float = 5.0
    fenced_wait: float = 10.0
    idle_commit: float = 1.0
    rest: float = 0.5
    stop_grace: float = 5.0
    breaker: BreakerSettings = field(default_factory=BreakerSettings)
