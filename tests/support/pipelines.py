"""The whole pipeline behind one face, embedded and on Kafka."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anabranch.runtime import (
    EmbeddedPipeline,
    KafkaPipeline,
    LiveCatalog,
    Pipeline,
    build_stages,
    follow_specs,
    guard_experiments,
    kafka_worker,
)
from anabranch.runtime.tracing import Tracing
from anabranch.settings import load_settings
from anabranch.specs import Catalog


@asynccontextmanager
async def running(
    request, catalog: Catalog, *, tracing: Tracing | None = None, **settings
) -> AsyncIterator[Pipeline]:
    """All four stages, following the specs topic, on the runtime that the test asks for."""
    live = LiveCatalog(catalog)
    tracing = tracing or Tracing()
    if request.param == "embedded":
        chosen = load_settings(prefix="t", **settings)
        stages = build_stages(live, chosen, spans=tracing.spans(chosen))
        async with EmbeddedPipeline(stages, chosen, live=live) as pipeline:
            yield pipeline
        return
    chosen = load_settings(
        bootstrap=request.getfixturevalue("kafka"),
        prefix=request.getfixturevalue("topic_prefix"),
        session_timeout=6,
        **settings,
    )
    async with KafkaPipeline(chosen) as pipeline:
        await pipeline.create_topics()
        worker = kafka_worker(build_stages(live, chosen, spans=tracing.spans(chosen)), chosen)
        live.on_change(worker.renew)
        async with follow_specs(live, chosen), guard_experiments(live, chosen):
            await worker.start()
            try:
                yield pipeline
            finally:
                await worker.stop()
