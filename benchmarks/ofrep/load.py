"""Requests over connections that are kept open, at a rate or as fast as answers come."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Iterator
from typing import Self

from benchmarks.contestants import ContestantError

_TICK = 0.001
_PATIENCE = 30.0


class _Connection(asyncio.Protocol):
    """One request at a time, HTTP/1.1, answers with a ``content-length``."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._received = b""
        self._due = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def ask(self, request: bytes, due: float) -> None:
        self._due = due
        self._transport.write(request)

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, found, body = self._received.partition(b"\r\n\r\n")
        if not found:
            return
        _, named, rest = head.lower().partition(b"content-length:")
        if not named:
            self._load.fail("an answer has no content-length")
            return
        if len(body) < int(rest.partition(b"\r\n")[0]):
            return
        self._received = b""
        if not head.startswith(b"HTTP/1.1 200 "):
            self._load.fail(f"an answer was {head.splitlines()[0]!r}: {body[:200]!r}")
            return
        self._load.answered(self, time.perf_counter() - self._due)

    def connection_lost(self, exc: Exception | None) -> None:
        self._load.fail(f"the server closed a connection: {exc}")

    def close(self) -> None:
        self._transport.abort()


class Load:
    """Connections to one server, open for the time of an ``async with``.

    Args:
        host: Of the server.
        port: Of the server.
        requests: Whole requests, head and body, as many as are asked for.
        connections: How many requests may be under way.
    """

    def __init__(self, host: str, port: int, requests: Iterator[bytes], connections: int) -> None:
        self._where = host, port
        self._requests = requests
        self._count = connections
        self._all: list[_Connection] = []
        self._free: deque[_Connection] = deque()
        self._late: deque[float] = deque()
        self._found: list[float] = []
        self._repeat = False
        self._under_way = 0
        self._problem: str | None = None
        self._closing = False

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        for _ in range(self._count):
            _, connection = await loop.create_connection(lambda: _Connection(self), *self._where)
            self._all.append(connection)
        self._free.extend(self._all)
        return self

    async def __aexit__(self, *_: object) -> None:
        self._closing = True
        for connection in self._all:
            connection.close()

    def fail(self, problem: str) -> None:
        """Remember the first problem, which ends the run."""
        if not self._closing and self._problem is None:
            self._problem = problem

    def answered(self, connection: _Connection, seconds: float) -> None:
        """Take the time of an answer, and give its connection the next request that is due."""
        self._found.append(seconds)
        self._under_way -= 1
        if self._late:
            self._ask(connection, self._late.popleft())
        elif self._repeat:
            self._ask(connection, time.perf_counter())
        else:
            self._free.append(connection)

    async def paced(self, rate: float, seconds: float) -> list[float]:
        """Requests at an even pace, whether or not earlier ones are answered.

        Returns:
            Seconds from when each was due, so that one that had to wait for a connection counts
            its wait: a server that falls behind shows in the quantiles.

        Raises:
            ContestantError: An answer was not 200, or did not come.
        """
        self._found = []
        begin = time.perf_counter()
        total = int(rate * seconds)
        count = 0
        while count < total:
            now = time.perf_counter()
            while count < total and (due := begin + count / rate) <= now:
                count += 1
                if self._free:
                    self._ask(self._free.popleft(), due)
                else:
                    self._late.append(due)
            self._check()
            await asyncio.sleep(_TICK)
        return await self._finish()

    async def flat_out(self, seconds: float) -> list[float]:
        """A request on every connection, the next one as soon as it is answered.

        Raises:
            ContestantError: As of :meth:`paced`.
        """
        self._found = []
        self._repeat = True
        while self._free:
            self._ask(self._free.popleft(), time.perf_counter())
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            self._check()
            await asyncio.sleep(0.05)
        self._repeat = False
        return await self._finish()

    async def _finish(self) -> list[float]:
        until = time.perf_counter() + _PATIENCE
        while self._under_way or self._late:
            self._check()
            if time.perf_counter() > until:
                raise ContestantError(f"answers did not come within {_PATIENCE:g} s")
            await asyncio.sleep(_TICK)
        return self._found

    def _ask(self, connection: _Connection, due: float) -> None:
        self._under_way += 1
        connection.ask(next(self._requests), due)

    def _check(self) -> None:
        if self._problem is not None:
            raise ContestantError(self._problem)
