"""``anabranch serve``: the evaluation API."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import typer

from anabranch.cli import options
from anabranch.cli.logs import hide
from anabranch.cli.serving import until_told_to_stop
from anabranch.cli.specs import checked_catalog
from anabranch.errors import SettingsError
from anabranch.runtime import LiveCatalog, follow_specs, kafka_client
from anabranch.runtime.exposures import ExposureQueue, KafkaExposures
from anabranch.runtime.flags import LiveFlags
from anabranch.runtime.process import settle
from anabranch.runtime.tracing import tracing
from anabranch.settings import Settings, load_settings
from anabranch.topology import Names
from anabranch.web.ofrep import Access, EvaluationApi, RateLimit, read_clients
from anabranch.web.ofrep.ops import operations
from anabranch.web.server import serving

log = logging.getLogger(__name__)


def serve(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    host: Annotated[str, typer.Option(help="Address to listen on; 0.0.0.0 for all")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 picks one")] = 8081,
    anybody: Annotated[
        bool, typer.Option("--anybody", help="Without tokens on an address others can reach")
    ] = False,
) -> None:
    """Answer for experiments as OpenFeature flags (OFREP); using one is an exposure.

    Without --bootstrap flags come from --specs alone, and no exposure is told.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs)
    if settings.bootstrap is None and settings.specs is None:
        raise SettingsError("there is nothing to serve: give --specs PATH, --bootstrap, or both")
    clients = read_clients(
        [one.get_secret_value() for one in settings.serve_tokens], settings.serve_tokens_file
    )
    hide(client.token for client in clients)
    access = Access(clients)
    if access.open and not (anybody or _loopback(host)):
        raise SettingsError(
            f"everybody who reaches {host} could ask: set ANABRANCH_SERVE_TOKENS or "
            "ANABRANCH_SERVE_TOKENS_FILE, or say --anybody"
        )
    asyncio.run(_serve(settings, access, host, port))


async def _serve(settings: Settings, access: Access, host: str, port: int) -> None:
    live = LiveCatalog(None if settings.specs is None else checked_catalog(settings.specs))
    async with tracing("anabranch-serve") as traces, _exposures(settings, live) as queue:
        api = EvaluationApi(
            LiveFlags(live),
            clock=lambda: int(time.time() * 1000),
            monotonic=time.monotonic,
            use=None if queue is None else queue.use,
            access=access,
            limit=_limit(settings),
            targeting_key=settings.serve_targeting_key,
            max_body=settings.max_event_bytes,
            spans=traces.requests(),
        )
        api.ops.update(operations(api, live, queue))
        settle()
        async with serving(api, host, port) as address:
            log.info("evaluation API: %s/ofrep/v1", address)
            await until_told_to_stop()
    if queue is not None:
        _say(queue)


@asynccontextmanager
async def _exposures(settings: Settings, live: LiveCatalog) -> AsyncIterator[ExposureQueue | None]:
    if settings.bootstrap is None:
        log.warning("no broker is named: exposures are not told, and results will not see them")
        yield None
        return
    delivery = KafkaExposures(kafka_client(settings), Names(settings.prefix).topic("exposures"))
    queue = ExposureQueue(
        delivery,
        most=settings.serve_queue,
        told=settings.exposure_cache,
        period_ms=max(1, round(settings.exposure_dedupe * 1000)),
    )
    async with follow_specs(live, settings):
        if not live.catalog:
            log.warning("there are no specs: publish some, or name files by --specs")
        async with queue:
            yield queue


def _say(queue: ExposureQueue) -> None:
    figures: dict[str, Any] = {
        name: getattr(queue, name) for name in ("sent", "repeated", "dropped", "lost")
    }
    log.info("exposures: %s", json.dumps(figures))


def _limit(settings: Settings) -> RateLimit | None:
    rate = settings.serve_rate
    return RateLimit(rate, max(1.0, rate)) if rate else None


def _loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
