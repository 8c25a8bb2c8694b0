"""A stock Faust agent: the same decision, sent as JSON, at least once, Faust's defaults."""

from __future__ import annotations

import asyncio
import logging

import faust

from anabranch import ExperimentContext, ExperimentEvaluator, ExperimentRegistry
from anabranch.runtime.process import settle
from benchmarks.assign.work import EXPERIMENT
from benchmarks.contestants import Clock, ContestantError, arguments, watch

logging.basicConfig(level=logging.WARNING)


async def main() -> None:
    given = arguments()
    app = faust.App(
        f"stock-{given.sink}",
        broker=f"kafka://{given.bootstrap}",
        topic_disable_leader=True,
        stream_recovery_delay=0,
        web_enabled=False,
    )
    source = app.topic(given.source, value_serializer="json")
    sink = app.topic(given.sink, value_serializer="json")
    evaluator = ExperimentEvaluator(ExperimentRegistry([EXPERIMENT]))
    key, version = EXPERIMENT.key, EXPERIMENT.version
    count = 0

    @app.agent(source)  # type: ignore[untyped-decorator]
    async def assign(stream: faust.Stream[dict[str, object]]) -> None:
        nonlocal count
        async for event in stream:
            user = event["userId"]
            choice = await evaluator.choose_variant(
                ExperimentContext(
                    experiment=key, user_id=user, attributes=event.get("attributes", {})
                )
            )
            if choice is None:
                raise ContestantError("the evaluator does not know the experiment")
            await sink.send(
                key=f"{user}|{key}".encode(),
                value={
                    "experiment": key,
                    "version": version,
                    "variant": choice.variant.id,
                    "reason": choice.reason,
                    "unit": user,
                },
            )
            count += 1

    settle()
    await app.start()
    clock = Clock(given.records)
    await watch(clock, lambda: count)
    await app.producer.flush()
    clock.print_figures(count)
    await app.stop()


if __name__ == "__main__":
    asyncio.run(main())
