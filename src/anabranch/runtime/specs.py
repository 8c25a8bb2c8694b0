"""Specs that change under a running worker: what holds now, and who is told when it changes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, Self

from anabranch.errors import EngineError, KafkaAccessError
from anabranch.lifecycle import Refusal, Specs, fold
from anabranch.processors.protocol import Record
from anabranch.specs import Catalog

__all__ = ["Following", "LiveCatalog", "SpecsLog"]

log = logging.getLogger(__name__)

_POLL = 0.5
_GRACE = 1.0
"""Seconds a spec may wait for those it names before it is reported: a transaction's records
become visible partition by partition."""
_BACKOFF = 1.0
_PATIENCE = 15.0


class SpecsLog(Protocol):
    """The specs topic as a reader of its own has it, from the beginning, outside any group."""

    async def open(self, positions: Mapping[int, int]) -> bool:
        """Read on from these offsets by partition, others from the beginning.

        Returns:
            False when the offsets belong to another topic of that name: it was made anew.
        """
        ...

    async def close(self) -> None: ...

    async def ends(self) -> Mapping[int, int]:
        """Where each partition's committed records end now."""
        ...

    async def read(self, wait: float) -> tuple[Sequence[Record], Mapping[int, int]]:
        """The next records, none after ``wait`` seconds without any, and the positions then."""
        ...

    async def bury(self, refusal: Refusal) -> bool:
        """Put the record on the dead letters unless some worker has; whether we were the one."""
        ...


class LiveCatalog:
    """The specs that hold now: files first, then what the specs topic says.

    Args:
        files: Checked; what holds where the topic says nothing else.
    """

    def __init__(self, files: Catalog | None = None) -> None:
        self._files = files if files is not None else Catalog()
        self._specs = Specs.of(self._files)
        self._catalog = self._files
        self._listeners: list[Callable[[], object]] = []
        self._following: Following | None = None

    @property
    def files(self) -> Catalog:
        """What holds where the topic says nothing else."""
        return self._files

    @property
    def catalog(self) -> Catalog:
        """What holds; another object after every change."""
        return self._catalog

    @property
    def refused(self) -> list[Refusal]:
        """Records of the topic that do not hold, while they are the last of their key."""
        return sorted(self._specs.refused.values(), key=lambda refusal: refusal.place)

    def on_change(self, listener: Callable[[], object]) -> None:
        """Call the listener after each change, such as a worker's ``renew``."""
        self._listeners.append(listener)

    def apply(self, records: Iterable[Record]) -> list[Refusal]:
        """Take in records of the topic; returns those that are wrong by themselves."""
        before = self._specs
        self._specs, wrong = fold(before, records)
        if self._specs.said != before.said:
            self._changed()
        return wrong

    def _changed(self) -> None:
        self._catalog = self._specs.catalog()
        for listener in self._listeners:
            listener()

    def forget(self) -> None:
        """The topic was made anew: what it said is void."""
        self._specs = Specs.of(self._files)
        self._changed()

    async def catch_up(self) -> None:
        """Until everything published by now has been taken in; at once where nobody follows."""
        if self._following is not None:
            await self._following.catch_up()

    def attach(self, following: Following | None) -> None:
        """Say who takes in the topic."""
        self._following = following


class Following:
    """Takes the specs topic into a live catalog for the time of an ``async with``.

    On entering, everything published so far is there. Afterwards changes come as they are
    published; where the broker goes away the last specs stay, and reading goes on when it is back.

    Args:
        live: Told what the topic says.
        source: The topic; not opened yet.
    """

    def __init__(self, live: LiveCatalog, source: SpecsLog) -> None:
        self._live = live
        self._source = source
        self._positions: dict[int, int] = {}
        self._moved = asyncio.Condition()
        self._told: set[tuple[int, int]] = set()
        self._waiting: dict[tuple[int, int], float] = {}
        self._untold: asyncio.Queue[Refusal] = asyncio.Queue()
        self._tasks: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Self:
        try:
            await self._source.open({})
            records: list[Record] = []
            ends = await self._source.ends()
            while not self._reached(ends):
                found, positions = await self._source.read(_POLL)
                records += found
                self._positions.update(positions)
            self._live.apply(records)
        except BaseException:
            await self._source.close()
            raise
        self._live.attach(self)
        self._tell(self._live.refused)
        self._tasks = [
            asyncio.create_task(self._run(), name="specs"),
            asyncio.create_task(self._bury(), name="refused specs"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._live.attach(None)
        for task in self._tasks:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await self._source.close()

    async def catch_up(self) -> None:
        """Until everything published by now has been taken in.

        Raises:
            EngineError: The topic cannot be read.
        """
        try:
            async with asyncio.timeout(_PATIENCE):
                ends = await self._source.ends()
                async with self._moved:
                    await self._moved.wait_for(lambda: self._reached(ends))
        except TimeoutError as error:
            raise EngineError(f"the specs topic could not be read for {_PATIENCE:g} s") from error

    def _reached(self, ends: Mapping[int, int]) -> bool:
        return all(self._positions.get(n, 0) >= end for n, end in ends.items())

    async def _run(self) -> None:
        while True:
            try:
                await self._step()
            except Exception as error:  # noqa: BLE001 - the last specs stay, whatever it was
                self._say(error)
                await asyncio.sleep(_BACKOFF)
                await self._again()

    async def _step(self) -> None:
        records, positions = await self._source.read(_POLL)
        before = self._live.catalog
        wrong = self._live.apply(records) if records else []
        async with self._moved:
            self._positions.update(positions)
            self._moved.notify_all()
        if self._live.catalog is not before:
            log.info("specs changed: %s", _named(records))
        self._tell([*wrong, *self._overdue()])

    async def _again(self) -> None:
        try:
            await self._source.close()
            if not await self._source.open(self._positions):
                log.warning("the specs topic was made anew: reading it from its beginning")
                self._live.forget()
                self._positions.clear()
                self._told.clear()
        except Exception as error:  # noqa: BLE001 - as above
            self._say(error)

    @staticmethod
    def _say(error: Exception) -> None:
        expected = isinstance(error, KafkaAccessError | OSError)
        log.warning("specs cannot be read, the last ones stay: %r", error, exc_info=not expected)

    # -- refusals -----------------------------------------------------------------------------

    def _overdue(self) -> list[Refusal]:
        """Those that have waited for what they name longer than a transaction takes to arrive."""
        now = time.monotonic()
        waiting = {_place(r): r for r in self._live.refused if r.waits}
        self._waiting = {place: self._waiting.get(place, now) for place in waiting}
        return [waiting[place] for place, since in self._waiting.items() if now - since >= _GRACE]

    def _tell(self, refusals: Iterable[Refusal]) -> None:
        """Each once: as an error in the log, and on the dead letters for all workers together."""
        for refusal in refusals:
            if _place(refusal) not in self._told:
                self._told.add(_place(refusal))
                log.error("refused, what held before stays: %s", refusal)
                self._untold.put_nowait(refusal)

    async def _bury(self) -> None:
        """Beside the reading, which it must not hold up."""
        while True:
            refusal = await self._untold.get()
            try:
                await self._source.bury(refusal)
            except Exception as error:  # noqa: BLE001 - it was told, and is no reason to stop
                log.warning("%s did not get to the dead letters: %r", refusal.place, error)


def _place(refusal: Refusal) -> tuple[int, int]:
    return refusal.record.partition, refusal.record.offset


def _named(records: Iterable[Record]) -> str:
    keys = {(record.key or b"").decode("utf-8", "backslashreplace") for record in records}
    return ", ".join(sorted(keys))
