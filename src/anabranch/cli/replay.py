"""``anabranch replay``: events through the whole pipeline again, final results at the end."""

from __future__ import annotations

import asyncio
import secrets
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import Progress

from anabranch.cli import options
from anabranch.cli.console import errors, out
from anabranch.cli.pipelines import (
    drain,
    progress_bars,
    publish_files,
    temporary_pipeline,
    warn_of_dead_letters,
)
from anabranch.cli.results_tables import show_results
from anabranch.cli.specs import checked_catalog
from anabranch.errors import SettingsError
from anabranch.events.cloudevents import format_time
from anabranch.processors.assignments import SOURCE as ASSIGN_SOURCE
from anabranch.runtime import Message, Pipeline
from anabranch.runtime.kept import KeptRecords
from anabranch.runtime.process import settle
from anabranch.runtime.replaying import dead_letters, final_results
from anabranch.settings import Settings, load_settings
from anabranch.specs import Catalog

JOINED = ("exposures", "observations")
"""What the attribute stage joins: all that results are made of."""
RAW = ("contexts", "exposures", "telemetry")
"""What came in: units are assigned and events checked again."""


def replay(
    files: Annotated[
        list[Path] | None,
        typer.Argument(exists=True, dir_okay=False, help="Event files, JSON Lines"),
    ] = None,
    *,
    specs: options.Specs = None,
    bootstrap: options.Bootstrap = None,
    from_topics: Annotated[
        str | None,
        typer.Option(
            metavar="PREFIX", help="Rebuild results from the exposures and observations kept there"
        ),
    ] = None,
    raw: Annotated[
        bool,
        typer.Option("--raw", help="From contexts, telemetry and applications' exposures instead"),
    ] = False,
    prefix: Annotated[
        str | None,
        typer.Option(help="Prefix of the topics made for it; made up when not given"),
    ] = None,
    partitions: options.Partitions = None,
    workers: Annotated[
        int, typer.Option(min=0, help="Worker processes on Kafka; 0 if you start them yourself")
    ] = 1,
    keep: Annotated[bool, typer.Option("--keep", help="Leave the topics on Kafka behind")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Run event files through the whole pipeline and print the final results.

    Embedded when no broker is given; else through real topics, removed afterwards.
    With --json, one line a run of an experiment.

    With --from-topics PREFIX and no files, what a pipeline's topics still hold is counted anew, by
    the specs as they are now: after a metric's definition has changed, say. The topics are only
    read. Results are printed; with --prefix NEW they go into topics of that prefix too, which stay.
    """
    _check(files, from_topics, prefix=prefix, raw=raw)
    settings = load_settings(
        bootstrap=bootstrap,
        prefix=prefix or f"replay-{secrets.token_hex(4)}",
        partitions=partitions,
        specs=specs,
        # What is there is what it is: waiting for a better one would be waiting for ever.
        breaker_share=1,
        pause_on_breach=False,
    )
    catalog = checked_catalog(settings.specs)
    if from_topics is None:
        running = _from_files(files or [], settings, catalog, workers, keep=keep)
    else:
        source = load_settings(bootstrap=bootstrap, prefix=from_topics)
        if prefix is None:
            settings = settings.model_copy(update={"bootstrap": None})
        topics = RAW if raw else JOINED
        running = _from_topics(source, topics, settings, catalog, workers)
    results, dead = asyncio.run(running)
    if as_json:
        for line in results:
            out.file.write(line.decode() + "\n")
    else:
        show_results(results)
    warn_of_dead_letters(dead)


def _check(
    files: list[Path] | None, from_topics: str | None, *, prefix: str | None, raw: bool
) -> None:
    if (from_topics is None) == (not files):
        raise typer.BadParameter("give event files, or --from-topics PREFIX")
    if raw and from_topics is None:
        raise typer.BadParameter("--raw is for --from-topics: files are taken as they are")
    if prefix is not None and prefix == from_topics:
        raise SettingsError(
            f"results of {from_topics}.* cannot be rebuilt into the same topics: what is there "
            "would be counted twice; give another --prefix"
        )


Done = tuple[list[bytes], dict[str, int]]


async def _from_files(
    files: list[Path], settings: Settings, catalog: Catalog, workers: int, *, keep: bool
) -> Done:
    async with temporary_pipeline(settings, catalog, workers, keep=keep) as pipeline:
        settle()
        with progress_bars() as progress:
            await publish_files(pipeline, files, progress)
            await drain(pipeline, progress)
        return await final_results(pipeline), await dead_letters(pipeline)


async def _from_topics(
    source: Settings, topics: tuple[str, ...], settings: Settings, catalog: Catalog, workers: int
) -> Done:
    async with (
        KeptRecords(source, topics) as records,
        temporary_pipeline(settings, catalog, workers, keep=True) as pipeline,
    ):
        settle()
        with progress_bars() as progress:
            await _copy(records, pipeline, progress, raw=topics is RAW)
            await drain(pipeline, progress)
        return await final_results(pipeline), await dead_letters(pipeline)


async def _copy(records: KeptRecords, pipeline: Pipeline, progress: Progress, *, raw: bool) -> None:
    task = progress.add_task("reading topics", total=await records.count())
    first: dict[str, int] = {}
    async for messages in records.kept():
        for message in messages:
            first.setdefault(message.topic, message.timestamp or 0)
        await pipeline.publish(m for m in messages if not (raw and _was_assigned(m)))
        progress.advance(task, len(messages))
    for topic in sorted(await records.trimmed()):
        since = f"before {format_time(first[topic])} " if topic in first else ""
        errors.print(
            f"[yellow]warning:[/] {topic} {since}are kept no more: the results are of the rest",
            highlight=False,
        )


def _was_assigned(message: Message) -> bool:
    """Whether it is an exposure that contexts lead to, and will again."""
    return message.topic == "exposures" and ("ce_source", ASSIGN_SOURCE.encode()) in [
        (name, bytes(value)) for name, value in message.headers
    ]
