"""A pipeline for the time of a command, its progress, and what it could not process."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from anabranch.cli.console import errors
from anabranch.cli.workers import WorkerProcesses
from anabranch.runtime import EmbeddedPipeline, KafkaPipeline, Pipeline, build_stages
from anabranch.runtime.replaying import file_messages
from anabranch.settings import Settings
from anabranch.specs import Catalog

__all__ = [
    "drain",
    "progress_bars",
    "publish_files",
    "temporary_pipeline",
    "warn_of_dead_letters",
]


@asynccontextmanager
async def temporary_pipeline(
    settings: Settings, catalog: Catalog, workers: int = 1, *, keep: bool = False
) -> AsyncIterator[Pipeline]:
    """Embedded where the settings name no broker; else topics of the prefix, with workers.

    Args:
        settings: The topics' prefix should be nobody else's.
        catalog: The specs that embedded stages are of; workers take them from the settings.
        workers: Worker processes on Kafka; 0 if somebody else starts them.
        keep: Leave the topics behind.
    """
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


async def publish_files(pipeline: Pipeline, files: Iterable[Path], progress: Progress) -> None:
    """Put event files through."""
    paths = list(files)
    size = sum(path.stat().st_size for path in paths)
    task = progress.add_task("reading events", total=size, unit="bytes")
    await pipeline.publish(file_messages(paths, lambda n: progress.update(task, completed=n)))
    progress.update(task, completed=size)


async def drain(pipeline: Pipeline, progress: Progress) -> None:
    """Until every stage has processed all there is."""
    task = progress.add_task("working through the stages", total=None)
    most = 0

    def left(records: int) -> None:
        nonlocal most
        most = max(most, records)
        progress.update(task, total=most or 1, completed=(most - records) if most else 1)

    await pipeline.drain(left)


def progress_bars() -> Progress:
    """On standard error, and only where somebody looks at it."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=errors,
        transient=True,
        disable=not errors.is_terminal,
    )


def warn_of_dead_letters(dead: Mapping[str, int]) -> None:
    """Say what could not be processed, by reason."""
    for reason, count in dead.items():
        errors.print(
            f"[yellow]warning:[/] {count} in the dead letters of {reason}", highlight=False
        )
