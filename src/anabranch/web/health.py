"""A worker over HTTP: ``/livez`` whether to restart it, ``/readyz`` whether it works, ``/metrics``.

A worker that waits for its broker is alive but not ready: restarting it would mend nothing. One
whose tasks have made no progress for long, not even waiting, is hung.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from anabranch.engine import StageHost
from anabranch.web.metrics import CONTENT_TYPE, Sample, render

__all__ = ["health_app", "health_report"]

HUNG_AFTER: Final = 120.0
"""Seconds without any progress after which a task is taken for hung."""


def health_app(
    hosts: Callable[[], Sequence[StageHost]],
    ready: Callable[[], bool],
    clock: Callable[[], float] = time.monotonic,
    *,
    refused: Callable[[], Iterable[str]] = tuple,
    metrics: Callable[[], Iterable[Sample]] = tuple,
) -> Starlette:
    """The endpoints over a worker's hosts.

    Args:
        hosts: The worker's hosts as they are now.
        ready: Whether the groups have settled and every partition is open.
        clock: The monotonic clock that tasks note their progress by.
        refused: Specs on the topic that do not hold, each with its place and the reason.
        metrics: What ``/metrics`` answers.
    """

    async def livez(_: Request) -> JSONResponse:
        report = health_report(hosts(), ready=ready(), now=clock())
        return JSONResponse(report, 503 if report["hung"] else 200)

    async def readyz(_: Request) -> JSONResponse:
        report = health_report(hosts(), ready=ready(), now=clock())
        report["refusedSpecs"] = list(refused())
        return JSONResponse(report, 200 if report["status"] == "ready" else 503)

    async def samples(_: Request) -> Response:
        return Response(render(metrics()), media_type=CONTENT_TYPE)

    return Starlette(
        routes=[
            Route("/livez", livez),
            Route("/readyz", readyz),
            Route("/metrics", samples),
        ]
    )


def health_report(hosts: Sequence[StageHost], *, ready: bool, now: float) -> dict[str, Any]:
    """What both endpoints answer: status, and the state of every partition by stage.

    ``status`` is ``ready``, ``paused`` (a circuit breaker has stopped a partition) or
    ``starting``; ``hung`` names tasks without progress.
    """
    tasks = [task for host in hosts for task in host.tasks.values()]
    hung = [f"{t.stage.name}[{t.partition}]" for t in tasks if now - t.progressed_at > HUNG_AFTER]
    if any(task.paused for task in tasks):
        status = "paused"
    else:
        status = "ready" if ready and not hung else "starting"
    return {
        "status": status,
        "hung": hung,
        "stages": {
            host.stage.name: {str(n): host.tasks[n].state for n in sorted(host.tasks)}
            for host in hosts
        },
    }
