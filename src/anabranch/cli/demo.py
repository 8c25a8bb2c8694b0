"""``anabranch demo``: the whole pipeline under made-up traffic, with the dashboard."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated

import typer

from anabranch.cli import options
from anabranch.cli.console import errors
from anabranch.cli.dashboard import Host, Port
from anabranch.cli.serving import until_told_to_stop
from anabranch.cli.specs import checked_catalog
from anabranch.demo import SPECS, Traffic
from anabranch.runtime import (
    EmbeddedPipeline,
    KafkaPipeline,
    LiveCatalog,
    Pipeline,
    build_stages,
    follow_specs,
    guard_experiments,
    kafka_client,
    kafka_worker,
)
from anabranch.runtime.publishing import EmbeddedSpecStore, KafkaSpecStore, SpecStore
from anabranch.settings import Settings, load_settings
from anabranch.topology import Names
from anabranch.web.access import Access, Client
from anabranch.web.app import Info, create_app
from anabranch.web.board import Board
from anabranch.web.desk import Desk
from anabranch.web.feed import Feed, pump
from anabranch.web.kafka_feed import KafkaFeed
from anabranch.web.kafka_pipeline import KafkaLook
from anabranch.web.pipeline import Look, Watch
from anabranch.web.server import serving

_STEP = 0.1
"""Seconds between two batches of traffic."""


def demo(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    host: Host = "127.0.0.1",
    port: Port = 8080,
    rate: Annotated[float, typer.Option(min=0.1, help="Contexts per second")] = 50.0,
    history: Annotated[
        float, typer.Option(min=0, help="Minutes of traffic to begin with, made up at once")
    ] = 10.0,
    seed: Annotated[int, typer.Option(help="Of the traffic")] = 7,
) -> None:
    """Run all four stages under made-up traffic and watch them in the browser.

    Embedded, in this process, unless a broker is given.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix or "anabranch-demo")
    asyncio.run(_demo(settings, Traffic(seed, rate), host=host, port=port, history=history))


async def _demo(
    settings: Settings, traffic: Traffic, *, host: str, port: int, history: float
) -> None:
    live = LiveCatalog(checked_catalog(SPECS))
    board = Board()
    board.follow(live)
    token = secrets.token_urlsafe(16)
    access = Access([Client("demo", token)])
    opened = _embedded if settings.bootstrap is None else _on_kafka
    async with opened(settings, live) as (pipeline, store, feed, info, look):
        pumping = asyncio.create_task(pump(feed, board, time.time))
        watch = Watch(look)
        watching = asyncio.create_task(watch.run(time.time, interval=2.0))
        app = create_app(
            board,
            clock=time.time,
            info=info,
            ready=lambda: not pumping.done(),
            pipeline=watch,
            desk=Desk(live, store, clock=time.time, access=access),
        )
        async with serving(app, host, port) as address:
            errors.print(f"dashboard: [bold]{address}[/]   ({info.detail})", highlight=False)
            errors.print(f"to pause, ramp or stop the experiment there: sign in with {token}")
            errors.print("stop with Ctrl-C", highlight=False)
            driving = asyncio.create_task(_drive(pipeline, traffic, history))
            await until_told_to_stop(pumping, watching, driving)


async def _drive(pipeline: Pipeline, traffic: Traffic, history: float) -> None:
    """Traffic of the past at once, then as time goes by."""
    at = int((time.time() - history * 60) * 1000)
    while True:
        now = int(time.time() * 1000)
        until = min(now, at + 10_000)
        await pipeline.publish(traffic.batch(at, until))
        at = until
        await asyncio.sleep(_STEP if until == now else 0)


Opened = tuple[Pipeline, SpecStore, Feed, Info, Look]


@asynccontextmanager
async def _embedded(settings: Settings, live: LiveCatalog) -> AsyncIterator[Opened]:
    info = Info(
        title="Demonstration",
        mode="embedded",
        detail="embedded in this process: nothing is kept after it ends",
    )
    stages = build_stages(live, settings)
    async with EmbeddedPipeline(stages, settings, live=live) as pipeline:
        store = EmbeddedSpecStore(pipeline.log, pipeline.names, live.files)
        yield pipeline, store, pipeline.feed(), info, pipeline.places


@asynccontextmanager
async def _on_kafka(settings: Settings, live: LiveCatalog) -> AsyncIterator[Opened]:
    info = Info(
        title="Demonstration",
        mode="kafka",
        detail=f"topics {settings.prefix}.* on {settings.bootstrap}",
    )
    async with KafkaPipeline(settings) as pipeline:
        await pipeline.create_topics()
        worker = kafka_worker(build_stages(live, settings), settings)
        live.on_change(worker.renew)
        async with follow_specs(live, settings), guard_experiments(live, settings):
            await worker.start()
            try:
                client = kafka_client(settings)
                store = KafkaSpecStore(client, Names(settings.prefix), live.files)
                async with (
                    KafkaFeed(client, settings.prefix) as feed,
                    KafkaLook(client, settings.prefix) as look,
                ):
                    yield pipeline, store, feed, info, look
            finally:
                await worker.stop()
