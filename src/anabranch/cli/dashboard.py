"""``anabranch dashboard``: watch live results in the browser."""

from __future__ import annotations

import asyncio
import time
from typing import Annotated

import typer

from anabranch.cli import options
from anabranch.cli.console import errors
from anabranch.cli.serving import until_told_to_stop
from anabranch.cli.specs import checked_catalog
from anabranch.runtime import kafka_client
from anabranch.settings import Settings, load_settings
from anabranch.web.app import Info, create_app
from anabranch.web.board import Board
from anabranch.web.feed import pump
from anabranch.web.kafka_feed import KafkaFeed
from anabranch.web.kafka_pipeline import KafkaLook
from anabranch.web.pipeline import Watch
from anabranch.web.server import serving

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks one")]


def dashboard(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
) -> None:
    """Serve the dashboard; it reads output topics and groups' offsets, and writes nothing.

    With --specs, experiments are shown with their titles, and before their first unit.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs)
    asyncio.run(_serve(settings, host, port))


async def _serve(settings: Settings, host: str, port: int) -> None:
    board = Board()
    if settings.specs is not None:
        board.describe(checked_catalog(settings.specs).experiments)
    info = Info(mode="kafka", detail=f"{settings.prefix}.* on {settings.bootstrap}")
    client = kafka_client(settings)
    async with (
        KafkaFeed(client, settings.prefix) as feed,
        KafkaLook(client, settings.prefix) as look,
    ):
        pumping = asyncio.create_task(pump(feed, board, time.time))
        watch = Watch(look)
        watching = asyncio.create_task(watch.run(time.time))
        app = create_app(
            board,
            clock=time.time,
            info=info,
            ready=lambda: not pumping.done(),
            pipeline=watch,
        )
        async with serving(app, host, port) as address:
            errors.print(f"dashboard: [bold]{address}[/]", highlight=False)
            await until_told_to_stop(pumping, watching)
