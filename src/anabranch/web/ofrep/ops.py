"""Health and figures of the evaluation API."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import msgspec

from anabranch.runtime import LiveCatalog
from anabranch.runtime.exposures import ExposureQueue
from anabranch.web.metrics import CONTENT_TYPE, Sample, registry, render
from anabranch.web.metrics.process import process_samples
from anabranch.web.metrics.worker import spec_samples
from anabranch.web.ofrep.api import Answer, EvaluationApi

__all__ = ["operations"]

_JSON = ((b"content-type", b"application/json"),)
_encode = msgspec.json.Encoder().encode


def operations(
    api: EvaluationApi, live: LiveCatalog, queue: ExposureQueue | None
) -> dict[str, Callable[[], Answer]]:
    """What ``/livez``, ``/readyz`` and ``/metrics`` answer.

    Ready is who has specs and whose last exposures were acknowledged. A broker that is away makes
    it not ready, though flags are answered on: another process may reach it.
    """

    def readyz() -> Answer:
        report: dict[str, Any] = {
            "status": "ready",
            "experiments": len(live.catalog.evaluated()),
            "refusedSpecs": [str(one) for one in live.refused],
            "exposures": "off" if queue is None else "acknowledged",
        }
        if queue is not None:
            report["waiting"] = len(queue)
            if queue.reachable is False:
                report |= {"status": "not ready", "exposures": "waiting for the broker"}
        if not live.catalog.experiments:
            report["status"] = "not ready"
        return (200 if report["status"] == "ready" else 503), _encode(report), _JSON

    def metrics() -> Answer:
        specs = spec_samples(live.catalog, len(live.refused))
        text = render([*specs, *_samples(api, queue), *process_samples()])
        return 200, text.encode(), ((b"content-type", CONTENT_TYPE.encode()),)

    return {
        "/livez": lambda: (200, b'{"status":"alive"}', _JSON),
        "/readyz": readyz,
        "/metrics": metrics,
    }


def _samples(api: EvaluationApi, queue: ExposureQueue | None) -> Iterator[Sample]:
    for (endpoint, status), count in sorted(api.requests.items()):
        yield registry.SERVED.of(count, endpoint, status)
    for name, took in sorted(api.took.items()):
        yield registry.SERVED_SECONDS.of(took.distribution, name)
    for reason, count in sorted(api.reasons.items()):
        yield registry.FLAGS.of(count, reason)
    if queue is not None:
        yield registry.USES_WAITING.of(len(queue))
        for outcome in ("sent", "repeated", "dropped", "failed", "lost"):
            yield registry.USES.of(getattr(queue, outcome), outcome)
