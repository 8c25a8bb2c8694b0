"""The server inside a running loop: events, stopping, and what it says when it cannot start."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from anabranch.errors import SettingsError
from anabranch.web import Board, Info, create_app, pump, serve, serving
from tests.web.records import NOW, RUN, assignment, results


def app_over(board: Board, heartbeat: float = 60.0):
    return create_app(
        board,
        clock=lambda: NOW / 1000,
        info=Info("Test", "embedded", "nothing is kept"),
        interval=0.01,
        heartbeat=heartbeat,
    )


async def events(response: httpx.Response) -> AsyncIterator[tuple[str, dict]]:
    name = ""
    async for line in response.aiter_lines():
        if line.startswith("event: "):
            name = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield name, json.loads(line.removeprefix("data: "))


async def test_events_first_all_then_what_changed():
    board = Board()
    board.apply("results", *results(), (), NOW)
    async with (
        serving(app_over(board), port=0) as address,
        httpx.AsyncClient() as http,
        http.stream("GET", f"{address}/events?experiment={RUN}") as response,
    ):
        assert response.headers["content-type"].startswith("text/event-stream")
        stream = events(response)
        name, first = await anext(stream)
        assert name == "snapshot"
        assert first["info"] == {
            "title": "Test",
            "mode": "embedded",
            "detail": "nothing is kept",
            "offers": [],
        }
        assert first["run"]["results"]["control"] == "control"
        board.apply("assignments", b"k", assignment(), (), NOW)
        name, second = await anext(stream)
        assert name == "snapshot"
        assert second["run"]["totals"]["assignments"] == {"control": 1}
        assert "results" not in second["run"]
        assert "info" not in second
        await stream.aclose()


async def test_a_quiet_board_sends_heartbeats_only():
    async with (
        serving(app_over(Board(), heartbeat=0.02), port=0) as address,
        httpx.AsyncClient() as http,
        http.stream("GET", f"{address}/events") as response,
    ):
        stream = events(response)
        assert (await anext(stream))[0] == "snapshot"
        assert await anext(stream) == ("heartbeat", {"now": NOW})
        assert await anext(stream) == ("heartbeat", {"now": NOW})
        await stream.aclose()


async def test_stops_at_once_though_event_streams_are_open():
    stop = asyncio.Event()
    address: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    async def host() -> None:
        async with serving(app_over(Board()), port=0) as at:
            address.set_result(at)
            await stop.wait()

    hosting = asyncio.create_task(host())
    url = f"{await address}/events"
    async with httpx.AsyncClient(timeout=5) as http, contextlib.AsyncExitStack() as stack:
        streams = [
            events(await stack.enter_async_context(http.stream("GET", url))) for _ in range(3)
        ]
        for stream in streams:
            await anext(stream)
        stop.set()
        await asyncio.wait_for(hosting, 2.5)  # less than the grace that hanging ones would get
        for stream in streams:
            assert [event async for event in stream] == [], "ended cleanly, not cut off"


async def test_serve_runs_until_cancelled_and_leaves_signals_alone():
    before = signal.getsignal(signal.SIGINT)
    started: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    serving_task = asyncio.create_task(serve(app_over(Board()), port=0, started=started.set_result))
    address = await started
    assert signal.getsignal(signal.SIGINT) is before
    async with httpx.AsyncClient() as http:
        assert (await http.get(f"{address}/livez")).status_code == 200
        serving_task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving_task
        with pytest.raises(httpx.ConnectError):
            await http.get(f"{address}/livez")


async def test_a_port_that_is_taken():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(SettingsError, match=rf"port {port} on 127.0.0.1 is taken.*--port"):
            async with serving(app_over(Board()), port=port):
                pass


@pytest.mark.parametrize(
    ("host", "port", "says"),
    [
        ("192.0.2.1", 0, "no address of this machine"),
        ("127.0.0.1", 70_000, "up to 65535"),
        ("x" * 300, 0, "cannot listen on xxx.*Give a name or an address"),
    ],
)
async def test_an_address_that_cannot_be(host, port, says):
    with pytest.raises(SettingsError, match=says):
        async with serving(app_over(Board()), host=host, port=port):
            pass


async def test_every_interface_is_shown_as_an_address_that_opens():
    async with serving(app_over(Board()), host="0.0.0.0", port=0) as address:
        assert address.startswith("http://127.0.0.1:")


async def test_the_pump_stamps_arrivals():
    from anabranch.runtime import Message

    async def feed() -> AsyncIterator[Message]:
        yield Message("assignments", b"k", assignment(), (), 5)
        yield Message("alerts", b"k", b"{}", (), None)

    board = Board()
    await pump(feed(), board, lambda: NOW / 1000)
    snapshot = board.snapshot(RUN, now=NOW + 1000)
    assert snapshot["run"]["rates"] == {"start": NOW // 1000, "assignments": [1], "exposures": {}}
    assert snapshot["alerts"][0]["at"] == NOW
