"""What the figures of the evaluation API rest on: every request is answered, and answered well."""

from __future__ import annotations

import asyncio
import itertools
from contextlib import asynccontextmanager

import pytest

from benchmarks.contestants import ContestantError
from benchmarks.ofrep.load import Load

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


@asynccontextmanager
async def loaded(answer: bytes, *, connections: int = 3):
    """A load on a server that gives one answer to everything, and what the server was asked."""
    asked: list[bytes] = []
    tasks: list[asyncio.Task[None]] = []

    async def talk(reader, writer) -> None:
        tasks.append(asyncio.current_task())
        try:
            while line := await reader.readline():
                asked.append(line)
                writer.write(answer[:20])
                await writer.drain()
                writer.write(answer[20:])
            writer.close()
        except ConnectionError:
            pass

    server = await asyncio.start_server(talk, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    requests = (b"%d\n" % n for n in itertools.count())
    try:
        async with Load(host, port, requests, connections) as load:
            yield load, asked
    finally:
        server.close()
        await asyncio.gather(*tasks)


async def test_paced_requests_are_all_sent_and_each_has_its_time():
    async with loaded(OK) as (load, asked):
        found = await load.paced(1_000, 0.05)
    assert len(found) == len(asked) == 50
    assert sorted(map(int, asked)) == list(range(50))
    assert min(found) > 0


async def test_what_waits_for_a_connection_is_sent_too():
    async with loaded(OK, connections=1) as (load, asked):
        found = await load.paced(100_000, 0.001)
    assert len(found) == len(asked) == 100


async def test_flat_out_leaves_nothing_unanswered_and_paces_again():
    async with loaded(OK) as (load, asked):
        first = await load.flat_out(0.02)
        second = await load.paced(1_000, 0.005)
    assert len(first) >= 3
    assert len(first) + len(second) == len(asked)


@pytest.mark.parametrize(
    ("answer", "what"),
    [
        (b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}", "429"),
        (b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n", "no content-length"),
    ],
)
async def test_any_other_answer_ends_the_run(answer, what):
    with pytest.raises(ContestantError, match=what):
        async with loaded(answer) as (load, _):
            await load.paced(1_000, 0.01)
