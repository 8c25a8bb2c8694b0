"""The dashboard of the embedded demonstration, whose traffic comes when a test says so."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from anabranch.demo import SPECS, Traffic, demo_catalog
from anabranch.runtime import EmbeddedPipeline, LiveCatalog, build_stages
from anabranch.runtime.publishing import EmbeddedSpecStore
from anabranch.settings import Settings
from anabranch.specs import Catalog
from anabranch.web import Board, Info, create_app, pump, serving
from anabranch.web.access import Access, Client
from anabranch.web.desk import Desk
from anabranch.web.pipeline import Watch

__all__ = ["Site", "demo_site", "described_board", "server"]

TOKEN = "let-ada-in-to-the-tests"

SECONDS = 240
"""Of traffic to begin with."""


@dataclass
class Site:
    """Attributes:
    address: ``http://127.0.0.1:PORT``.
    """

    address: str
    _pipeline: EmbeddedPipeline = field(repr=False)
    _traffic: Traffic = field(repr=False)
    _at: int = 0

    async def send(self, seconds: int) -> None:
        """Traffic of the next so many seconds of event time, through all stages."""
        until = self._at + seconds * 1000
        await self._pipeline.publish(self._traffic.batch(self._at, until))
        self._at = until
        await self._pipeline.drain()


def described_board(catalog: Catalog) -> Board:
    board = Board()
    board.describe(catalog.experiments)
    return board


@contextlib.asynccontextmanager
async def server(
    board: Board, port: int = 0, pipeline: Watch | None = None, desk: Desk | None = None
) -> AsyncIterator[str]:
    """A dashboard over a board; looks for changes often, so that tests need not wait."""
    info = Info("Demonstration", "embedded", "embedded in this process: nothing is kept")
    app = create_app(
        board,
        clock=time.time,
        info=info,
        interval=0.1,
        heartbeat=1.0,
        pipeline=pipeline,
        desk=desk,
    )
    async with serving(app, port=port) as address:
        yield address


@contextlib.asynccontextmanager
async def demo_site() -> AsyncIterator[Site]:
    """All stages in this process under seeded traffic, and the dashboard over their output."""
    live = LiveCatalog(demo_catalog())
    board = Board()
    board.follow(live)
    settings = Settings(prefix="browser", specs=SPECS)
    async with EmbeddedPipeline(build_stages(live, settings), settings, live=live) as pipeline:
        store = EmbeddedSpecStore(pipeline.log, pipeline.names, live.files)
        desk = Desk(live, store, clock=time.time, access=Access([Client("ada", TOKEN)]))
        pumping = asyncio.create_task(pump(pipeline.feed(), board, time.time))
        try:
            watch = Watch(pipeline.places)
            async with server(board, pipeline=watch, desk=desk) as address:
                # It ends in the past, so that what tests send later has happened, too.
                start = int(time.time() - SECONDS - 60) * 1000
                site = Site(address, pipeline, Traffic(7, 25.0), start)
                await watch.look(time.time)
                await site.send(SECONDS)
                await watch.look(time.time)
                yield site
        finally:
            pumping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pumping
