"""``anabranch dashboard``: watch live results in the browser."""

from __future__ import annotations

import asyncio
import logging
import time
from typing import Annotated

import typer

from anabranch.cli import options
from anabranch.cli.console import errors
from anabranch.cli.logs import hide
from anabranch.cli.serving import until_told_to_stop
from anabranch.cli.specs import checked_catalog
from anabranch.errors import AnabranchError
from anabranch.runtime import LiveCatalog, follow_specs, kafka_client
from anabranch.runtime.publishing import KafkaSpecStore
from anabranch.settings import Settings, load_settings
from anabranch.topology import Names
from anabranch.web.access import Access, read_clients
from anabranch.web.app import Info, create_app
from anabranch.web.board import Board
from anabranch.web.desk import Desk
from anabranch.web.feed import pump
from anabranch.web.kafka_feed import KafkaFeed
from anabranch.web.kafka_pipeline import KafkaLook
from anabranch.web.pipeline import Watch
from anabranch.web.server import serving

log = logging.getLogger(__name__)

Host = Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all")]
Port = Annotated[int, typer.Option(min=0, max=65535, help="Port to listen on; 0 picks one")]

_AGAIN = 3.0
"""Seconds until the specs topic is tried again."""


def dashboard(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
) -> None:
    """Serve the dashboard; it reads output topics, specs and groups' offsets.

    It writes nothing unless ANABRANCH_DASHBOARD_TOKENS or ANABRANCH_DASHBOARD_TOKENS_FILE lets
    people in who may pause, resume, ramp, stop and retire experiments. With --specs, files lie
    underneath what is published, as they do in workers.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs)
    clients = read_clients(
        [one.get_secret_value() for one in settings.dashboard_tokens],
        settings.dashboard_tokens_file,
        setting="ANABRANCH_DASHBOARD_TOKENS_FILE",
    )
    hide(client.token for client in clients)
    asyncio.run(_serve(settings, Access(clients), host, port))


async def _serve(settings: Settings, access: Access, host: str, port: int) -> None:
    live = LiveCatalog(None if settings.specs is None else checked_catalog(settings.specs))
    board = Board()
    board.follow(live)
    info = Info(mode="kafka", detail=f"{settings.prefix}.* on {settings.bootstrap}")
    client = kafka_client(settings)
    desk = Desk(
        live,
        KafkaSpecStore(client, Names(settings.prefix), live.files),
        clock=time.time,
        access=access,
    )
    async with (
        KafkaFeed(client, settings.prefix) as feed,
        KafkaLook(client, settings.prefix) as look,
    ):
        pumping = asyncio.create_task(pump(feed, board, time.time))
        watch = Watch(look)
        watching = asyncio.create_task(watch.run(time.time))
        following = asyncio.create_task(_follow(live, settings))
        app = create_app(
            board,
            clock=time.time,
            info=info,
            ready=lambda: not pumping.done(),
            pipeline=watch,
            desk=desk,
        )
        async with serving(app, host, port) as address:
            errors.print(f"dashboard: [bold]{address}[/]", highlight=False)
            await until_told_to_stop(pumping, watching, following)


async def _follow(live: LiveCatalog, settings: Settings) -> None:
    """Take in what is published; until the topic is there and may be read, files alone."""
    said = ""
    while True:
        try:
            async with follow_specs(live, settings, buries=False):
                await asyncio.Event().wait()
        except AnabranchError as error:
            if str(error) != said:
                said = str(error)
                log.warning("published specs are not seen yet: %s", error)
            await asyncio.sleep(_AGAIN)
