"""``anabranch replay``: event files through the whole pipeline, final results at the end."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from anabranch.cli import options
from anabranch.cli.console import errors, out
from anabranch.cli.results import show_results
from anabranch.cli.specs import checked_catalog
from anabranch.cli.workers import WorkerProcesses
from anabranch.events.files import parse_line
from anabranch.processors.protocol import Record
from anabranch.runtime import (
    EmbeddedPipeline,
    KafkaPipeline,
    Message,
    Pipeline,
    build_stages,
    latest_values,
)
from anabranch.runtime.process import settle
from anabranch.settings import Settings, load_settings
from anabranch.specs import Catalog


def replay(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="Event files, JSON Lines")
    ],
    *,
    specs: options.Specs = None,
    bootstrap: options.Bootstrap = None,
    prefix: Annotated[
        str | None, typer.Option(help="Prefix of the topics made for it; made up when not given")
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
    """
    settings = load_settings(
        bootstrap=bootstrap,
        prefix=prefix or f"replay-{secrets.token_hex(4)}",
        partitions=partitions,
        specs=specs,
        # A file is what it is: waiting for a better one would be waiting for ever.
        breaker_share=1,
    )
    catalog = checked_catalog(settings.specs)
    results, dead = asyncio.run(_replay(files, settings, catalog, workers, keep=keep))
    if as_json:
        for line in results:
            out.file.write(line.decode() + "\n")
    else:
        show_results(results)
    _warn_of_dead_letters(dead)


async def _replay(
    files: list[Path], settings: Settings, catalog: Catalog, workers: int, *, keep: bool
) -> tuple[list[bytes], dict[str, int]]:
    async with _pipeline(settings, catalog, workers, keep=keep) as pipeline:
        settle()
        with _progress() as progress:
            await _publish(pipeline, files, progress)
            await _drain(pipeline, progress)
        results = list(latest_values(await pipeline.records("results")).values())
        dead: dict[str, int] = {}
        for topic in ("contexts.dlq", "claims.dlq", "telemetry.dlq", "exposures.dlq", "deltas.dlq"):
            for record in await pipeline.records(topic):
                reason = f"{topic.removesuffix('.dlq')}: {_reason(record)}"
                dead[reason] = dead.get(reason, 0) + 1
    return results, dead


@asynccontextmanager
async def _pipeline(
    settings: Settings, catalog: Catalog, workers: int, *, keep: bool
) -> AsyncIterator[Pipeline]:
    if settings.bootstrap is None:
        async with EmbeddedPipeline(build_stages(catalog, settings), settings) as embedded:
            yield embedded
        return
    async with KafkaPipeline(settings) as kafka:
        await kafka.create_topics(keep_all=True)
        errors.print(f"topics: {settings.prefix}.* on {settings.bootstrap}", highlight=False)
        try:
            async with WorkerProcesses(settings, workers):
                yield kafka
        finally:
            if not keep:
                await kafka.destroy()


async def _publish(pipeline: Pipeline, files: list[Path], progress: Progress) -> None:
    size = sum(path.stat().st_size for path in files)
    task = progress.add_task("reading events", total=size, unit="bytes")
    await pipeline.publish(_messages(files, lambda n: progress.update(task, completed=n)))
    progress.update(task, completed=size)


def _messages(files: list[Path], read: Callable[[int], None]) -> Iterator[Message]:
    done = 0
    for path in files:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                done += len(line)
                if number % 1000 == 0:
                    read(done)
                if not line.strip():
                    continue
                event = parse_line(line, f"{path}:{number}")
                yield Message(event.topic, event.key, event.value, event.headers, event.time)


async def _drain(pipeline: Pipeline, progress: Progress) -> None:
    task = progress.add_task("working through the stages", total=None)
    most = 0

    def left(records: int) -> None:
        nonlocal most
        most = max(most, records)
        progress.update(task, total=most or 1, completed=(most - records) if most else 1)

    await pipeline.drain(left)


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def _reason(record: Record) -> str:
    return dict(record.headers).get("__streams.errors.exception", b"unknown").decode()


def _warn_of_dead_letters(dead: dict[str, int]) -> None:
    for reason, count in sorted(dead.items()):
        errors.print(
            f"[yellow]warning:[/] {count} in the dead letters of {reason}", highlight=False
        )
