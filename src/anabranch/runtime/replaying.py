"""Events that are there already, through a pipeline: from files, and what came of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Final

import msgspec

from anabranch.events.files import parse_line
from anabranch.events.models import Results
from anabranch.processors.protocol import Record
from anabranch.runtime.pipeline import Message, Pipeline, latest_values
from anabranch.topology import STAGES

__all__ = ["dead_letters", "decode_results", "file_messages", "final_results"]

_TELL_EVERY: Final = 1000
_DEAD: Final = tuple(f"{source}.dlq" for stage in STAGES for source in stage.sources)
_decode = msgspec.json.Decoder(Results).decode


def file_messages(
    files: Iterable[Path], read: Callable[[int], None] = lambda _: None
) -> Iterator[Message]:
    """The events of event files as records of their topics, in the files' order.

    Args:
        files: JSON Lines of CloudEvents in structured mode.
        read: Told now and then how many bytes were read.

    Raises:
        MalformedEventError: A line is no event; the message names file and line.
    """
    done = 0
    for path in files:
        with path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                done += len(line)
                if number % _TELL_EVERY == 0:
                    read(done)
                if line.strip():
                    event = parse_line(line, f"{path}:{number}")
                    yield Message(event.topic, event.key, event.value, event.headers, event.time)


async def final_results(pipeline: Pipeline) -> list[bytes]:
    """What the ``results`` topic says now: one value a run, by experiment and version."""
    return list(latest_values(await pipeline.records("results")).values())


async def dead_letters(pipeline: Pipeline) -> dict[str, int]:
    """How many records could not be processed, by reason: ``exposures: LateEventError``."""
    dead: dict[str, int] = {}
    for topic in _DEAD:
        for record in await pipeline.records(topic):
            reason = f"{topic.removesuffix('.dlq')}: {_reason(record)}"
            dead[reason] = dead.get(reason, 0) + 1
    return dict(sorted(dead.items()))


def decode_results(value: bytes) -> Results:
    """A value of the ``results`` topic."""
    return _decode(value)


def _reason(record: Record) -> str:
    return dict(record.headers).get("__streams.errors.exception", b"unknown").decode()
