"""``anabranch worker``: run stages against Kafka until told to stop."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from typing import Annotated

import typer

from anabranch.cli import options
from anabranch.cli.serving import until_told_to_stop
from anabranch.cli.specs import checked_catalog
from anabranch.engine import Stage
from anabranch.engine.kafka import KafkaWorker, Topics
from anabranch.errors import SettingsError, StateFormatError, TopologyError
from anabranch.runtime import (
    LiveCatalog,
    build_stages,
    follow_specs,
    guard_experiments,
    kafka_client,
    kafka_worker,
)
from anabranch.runtime.client import topic_settings
from anabranch.runtime.process import settle
from anabranch.runtime.tracing import tracing
from anabranch.settings import Settings, load_settings
from anabranch.topology import Names, StageShape, choose_stages, topics_of
from anabranch.web.health import health_app
from anabranch.web.metrics.worker import WorkerMetrics
from anabranch.web.server import serving

log = logging.getLogger(__name__)


def worker(
    stages: Annotated[
        list[str] | None, typer.Argument(help="assign, gate, attribute, aggregate; all if none")
    ] = None,
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    create_topics: Annotated[
        bool, typer.Option("--create-topics", help="Create missing topics first")
    ] = False,
    partitions: options.Partitions = None,
    health: Annotated[
        str | None,
        typer.Option(metavar="HOST:PORT", help="Serve /livez, /readyz and /metrics there"),
    ] = None,
) -> None:
    """Run stages against Kafka until SIGTERM or SIGINT; add workers up to the partitions."""
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs, partitions=partitions)
    asyncio.run(_work(settings, choose_stages(stages or ()), create=create_topics, health=health))


async def _work(
    settings: Settings, shapes: list[StageShape], *, create: bool, health: str | None
) -> None:
    live = LiveCatalog(None if settings.specs is None else checked_catalog(settings.specs))
    await _topics_there(settings, shapes, create=create)
    async with tracing("anabranch-worker") as traces:
        stages = build_stages(live, settings, shapes, spans=traces.spans(settings))
        await _run(live, stages, settings, shapes, health)


async def _run(
    live: LiveCatalog,
    stages: list[Stage],
    settings: Settings,
    shapes: list[StageShape],
    health: str | None,
) -> None:
    running = kafka_worker(stages, settings)
    live.on_change(running.renew)
    names = ", ".join(shape.name for shape in shapes)
    async with follow_specs(live, settings), _guarding(live, settings, shapes):
        log.info("starting %s with %d running experiments", names, len(live.catalog.running()))
        if not live.catalog:
            log.warning("there are no specs: publish some, or name files by --specs")
        settle()
        await running.start()
        ready = asyncio.create_task(_say_ready(running, names))
        try:
            async with _health(running, live, health):
                await until_told_to_stop(asyncio.create_task(running.run()))
        finally:
            ready.cancel()
            log.info("stopping: finishing open batches")
            await running.stop()
    log.info("stopped")


def _guarding(
    live: LiveCatalog, settings: Settings, shapes: list[StageShape]
) -> AbstractAsyncContextManager[object]:
    """Whoever finds breaches of guardrails also sees to what is done about them."""
    if not settings.pause_on_breach or all(shape.name != "aggregate" for shape in shapes):
        return nullcontext()
    return guard_experiments(live, settings)


@asynccontextmanager
async def _health(
    running: KafkaWorker, live: LiveCatalog, address: str | None
) -> AsyncIterator[None]:
    """Serve the worker's health for the time of an ``async with``, where an address is given."""
    if address is None:
        yield
        return
    host, _, port = address.rpartition(":")
    if not port.isdigit():
        raise SettingsError(f"--health {address!r} is no address: write HOST:PORT")
    app = health_app(
        lambda: running.hosts,
        lambda: running.ready,
        refused=lambda: map(str, live.refused),
        metrics=WorkerMetrics(
            lambda: running.hosts,
            clock=time.time,
            monotonic=time.monotonic,
            catalog=lambda: live.catalog,
            refused=lambda: len(live.refused),
        ),
    )
    async with serving(app, host or "127.0.0.1", int(port)) as served:
        log.info("health: %s/livez, %s/readyz, %s/metrics", served, served, served)
        yield


async def _say_ready(running: KafkaWorker, names: str) -> None:
    try:
        await running.wait_ready()
    except StateFormatError:
        return  # it ends the worker, which tells it
    log.info("ready: %s", names)


async def _topics_there(settings: Settings, shapes: list[StageShape], *, create: bool) -> None:
    """Missing topics, or sources that are not co-partitioned, are told before anything runs."""
    names = Names(settings.prefix)
    async with Topics(kafka_client(settings)) as topics:
        if create:
            await topics.create(topic_settings(settings), settings.replication)
        needed = [names.topic(topic.name) for topic in topics_of(shapes)]
        there = await topics.partitions(needed)
    missing = [name for name in needed if name not in there]
    if missing:
        raise TopologyError(
            f"topics are missing: {', '.join(missing)}. Create them with `anabranch topics create "
            f"--bootstrap {settings.bootstrap} --prefix {settings.prefix}`, or start the worker "
            "with --create-topics"
        )
    for shape in shapes:
        counts = {names.topic(s): there[names.topic(s)] for s in shape.sources}
        if shape.changelog is not None:
            counts[names.topic(shape.changelog)] = there[names.topic(shape.changelog)]
        if len(set(counts.values())) > 1:
            found = ", ".join(f"{name} has {n}" for name, n in counts.items())
            raise TopologyError(
                f"stage {shape.name} needs the same number of partitions in each of its topics: "
                f"{found}"
            )
