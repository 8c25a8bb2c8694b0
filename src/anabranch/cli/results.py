"""``anabranch results``: what experiments have come to, from the results topic or event files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from pathlib import Path
from typing import Annotated, Literal

import typer
from rich.console import Group, RenderableType
from rich.live import Live

from anabranch.cli import options
from anabranch.cli.console import errors, out
from anabranch.cli.pipelines import (
    drain,
    progress_bars,
    publish_files,
    temporary_pipeline,
    warn_of_dead_letters,
)
from anabranch.cli.results_tables import rendered, show_results
from anabranch.cli.serving import until_told_to_stop
from anabranch.cli.specs import checked_catalog
from anabranch.errors import UnknownSpecError
from anabranch.runtime.kept import KeptRecords
from anabranch.runtime.pipeline import latest_values
from anabranch.runtime.replaying import dead_letters, decode_results
from anabranch.settings import Settings, load_settings
from anabranch.specs.explain import nearest

Topic = Literal["results", "segments"]

Values = Mapping[bytes, bytes]
"""Keys of the topic, which begin ``experiment|version``, to their latest values."""


def results(
    experiment: Annotated[
        str | None,
        typer.Argument(metavar="[EXPERIMENT]", help="KEY, or KEY@VERSION; all when not given"),
    ] = None,
    *,
    watch: Annotated[
        bool, typer.Option("--watch", help="Stay, and show results as they change")
    ] = False,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file", exists=True, dir_okay=False, help="Event file to take them from; repeatable"
        ),
    ] = None,
    segments: Annotated[
        bool, typer.Option("--segments", help="Those of the segments instead of the whole")
    ] = False,
    specs: options.Specs = None,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Show results: units, figures, lifts with their intervals, sample ratio.

    From the results topic, which is only read; or, with --file and --specs, from event files.
    The intervals hold however often one looks. With --json, one line a run; with --watch too, a
    line for each change. Ends with 1 where there are no results of the experiment.
    """
    if file and watch:
        raise typer.BadParameter("--watch is for topics: a file does not change")
    topic: Topic = "segments" if segments else "results"
    if file:
        given = load_settings(prefix="results", specs=specs)
        values, dead = asyncio.run(_of_files(file, given, topic))
        _show(_chosen(values, experiment), as_json=as_json)
        warn_of_dead_letters(dead)
        return
    settings = load_settings(bootstrap=bootstrap, prefix=prefix)
    if watch:
        asyncio.run(_watch(settings, topic, experiment, as_json=as_json))
        return
    kept = asyncio.run(_kept(settings, topic))
    if not kept:
        errors.print(
            "nothing was counted yet: `anabranch doctor` tells which stage does not run, and "
            "`anabranch dlq list` which events were refused",
            markup=False,
            highlight=False,
        )
    _show(_chosen(kept, experiment), as_json=as_json)


def _show(values: Values, *, as_json: bool) -> None:
    if not as_json:
        show_results(values.values())
        return
    for value in values.values():
        out.file.write(value.decode() + "\n")


# -- which ------------------------------------------------------------------------------------


def _matches(key: bytes, experiment: str | None) -> bool:
    """Whether a record of the topic is of what was asked for."""
    if experiment is None:
        return True
    name, version, *_ = key.decode().split("|")
    asked, _, only = experiment.partition("@")
    return name == asked and only in {"", version}


def _chosen(values: Values, experiment: str | None) -> Values:
    """The runs that were asked for.

    Raises:
        UnknownSpecError: There are no results of that experiment.
    """
    chosen = {key: value for key, value in values.items() if _matches(key, experiment)}
    if experiment is not None and not chosen:
        runs = sorted({"@".join(key.decode().split("|")[:2]) for key in values})
        known = f"there are {', '.join(runs)}" if runs else "there are none at all yet"
        keys = {run.partition("@")[0] for run in runs}
        near = nearest(experiment.partition("@")[0], keys) if keys else known
        hint = known if experiment.partition("@")[0] in keys else near
        raise UnknownSpecError(f"there are no results of {experiment!r}: {hint}")
    return chosen


# -- from where -------------------------------------------------------------------------------


async def _of_files(
    files: list[Path], settings: Settings, topic: Topic
) -> tuple[Values, dict[str, int]]:
    settings = settings.model_copy(update={"bootstrap": None, "breaker_share": 1.0})
    catalog = checked_catalog(settings.specs)
    async with temporary_pipeline(settings, catalog) as pipeline:
        with progress_bars() as progress:
            await publish_files(pipeline, files, progress)
            await drain(pipeline, progress)
        values = latest_values(await pipeline.records(topic))
        return dict(sorted(values.items())), await dead_letters(pipeline)


async def _kept(settings: Settings, topic: Topic) -> Values:
    async with KeptRecords(settings, [topic]) as records:
        return await _state(records)


async def _state(records: KeptRecords) -> dict[bytes, bytes]:
    values: dict[bytes, bytes] = {}
    async for messages in records.kept():
        for message in messages:
            _take(values, message.key, message.value)
    return dict(sorted(values.items()))


def _take(values: dict[bytes, bytes], key: bytes | None, value: bytes | None) -> bool:
    """Take a record in; whether that changes anything."""
    if key is None or values.get(key) == value:
        return False
    if value is None:
        del values[key]
    else:
        values[key] = value
    return True


# -- as it changes ----------------------------------------------------------------------------


async def _watch(
    settings: Settings, topic: Topic, experiment: str | None, *, as_json: bool
) -> None:
    """Until it is told to stop. Who waits for an experiment's first results may do so."""
    async with KeptRecords(settings, [topic]) as records:
        show = _lines if as_json else _screen
        watching = asyncio.create_task(show(_changes(records, experiment)))
        await until_told_to_stop(watching)


Change = tuple[Values, list[bytes]]
"""What there is now, and the values that are new."""


async def _changes(records: KeptRecords, experiment: str | None) -> AsyncIterator[Change]:
    values = {k: v for k, v in (await _state(records)).items() if _matches(k, experiment)}
    yield values, list(values.values())
    async for messages in records.follow():
        wanted = (m for m in messages if m.key is not None and _matches(m.key, experiment))
        changed = {m.key for m in wanted if _take(values, m.key, m.value)}
        if changed:
            ordered = dict(sorted(values.items()))
            yield ordered, [value for key, value in ordered.items() if key in changed]


async def _lines(changes: AsyncIterator[Change]) -> None:
    async for _, new in changes:
        for value in new:
            out.file.write(value.decode() + "\n")
        out.file.flush()


async def _screen(changes: AsyncIterator[Change]) -> None:
    """The whole as it is now; where nobody looks at a screen, each change below the last."""
    if not out.is_terminal:
        async for _, new in changes:
            show_results(new)
        return
    with Live(console=out, screen=True, auto_refresh=False, vertical_overflow="crop") as live:
        async for values, _ in changes:
            live.update(Group(*_parts(values.values())), refresh=True)


def _parts(values: Iterable[bytes]) -> list[RenderableType]:
    parts = [part for value in values for part in rendered(decode_results(value), out.width)]
    return parts or ["no results yet"]
