"""Serves an application inside the running event loop, beside whatever else runs there."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ipaddress
import socket
from collections.abc import AsyncIterator, Callable, Iterator

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp

from anabranch.errors import SettingsError
from anabranch.web.app import close_streams

__all__ = ["serve", "serving"]

_BACKLOG = 128
_GRACE_SECONDS = 3
"""How long open requests may take to finish; event streams end at once."""


class _Server(uvicorn.Server):
    """Leaves signals to whoever owns the process, and tells when it takes requests."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.taking_requests = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.taking_requests.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


@contextlib.asynccontextmanager
async def serving(app: ASGIApp, host: str = "127.0.0.1", port: int = 8080) -> AsyncIterator[str]:
    """Serve for the time of an ``async with``; gives the address, ``http://127.0.0.1:8080``.

    Args:
        app: From :func:`~anabranch.web.app.create_app`.
        host: Address or name of the interface to listen on.
        port: 0 picks a free one.

    Raises:
        SettingsError: The port is taken or not allowed, or the host is not one of this machine's.
    """
    listening = _listen(host, port)
    server = _Server(
        uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            lifespan="off",
            timeout_graceful_shutdown=_GRACE_SECONDS,
        )
    )
    running = asyncio.create_task(server.serve(sockets=[listening]), name="dashboard")
    taking = asyncio.create_task(server.taking_requests.wait())
    try:
        await asyncio.wait((running, taking), return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
            raise RuntimeError("the server ended before it took requests")
        yield _address(host, listening)
    finally:
        taking.cancel()
        if isinstance(app, Starlette):
            close_streams(app)
        server.should_exit = True
        try:
            await running
        finally:
            listening.close()


async def serve(
    app: ASGIApp,
    host: str = "127.0.0.1",
    port: int = 8080,
    *,
    started: Callable[[str], object] = print,
) -> None:
    """Serve until the task is cancelled.

    Args:
        app: From :func:`~anabranch.web.app.create_app`.
        host: Address or name of the interface to listen on.
        port: 0 picks a free one.
        started: Told the address, ``http://127.0.0.1:8080``, once requests are taken.

    Raises:
        SettingsError: As :func:`serving`.
    """
    async with serving(app, host, port) as address:
        started(address)
        await asyncio.Event().wait()


def _listen(host: str, port: int) -> socket.socket:
    if not 0 <= port <= 65535:
        raise SettingsError(f"port {port} is none: give one up to 65535, or 0 for a free one")
    try:
        found = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE | socket.AI_NUMERICSERV
        )
    except (socket.gaierror, UnicodeError) as error:
        raise SettingsError(
            f"the dashboard cannot listen on {host}: {error}. Give a name or an address of this "
            "machine, such as 127.0.0.1"
        ) from error
    family, kind, protocol, _, address = found[0]
    listening = socket.socket(family, kind, protocol)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(address)
        listening.listen(_BACKLOG)
        listening.setblocking(False)
    except OSError as error:
        listening.close()
        raise SettingsError(_why(host, port, error)) from error
    return listening


def _why(host: str, port: int, error: OSError) -> str:
    code = error.errno
    if code == errno.EADDRINUSE:
        return (
            f"port {port} on {host} is taken: stop what listens there, or choose another with "
            "--port (0 picks a free one)"
        )
    if code == errno.EACCES:
        return f"port {port} needs privileges: choose one from 1024 on with --port"
    if code == errno.EADDRNOTAVAIL:
        return f"{host} is no address of this machine: listen on 127.0.0.1 or on 0.0.0.0"
    return f"the dashboard cannot listen on {host}, port {port}: {error}"


def _address(host: str, listening: socket.socket) -> str:
    """What a browser on this machine would open."""
    bound, port = listening.getsockname()[:2]
    if ipaddress.ip_address(bound.split("%")[0]).is_unspecified:
        shown = "127.0.0.1" if listening.family == socket.AF_INET else "[::1]"
    elif host == "localhost":
        shown = host
    else:
        shown = f"[{bound}]" if ":" in bound else bound
    return f"http://{shown}:{port}"
