"""The dashboard's web application: the page, JSON, live updates, health.

==============================  ================================================================
``/``                           the page
``/api/experiments``            every experiment run that was heard of
``/api/experiments/{key}``      one of them: ``key@version``, or ``key`` for its latest version
``/api/pipeline``               lag, throughput and waiting time of every stage and partition
``/api/published/…``, …         history, actions, sign-in: :mod:`~anabranch.web.lifecycle`,
                                :mod:`~anabranch.web.sessions`
``/api/explain``                why a unit has its variant: :mod:`~anabranch.web.explaining`
``/events``                     server-sent events; ``?experiment=`` as above
``/livez``, ``/readyz``         health; ready once records flow in
``/docs/statistics``            the manual's page about the numbers
``/static/``                    scripts, styles
==============================  ================================================================

``/events`` sends ``snapshot`` events, the first one whole, then about once a second what has
changed (:mod:`anabranch.web.board` has the shape, with ``info`` beside it in the first one), and
``heartbeat`` events with the server's time while nothing changes.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from sse_starlette import EventSourceResponse, ServerSentEvent
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, HTMLResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from anabranch.web.asking import answer
from anabranch.web.board import Board
from anabranch.web.desk import Desk
from anabranch.web.manual import manual_page
from anabranch.web.pipeline import Watch

__all__ = ["Info", "close_streams", "create_app"]

STATIC: Final = Path(__file__).parent / "static"

HEADERS: Final = {
    "content-security-policy": (
        "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_encode = msgspec.json.Encoder().encode


@dataclass(frozen=True, slots=True)
class Info:
    """What the page says about where its figures come from.

    Attributes:
        title: Name of the installation or demonstration.
        mode: ``embedded`` or ``kafka``.
        detail: A sentence: the broker's address, or that nothing is kept.
    """

    title: str = "anabranch"
    mode: str = "kafka"
    detail: str = ""


def create_app(
    board: Board,
    *,
    clock: Callable[[], float],
    info: Info | None = None,
    ready: Callable[[], bool] = lambda: True,
    interval: float = 1.0,
    heartbeat: float = 5.0,
    pipeline: Watch | None = None,
    desk: Desk | None = None,
) -> Starlette:
    """The application over a board that something else feeds.

    Args:
        board: What is shown.
        clock: Seconds since the epoch.
        info: Where the figures come from.
        ready: Whether the board's feed is running, for ``/readyz``.
        interval: Seconds between two looks for changes.
        heartbeat: Seconds without a change after which a heartbeat is sent.
        pipeline: Looks at the stages; something else runs it.
        desk: What is offered beyond looking.
    """
    told = {**asdict(info or Info()), "offers": desk.offers if desk else ()}
    views = _Views(board, clock, told, ready, interval, heartbeat)
    watch = pipeline or Watch()

    async def stages(_: Request) -> Response:
        return answer(watch.report() | {"closedUntil": board.closed_until})

    app = Starlette(
        routes=[
            Route("/", views.page),
            Route("/api/experiments", views.experiments),
            Route("/api/experiments/{key:path}", views.experiment),
            Route("/api/pipeline", stages),
            *(desk.routes if desk else ()),
            Route("/events", views.events),
            Route("/docs/statistics", views.manual),
            Route("/livez", views.livez),
            Route("/readyz", views.readyz),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        middleware=[Middleware(_Headers)],
    )
    app.state.closing = views.closing
    return app


def close_streams(app: Starlette) -> None:
    """End every open event stream, so that a server can stop at once."""
    closing = getattr(app.state, "closing", None)
    if closing is not None:
        closing.set()


class _Views:
    def __init__(
        self,
        board: Board,
        clock: Callable[[], float],
        info: dict[str, Any],
        ready: Callable[[], bool],
        interval: float,
        heartbeat: float,
    ) -> None:
        self._board = board
        self._clock = clock
        self._info = info
        self._ready = ready
        self._interval = interval
        self._heartbeat = heartbeat
        self.closing = asyncio.Event()

    def _now(self) -> int:
        return int(self._clock() * 1000)

    # -- pages and JSON -----------------------------------------------------------------------

    async def page(self, _: Request) -> Response:
        return FileResponse(STATIC / "index.html", media_type="text/html; charset=utf-8")

    async def manual(self, _: Request) -> Response:
        page = manual_page()
        if page is None:
            return answer({"error": "the manual was not packaged with this version"}, status=404)
        return HTMLResponse(page)

    async def experiments(self, _: Request) -> Response:
        return answer({"now": self._now(), "experiments": self._board.experiments()})

    async def experiment(self, request: Request) -> Response:
        key = request.path_params["key"]
        snapshot = self._board.snapshot(key, now=self._now())
        if snapshot["run"] is None:
            known = ", ".join(e["id"] for e in snapshot["experiments"]) or "none so far"
            return answer(
                {"error": f"no experiment {key!r} was heard of; there are: {known}"}, status=404
            )
        return answer(snapshot["run"] | {"now": snapshot["now"]})

    async def livez(self, _: Request) -> Response:
        return answer({"status": "alive"})

    async def readyz(self, _: Request) -> Response:
        if self._ready():
            return answer({"status": "ready"})
        return answer(
            {"status": "not ready", "reason": "no records are being read yet"}, status=503
        )

    # -- live ---------------------------------------------------------------------------------

    async def events(self, request: Request) -> Response:
        return EventSourceResponse(
            self._stream(request.query_params.get("experiment") or None),
            ping=3600,  # heartbeats are events of our own, which scripts can see
            send_timeout=30,
            sep="\n",
        )

    async def _stream(self, experiment: str | None) -> AsyncIterator[ServerSentEvent]:
        since: int | None = None
        quiet = 0.0
        while not self.closing.is_set():
            version = self._board.version
            if version != since:
                snapshot = self._board.snapshot(experiment, now=self._now(), since=since or 0)
                if since is None:
                    snapshot["info"] = self._info
                since, quiet = version, 0.0
                yield _event("snapshot", snapshot)
            elif quiet >= self._heartbeat:
                quiet = 0.0
                yield _event("heartbeat", {"now": self._now()})
            try:
                await asyncio.wait_for(self.closing.wait(), self._interval)
            except TimeoutError:
                quiet += self._interval


def _event(name: str, data: dict[str, Any]) -> ServerSentEvent:
    return ServerSentEvent(_encode(data).decode(), event=name, retry=2000)


class _Headers:
    """Security headers on every answer; files are asked for again unless they carry a version."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        vendored = scope["path"].startswith("/static/vendor/")

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault(
                    "cache-control",
                    "public, max-age=31536000, immutable" if vendored else "no-cache",
                )
            await send(message)

        await self._app(scope, receive, send_with_headers)
