"""Where results come from: topics, event files, data frames of events."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar

from anabranch.analysis.events import frame_messages
from anabranch.analysis.frames import Frame
from anabranch.analysis.report import Analysis
from anabranch.assignment import compile_spec
from anabranch.events.models import Results
from anabranch.runtime import EmbeddedPipeline, Message, build_stages
from anabranch.runtime.kept import KeptRecords
from anabranch.runtime.replaying import dead_letters, decode_results, file_messages, final_results
from anabranch.settings import Settings, load_settings
from anabranch.specs import Catalog, load_specs

__all__ = [
    "SpecsSource",
    "at_least_one",
    "catalog_of",
    "embedded",
    "of_messages",
    "read_events",
    "read_frame",
    "read_topic",
    "rebuild",
    "run",
]

SpecsSource = str | PathLike[str] | Catalog
"""A file or folder with specs, or a catalog of them."""

T = TypeVar("T")

_JOINED: Final = ("exposures", "observations")


def read_topic(*, bootstrap: str | None = None, prefix: str | None = None) -> Analysis:
    """Results as the ``results`` topic has them; the broker has compacted what is older.

    Logins and certificates come from ``ANABRANCH_…`` variables, as for every command.

    Args:
        bootstrap: ``host:port``; ANABRANCH_BOOTSTRAP when not given.
        prefix: First part of the topics' names; ANABRANCH_PREFIX when not given.

    Raises:
        KafkaUnavailableError: No broker answers.
        TopologyError: There is no such topic.
    """
    return run(_read_topic(load_settings(bootstrap=bootstrap, prefix=prefix)))


def rebuild(
    *,
    specs: SpecsSource,
    bootstrap: str | None = None,
    prefix: str | None = None,
    looks: int = 1,
) -> Analysis:
    """Results counted anew, by these specs, from the exposures and observations that are kept.

    The topics are only read. Of what they no longer hold nothing is known: observations are kept
    for 7 days unless set otherwise.

    Args:
        specs: What counts now.
        bootstrap: As of :func:`read_topic`.
        prefix: As of :func:`read_topic`.
        looks: How many times results are taken, evenly over the records.

    Raises:
        KafkaUnavailableError: No broker answers.
        TopologyError: There are no such topics.
        SpecError: A spec is wrong.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix)
    return run(_rebuild(settings, catalog_of(specs), at_least_one(looks)))


def read_events(
    files: str | PathLike[str] | Sequence[str | PathLike[str]],
    *,
    specs: SpecsSource,
    looks: int = 1,
) -> Analysis:
    """Results of event files, by the whole pipeline in this process.

    Args:
        files: JSON Lines of CloudEvents, as ``anabranch replay`` takes them.
        specs: What they are of.
        looks: How many times results are taken. With more than one the events are put in the
            order of their times first, so that each look is what was known by its time.

    Raises:
        MalformedEventError: A line is no event; the message names file and line.
        SpecError: A spec is wrong.
    """
    several = [files] if isinstance(files, str | PathLike) else files
    messages = file_messages(map(Path, several))
    return run(of_messages(messages, catalog_of(specs), at_least_one(looks)))


def read_frame(frame: Frame, *, specs: SpecsSource, looks: int = 1) -> Analysis:
    """Results of a data frame that has a row for each event; see :mod:`~anabranch.analysis.events`.

    Args:
        frame: Of pandas or polars, or a mapping of column names to values.
        specs: What the events are of.
        looks: As of :func:`read_events`.

    Raises:
        EventSchemaError: A row is no event; the message names it.
        SpecError: A spec is wrong.
    """
    return run(of_messages(frame_messages(frame), catalog_of(specs), at_least_one(looks)))


# -- running ----------------------------------------------------------------------------------


def run(work: Coroutine[Any, Any, T]) -> T:
    """Also where a loop is running already, as in a notebook: on a thread of its own there."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(asyncio.run, work).result()


def catalog_of(specs: SpecsSource) -> Catalog:
    """Checked, and as assignment needs them.

    Raises:
        SpecError: A spec is wrong.
    """
    if isinstance(specs, Catalog):
        return specs.check()
    return load_specs(Path(specs), check=compile_spec).check()


def at_least_one(looks: int) -> int:
    """So many looks.

    Raises:
        ValueError: There are none.
    """
    if looks < 1:
        raise ValueError(f"results cannot be taken {looks} times: give 1 or more looks")
    return looks


def embedded(catalog: Catalog) -> EmbeddedPipeline:
    """Whatever the environment says of brokers and folders: it is all in this process."""
    settings = load_settings(
        prefix="analysis", partitions=1, breaker_share=1, results_linger=0
    ).model_copy(update={"bootstrap": None, "state_dir": None})
    return EmbeddedPipeline(build_stages(catalog, settings), settings)


async def of_messages(messages: Iterable[Message], catalog: Catalog, looks: int) -> Analysis:
    """What comes of records of the input topics."""
    if looks == 1:
        return await _history(catalog, _one(messages), lambda _: False)
    ordered = sorted(messages, key=_time)
    step = max(1, -(-len(ordered) // looks))
    batches = (ordered[at : at + step] for at in range(0, len(ordered), step))
    return await _history(catalog, _each(batches), lambda _: True)


def _time(message: Message) -> int:
    return 1 << 62 if message.timestamp is None else message.timestamp


async def _one(messages: Iterable[Message]) -> AsyncIterator[Iterable[Message]]:
    yield messages


async def _each(batches: Iterable[list[Message]]) -> AsyncIterator[Iterable[Message]]:
    for batch in batches:
        yield batch


async def _history(
    catalog: Catalog,
    batches: AsyncIterator[Iterable[Message]],
    look: Callable[[Iterable[Message]], bool],
) -> Analysis:
    """Results after the batches after which there is to be a look, and at the end."""
    history: list[Results] = []
    seen: set[bytes] = set()

    async def take(pipeline: EmbeddedPipeline) -> None:
        await pipeline.drain()
        for value in await final_results(pipeline):
            if value not in seen:
                seen.add(value)
                history.append(decode_results(value))

    async with embedded(catalog) as pipeline:
        async for batch in batches:
            await pipeline.publish(batch)
            if look(batch):
                await take(pipeline)
        await take(pipeline)
        return Analysis(history, await dead_letters(pipeline))


async def _rebuild(settings: Settings, catalog: Catalog, looks: int) -> Analysis:
    async with KeptRecords(settings, _JOINED) as records:
        step = max(1, -(-await records.count() // looks))
        since = 0

        def enough(batch: Iterable[Message]) -> bool:
            nonlocal since
            since += len(list(batch))
            if looks == 1 or since < step:
                return False
            since = 0
            return True

        return await _history(catalog, _sliced(records, step), enough)


async def _sliced(records: KeptRecords, step: int) -> AsyncIterator[list[Message]]:
    """No batch larger than the step between two looks."""
    async for messages in records.kept():
        for at in range(0, len(messages), step):
            yield messages[at : at + step]


async def _read_topic(settings: Settings) -> Analysis:
    async with KeptRecords(settings, ["results"]) as records:
        kept: list[tuple[bytes, bytes]] = []
        async for messages in records.kept():
            for message in messages:
                if message.value is None:  # taken out: as if it had never been
                    kept = [(key, value) for key, value in kept if key != message.key]
                elif message.key is not None:
                    kept.append((message.key, message.value))
    return Analysis(decode_results(value) for _, value in kept)
