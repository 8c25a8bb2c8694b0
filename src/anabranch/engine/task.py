"""A task: one stage, one partition, one transaction a batch."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from inspect import isawaitable

from anabranch.engine.breaker import Breaker
from anabranch.engine.context import ABOUT, Place
from anabranch.engine.formats import FORMAT_KEY, check_format, format_marker
from anabranch.engine.gathering import Gatherer, count, positions, split
from anabranch.engine.outbox import Outbox
from anabranch.engine.port import Poll, Port
from anabranch.engine.stage import Stage, TaskSettings
from anabranch.engine.state import BatchState, Changes, LruCache, MemoryStore
from anabranch.engine.stats import TaskStats
from anabranch.engine.store import Store
from anabranch.engine.tracing import BatchSpan
from anabranch.errors import (
    FencedError,
    KafkaAccessError,
    OutcomeUnknownError,
    ProcessingError,
    StateFormatError,
    UndeclaredTelemetryError,
    UnknownExperimentError,
    UnknownVariantError,
)
from anabranch.processors.protocol import Batch, Processor, Record

log = logging.getLogger(__name__)

_UNKNOWN_TO_SPECS = {
    UnknownExperimentError.__name__,
    UnknownVariantError.__name__,
    UndeclaredTelemetryError.__name__,
}
"""Reasons of dead letters that newer specs may do away with."""


class Task:
    """Runs a stage's processor over one partition until it is stopped.

    Args:
        stage: What to run.
        partition: Which partition of every source.
        port: The runtime's side.
        logical: Physical source topic to logical name.
        owned: Whether the group says that the partition is ours now. A task never opens without
            current membership, or two owners would fence each other for ever.
        settings: Time-outs and retries.
        clock: Wall clock in seconds since the epoch.
        stats: What earlier tasks of the partition have done, to go on from.

    Attributes:
        ready: Set while the task is open.
        paused: Why the circuit breaker has paused the partition; None when it has not.
        progressed_at: When it last made progress, on the monotonic clock.
    """

    def __init__(
        self,
        stage: Stage,
        partition: int,
        port: Port,
        *,
        logical: dict[str, str],
        owned: Callable[[], bool],
        settings: TaskSettings | None = None,
        clock: Callable[[], float] = time.time,
        stats: TaskStats | None = None,
    ) -> None:
        self.stage = stage
        self.partition = partition
        self.stats = TaskStats() if stats is None else stats
        self.ready = asyncio.Event()
        self.progressed_at = time.monotonic()
        self.paused: str | None = None
        self._port = port
        self._logical = logical
        self._place = Place(
            stage.name,
            partition,
            {name: physical for physical, name in logical.items()},
            lambda: self._positions,
        )
        self._owned = owned
        self._settings = settings or TaskSettings()
        self._clock = clock
        self._stopping = asyncio.Event()
        self._kick = asyncio.Event()
        self._runner: asyncio.Task[None] | None = None
        self._processor: Processor | None = None
        self._stale = False
        self._store: Store = MemoryStore()
        self._marked = False
        self._cache = LruCache(stage.cache_size)
        self._held: dict[str, Sequence[Record]] | None = None
        self._worked_at = time.monotonic()
        self._positions: dict[str, int] = {}
        self._gatherer = Gatherer(port, stage, self._settings, self._stopping)
        self._limit = stage.max_records
        self._attempts = 0
        self._breaker = Breaker(self._settings.breaker)

    def __repr__(self) -> str:
        return f"<Task {self.stage.name}[{self.partition}]>"

    # -- life ---------------------------------------------------------------------------------

    def start(self) -> None:
        self._runner = asyncio.create_task(self._run(), name=f"{self.stage.name}[{self.partition}]")

    async def stop(self) -> None:
        """Finish the open batch within the grace, then let go of the partition."""
        self._stopping.set()
        if self._runner is None:
            return
        await asyncio.wait([self._runner], timeout=self._settings.stop_grace)
        await self.kill()

    async def kill(self) -> None:
        """Stop at once, in the middle of whatever is going on."""
        if self._runner is not None:
            self._runner.cancel()
            await asyncio.wait([self._runner])

    def kick(self) -> None:
        """Membership changed: a fenced task that waits may look again."""
        self._kick.set()

    @property
    def state(self) -> str:
        """``open``, ``opening``, or ``paused: `` and why."""
        if self.paused is not None:
            return f"paused: {self.paused}"
        return "open" if self.ready.is_set() else "opening"

    def renew(self) -> None:
        """Make the processor anew before the next batch; state, cache and held records stay."""
        self._stale = True
        if self.paused is not None:
            self._kick.set()

    @property
    def store(self) -> Store:
        """The committed state, for inspection."""
        return self._store

    @property
    def lag(self) -> dict[str, int]:
        """Logical source to records not committed yet, of the sources whose end is known."""
        at = self._positions
        return {
            source: max(0, end - at[source])
            for source, end in self._port.ends().items()
            if source in at
        }

    async def wait_open(self) -> None:
        """Until the task is open.

        Raises:
            StateFormatError: It never will be.
        """
        waiting = asyncio.ensure_future(self.ready.wait())
        runner = self._runner
        try:
            await asyncio.wait(
                [waiting] if runner is None else [waiting, runner],
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            waiting.cancel()
        if self.refusal is not None:
            raise self.refusal

    @property
    def refusal(self) -> StateFormatError | None:
        """Why the task will not run at all; None unless the changelog is newer than the code."""
        runner = self._runner
        if runner is None or not runner.done() or runner.cancelled():
            return None
        error = runner.exception()
        return error if isinstance(error, StateFormatError) else None

    # -- running ------------------------------------------------------------------------------

    async def _run(self) -> None:
        ABOUT.set(self._place)
        fenced = failed = 0
        while not self._stopping.is_set():
            try:
                while not self._owned():
                    await self._nap(0.1)
                    if self._stopping.is_set():
                        return
                await self._open()
                while not self._stopping.is_set():
                    await self._step()
                    fenced = failed = 0
            except StateFormatError:
                raise
            except FencedError:
                fenced += 1
                self.stats.fenced += 1
                log.warning("%r was fenced: another owner has the partition now", self)
                self._kick.clear()
                await self._close()
                wait = min(30.0, self._settings.fenced_wait * fenced)
                await self._nap(wait, until=self._kick)
            except (Exception, asyncio.CancelledError) as error:
                if isinstance(error, asyncio.CancelledError) and _cancelled():
                    raise
                # The outcome is unknown, whatever it was.
                failed += 1
                self.stats.failures += 1
                expected = isinstance(error, OutcomeUnknownError | KafkaAccessError)
                log.warning("%r opens again after: %r", self, error, exc_info=not expected)
                await self._close()
                await self._nap(self._backoff(failed))
            finally:
                await self._close()

    async def _open(self) -> None:
        began = time.monotonic()
        await self._port.open()
        self._store = store = self.stage.make_store(self.partition)
        restored = await self._port.restore(store, self._progress)
        self._marked = self.stage.changelog is None or check_format(
            store, self.stage.state_format, f"{self.stage.changelog}[{self.partition}]"
        )
        self._cache = LruCache(self.stage.cache_size)
        self._make_processor()
        self._held = None
        self._limit = self.stage.max_records
        self._attempts = 0
        self._positions = dict(await self._port.positions())
        self.stats.opened += 1
        self.stats.restored += restored
        self.stats.restoring += time.monotonic() - began
        self.ready.set()
        log.debug("%r opened, %d changelog records, %d keys", self, restored, len(store))

    def _progress(self) -> None:
        self.progressed_at = time.monotonic()

    def _make_processor(self) -> None:
        self._stale = False
        self._processor = self.stage.make_processor()

    async def _close(self) -> None:
        self.ready.clear()
        await self._port.close()
        self._store.close()

    async def _step(self) -> None:
        """One batch: poll (or take what is held back), process, commit."""
        self.progressed_at = time.monotonic()
        polled = await self._next()
        if polled is None:
            await self._idle()
            return
        if self._stale:
            self._make_processor()
        batch, rest = split(polled, self._limit, in_step=self.stage.in_step)
        span = self.stage.spans.begin(self.stage.name, self.partition, batch)
        self._place.batch, self._place.span = batch, span
        try:
            await self._attempt(polled, batch, rest, span)
        except BaseException as error:
            span.failed(error)
            raise
        finally:
            span.end()
            self._place.batch = self._place.span = None

    async def _attempt(
        self,
        polled: dict[str, Sequence[Record]],
        batch: dict[str, Sequence[Record]],
        rest: dict[str, Sequence[Record]] | None,
        span: BatchSpan,
    ) -> None:
        outbox = Outbox(self._logical)
        state = BatchState(self._store)
        began = time.perf_counter()
        try:
            try:
                await self._process(span.records, state, outbox)
                changes = self._mark(state.seal())
                processed = time.perf_counter()
                span.processed()
            except Exception as error:
                raise ProcessingError(f"{type(error).__name__}: {error}") from error
            if await self._outdated(outbox):
                self._cache.drop()
                self._held = polled
                return
            if self._breaker.refuses(count(batch), outbox.dead):
                self._held = polled
                span.end()
                await self._pause(batch, outbox)
                return
            position = await self._port.commit(outbox, changes, positions(batch))
        except ProcessingError as error:
            self._cache.drop()
            self._held = polled
            cause = error.__cause__ if isinstance(error.__cause__, Exception) else error
            span.failed(cause)
            await self._isolate(batch, rest, cause)
            return
        span.committed(outbox.dead)
        if changes:
            self._store.apply(changes, position)
            self._marked = True
        self._cache.apply()
        self._committed(batch, rest, outbox)
        took = time.perf_counter() - processed
        self._gatherer.committed(took)
        self.stats.timed(processed - began, took)

    async def _next(self) -> dict[str, Sequence[Record]] | None:
        """What is held back; where sources are read in step, with what came after it."""
        held = self._held
        if held is None:
            return await self._gatherer.gather(self._limit)
        room = self.stage.max_records - count(held)
        if not self.stage.in_step or room <= 0 or self._limit < self.stage.max_records:
            return held
        return await self._gatherer.level(held, room)

    async def _idle(self) -> None:
        """Nothing to do: after a while, commit positions that passed transaction markers."""
        if time.monotonic() - self._worked_at < self._settings.idle_commit:
            return
        positions = dict(await self._port.positions())
        if positions != self._positions:
            await self._port.commit(Outbox(self._logical), {}, positions)
            self._positions = positions

    async def _process(
        self, records: Mapping[str, Sequence[Record]], state: BatchState, outbox: Outbox
    ) -> None:
        if self._processor is None:
            raise ProcessingError(f"{self!r} was stepped before it was opened")
        batch = Batch(sources=records, partition=self.partition, now=int(self._clock() * 1000))
        result = self._processor.process(batch, state, self._cache, outbox)
        if isawaitable(result):
            await result

    def _mark(self, changes: Changes) -> Changes:
        """The first changes say which format they have."""
        if changes and not self._marked:
            changes[FORMAT_KEY] = format_marker(self.stage.state_format)
        return changes

    async def _outdated(self, outbox: Outbox) -> bool:
        """Whether the batch has dead letters that newer specs may do away with.

        Whoever published a record may have known specs that have not reached this process yet, as
        another worker's assign stage does. So before such a letter is committed, this process
        reads what was published until now; where that changes the processor, the batch is dropped
        and processed again.
        """
        if self.stage.catch_up is None or outbox.reasons.keys().isdisjoint(_UNKNOWN_TO_SPECS):
            return False
        await self.stage.catch_up()
        return self._stale

    def _committed(
        self, batch: Poll, rest: dict[str, Sequence[Record]] | None, outbox: Outbox
    ) -> None:
        self._worked_at = time.monotonic()
        self._positions |= positions(batch)
        self.stats.committed(batch, outbox)
        self._held = rest
        self._attempts = 0
        self.paused = None
        self._breaker.committed(count(batch), outbox.dead)
        if self._limit < self.stage.max_records:
            self._limit = min(self._limit * 2, self.stage.max_records)

    # -- when a processor raises --------------------------------------------------------------

    async def _isolate(
        self, batch: Poll, rest: dict[str, Sequence[Record]] | None, error: Exception
    ) -> None:
        """Halve the batch until the record that raises stands alone; then it is a dead letter.

        Nothing of the batch was committed, so taking its first half next is simply a smaller
        batch; the limit grows again with every batch that succeeds.
        """
        self.stats.failures += 1
        total = count(batch)
        if total > 1:
            self._limit = total // 2
            log.warning(
                "%r dropped a batch of %d, next try with %d: %r", self, total, self._limit, error
            )
            return
        self._attempts += 1
        if self._attempts <= self._settings.retries:
            await self._nap(self._backoff(self._attempts))
            return
        record = next(r for records in batch.values() for r in records)
        outbox = Outbox(self._logical)
        outbox.dead_letter(record, error)
        if self._breaker.refuses(1, 1):
            await self._pause(batch, outbox)
            return
        log.error(
            "%r sends %s[%d]@%d to the dead letters",
            self,
            record.topic,
            record.partition,
            record.offset,
            exc_info=error,
            extra={"topic": record.topic, "offset": record.offset},
        )
        await self._port.commit(outbox, {}, positions(batch))
        self._committed(batch, rest, outbox)

    async def _pause(self, batch: Poll, outbox: Outbox) -> None:
        """Too many dead letters: drop the batch, say so, and try it again after a while."""
        self._cache.drop()
        self._attempts = 0
        self.stats.pauses += 1
        self.paused = self._breaker.describe(count(batch), outbox.dead)
        reasons = ", ".join(f"{name} ({n})" for name, n in outbox.reasons.most_common(3))
        log.error(
            "%r is paused for %g s: %s. Reasons: %s. Mend the deploy or the specs; where the data "
            "is really that bad, raise ANABRANCH_BREAKER_SHARE",
            self,
            self._settings.breaker.pause,
            self.paused,
            reasons,
        )
        self._kick.clear()
        await self._nap(self._settings.breaker.pause, until=self._kick)

    def _backoff(self, attempt: int) -> float:
        return min(
            self._settings.max_backoff, self._settings.retry_backoff * float(2 ** (attempt - 1))
        )

    async def _nap(self, seconds: float, until: asyncio.Event | None = None) -> None:
        """Pause, in steps that count as progress; ends early on stopping or ``until``."""
        end = time.monotonic() + seconds
        while not self._stopping.is_set() and not (until is not None and until.is_set()):
            self.progressed_at = now = time.monotonic()
            if now >= end:
                return
            await asyncio.sleep(min(end - now, 0.1))


def _cancelled() -> bool:
    """Whether somebody cancels us; a client may also let out that it was cancelled inside."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
