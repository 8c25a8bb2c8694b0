"""``anabranch dlq``: look at the dead letters, and send them back once their cause is mended."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated

import typer

from anabranch.cli import options
from anabranch.cli.console import errors, out, table
from anabranch.engine.kafka import Topics
from anabranch.engine.kafka.redrive import DeadLetter, DeadLetters
from anabranch.errors import TopologyError
from anabranch.events.cloudevents import format_time
from anabranch.runtime.client import kafka_client
from anabranch.settings import Settings, load_settings
from anabranch.topology import STAGES, Names

app = typer.Typer(help="List, show and redrive dead letters.", no_args_is_help=True)

SOURCES = tuple(source for shape in STAGES for source in shape.sources)
SHOWN = (*SOURCES, "specs")
"""Refused specs are mended by publishing, not by sending them back."""

Shown = Annotated[str, typer.Argument(help=f"One of {', '.join(SHOWN)}")]
Source = Annotated[str, typer.Argument(help=f"One of {', '.join(SOURCES)}")]
Reason = Annotated[str | None, typer.Option(help="Only letters of this reason")]


@app.command("list")
def list_(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Count the dead letters that wait, by topic and reason."""
    settings = load_settings(bootstrap=bootstrap, prefix=prefix)
    counts = asyncio.run(_counts(settings))
    if as_json:
        rows = [{"topic": t, "reason": r, "count": n} for (t, r), n in sorted(counts.items())]
        out.print_json(json.dumps(rows))
        return
    if not counts:
        out.print("no dead letters are waiting")
        return
    listed = table("topic", "reason", figures=("letters",))
    for (topic, reason), count in sorted(counts.items()):
        listed.add_row(topic, reason, f"{count:,}")
    out.print(listed)


async def _counts(settings: Settings) -> Counter[tuple[str, str]]:
    counts: Counter[tuple[str, str]] = Counter()
    there = await _there(settings, SHOWN)
    if not there:
        raise TopologyError(
            f"no topic of dead letters begins with {settings.prefix}: is the prefix right? "
            "`anabranch topics create` makes the topics"
        )
    for source in SHOWN:
        if Names(settings.prefix).topic(f"{source}.dlq") in there:
            async for letter in _letters(settings, source).waiting():
                counts[source, letter.reason] += 1
    return counts


@app.command("show")
def show(
    source: Shown,
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest")] = 20,
    as_json: options.AsJson = False,
) -> None:
    """Show the latest dead letters of a topic with what was wrong with them."""
    settings = load_settings(bootstrap=bootstrap, prefix=prefix)
    letters = asyncio.run(_latest(settings, _checked(source, SHOWN), reason, limit))
    for letter in letters:
        row = _row(letter)
        if as_json:
            out.file.write(json.dumps(row) + "\n")
            continue
        out.print(
            f"[bold]{letter.reason}[/]  {letter.topic}\\[{letter.partition}]@{letter.offset}  "
            f"{row['time']}",
            highlight=False,
        )
        out.print(f"  {letter.message}", markup=False, highlight=False)
        out.print(f"  key {row['key']!r}", markup=False, highlight=False)
        out.print(f"  {str(row['value'])[:400]}", markup=False, highlight=False)


def _row(letter: DeadLetter) -> dict[str, object]:
    record = letter.record
    return {
        "reason": letter.reason,
        "message": letter.message,
        "topic": letter.topic,
        "partition": letter.partition,
        "offset": letter.offset,
        "time": format_time(record.timestamp),
        "key": _text(record.key),
        "value": _text(record.value),
        "headers": {name: _text(value) for name, value in letter.headers},
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode("utf-8", "backslashreplace")


async def _latest(
    settings: Settings, source: str, reason: str | None, limit: int
) -> list[DeadLetter]:
    await _topic_there(settings, source)
    found = [
        letter
        async for letter in _letters(settings, source).waiting()
        if reason in {None, letter.reason}
    ]
    return sorted(found, key=lambda letter: letter.record.timestamp)[-limit:]


@app.command("redrive")
def redrive(
    source: Source,
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    reason: Reason = None,
    limit: Annotated[int | None, typer.Option(min=1, help="At most so many")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say how many")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Send dead letters back to the topic they came from, exactly once.

    Those of other reasons stay. A record that fails again becomes a dead letter again.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix)
    sent, left = asyncio.run(_redrive(settings, _checked(source), reason, limit, dry_run=dry_run))
    if as_json:
        out.print_json(json.dumps({"sent": sent, "left": left, "dryRun": dry_run}))
        return
    said = "would be sent back" if dry_run else "sent back"
    out.print(f"{sent:,} {said}, {left:,} left", highlight=False)


async def _redrive(
    settings: Settings, source: str, reason: str | None, limit: int | None, *, dry_run: bool
) -> tuple[int, int]:
    await _topic_there(settings, source)
    letters = _letters(settings, source)
    if dry_run:
        matching = others = 0
        async for letter in letters.waiting():
            if reason in {None, letter.reason}:
                matching += 1
            else:
                others += 1
        sent = matching if limit is None else min(matching, limit)
        return sent, others + matching - sent
    with errors.status("sending back"):
        done = await letters.redrive(lambda one: reason in {None, one.reason}, limit)
    return done.sent, done.left


def _letters(settings: Settings, source: str) -> DeadLetters:
    names = Names(settings.prefix)
    return DeadLetters(
        kafka_client(settings), names.topic(f"{source}.dlq"), names.group(f"redrive-{source}")
    )


def _checked(source: str, topics: Sequence[str] = SOURCES) -> str:
    if source not in topics:
        raise TopologyError(f"there is no topic {source!r}: choose from {', '.join(topics)}")
    return source


async def _there(settings: Settings, sources: Iterable[str]) -> dict[str, int]:
    names = Names(settings.prefix)
    async with Topics(kafka_client(settings)) as topics:
        return await topics.partitions(names.topic(f"{source}.dlq") for source in sources)


async def _topic_there(settings: Settings, source: str) -> None:
    name = Names(settings.prefix).topic(f"{source}.dlq")
    if name not in await _there(settings, [source]):
        raise TopologyError(f"there is no topic {name}: is the prefix {settings.prefix} right?")
