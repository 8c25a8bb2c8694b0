"""Results by segment: units with the same attribute, such as their country, each on its own.

A unit is in one segment, whatever it does later: that of the attribute in its earliest context by
event time (its least id at equal times), so neither the order of arrival nor a variant decides it.
A user, a session and an organization in one context are three units with one attribute.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, Final

import msgspec

from anabranch.analysis.events import frame_messages, told_by_rows
from anabranch.analysis.frames import Frame
from anabranch.analysis.report import Analysis
from anabranch.analysis.sources import (
    SpecsSource,
    at_least_one,
    catalog_of,
    embedded,
    of_messages,
    run,
)
from anabranch.errors import MalformedEventError
from anabranch.events.cloudevents import parse_time
from anabranch.runtime import Message
from anabranch.runtime.replaying import dead_letters, file_messages
from anabranch.specs import Catalog

__all__ = ["OTHER", "UNKNOWN", "read_segments"]

OTHER: Final = "(other)"
"""All segments together that are too small to be told on their own."""

UNKNOWN: Final = "(unknown)"
"""Units of which no context has the attribute."""

Told = tuple[int, str, tuple[str, ...], Any]
"""Of one event: its time, its id, its units, and the attribute's value."""

_JOINED: Final = ("exposures", "observations")
_BEFORE: Final = ("contexts:", "telemetry:")
_encode = msgspec.json.Encoder(order="sorted").encode


class _Data(msgspec.Struct, rename="camel"):
    user_id: str | None = None
    session_id: str | None = None
    organization_id: str | None = None
    attributes: dict[str, Any] = {}

    def units(self) -> Iterator[str]:
        for kind, name in (
            ("user", self.user_id),
            ("session", self.session_id),
            ("organization", self.organization_id),
        ):
            if name:
                yield f"{kind}:{name}"


class _Context(msgspec.Struct):
    id: str
    time: str
    data: _Data


_decode = msgspec.json.Decoder(_Context).decode


def read_segments(
    events: str | PathLike[str] | Sequence[str | PathLike[str]] | Frame,
    *,
    specs: SpecsSource,
    attribute: str,
    most: int = 10,
    looks: int = 1,
) -> dict[str, Analysis]:
    """Results of each segment, largest first, by the whole pipeline in this process.

    Every segment's units are compared with control's of the same segment. Ten segments have ten
    times as many comparisons: what is found in one of them is a question to be asked anew.
    Contexts and telemetry that could not be processed are among the ``dead`` of every segment.

    Args:
        events: Event files, as of :func:`~anabranch.analysis.read_events`, or a data frame, as of
            :func:`~anabranch.analysis.read_frame`.
        specs: What the events are of.
        attribute: Its name in the contexts' ``attributes``; of a data frame a column of contexts'
            or exposures' rows.
        most: So many segments are told at most, those with the most units that were exposed; all
            that are smaller are one, :data:`OTHER`. Units without the attribute are
            :data:`UNKNOWN`, and count as none of them.
        looks: As of :func:`~anabranch.analysis.read_events`.

    Raises:
        ValueError: ``most`` is less than 1.
        MalformedEventError: A line is no event.
        EventSchemaError: A row is no event.
        SpecError: A spec is wrong.
    """
    if most < 1:
        raise ValueError(f"there cannot be {most} segments at most: give 1 or more")
    messages, told = _events(events, attribute)
    return run(_segments(messages, _values(told), catalog_of(specs), most, at_least_one(looks)))


def _events(events: Any, attribute: str) -> tuple[list[Message], list[Told]]:
    if isinstance(events, str | PathLike):
        events = [events]
    if isinstance(events, list | tuple):
        messages = list(file_messages(map(Path, events)))
        return messages, list(_told_by_contexts(messages, attribute))
    return list(frame_messages(events)), list(told_by_rows(events, attribute))


def _told_by_contexts(messages: Sequence[Message], attribute: str) -> Iterator[Told]:
    for message in messages:
        if message.topic != "contexts" or message.value is None:
            continue
        try:
            context = _decode(message.value)
            time = parse_time(context.time)
        except (msgspec.MsgspecError, UnicodeDecodeError, MalformedEventError):
            continue  # the assign stage says what is wrong with it
        value = context.data.attributes.get(attribute)
        if value is not None:
            yield time, context.id, tuple(context.data.units()), value


def _values(told: Sequence[Told]) -> dict[str, str]:
    """By unit, what its earliest event says."""
    found: dict[str, str] = {}
    for _, _, units, value in sorted(told, key=lambda one: (one[0], one[1])):
        name = value if isinstance(value, str) else _encode(value).decode()
        for unit in units:
            found.setdefault(unit, name)
    return found


async def _segments(
    messages: Sequence[Message],
    values: Mapping[str, str],
    catalog: Catalog,
    most: int,
    looks: int,
) -> dict[str, Analysis]:
    joined, dead = await _joined(messages, catalog)
    exposed = {
        message.key.decode() for message in joined if message.topic == "exposures" and message.key
    }
    sizes: defaultdict[str, int] = defaultdict(int)
    for unit in exposed:
        sizes[values.get(unit, UNKNOWN)] += 1
    known = sorted(sizes.keys() - {UNKNOWN}, key=lambda name: (-sizes[name], name))
    named = set(known[:most])
    parts: dict[str, list[Message]] = {name: [] for name in known[:most]}
    for message in joined:
        unit = message.key.decode() if message.key else ""
        if unit not in exposed:
            continue
        value = values.get(unit, UNKNOWN)
        name = value if value in named or value == UNKNOWN else OTHER
        parts.setdefault(name, []).append(message)
    order = [*known[:most], *(name for name in (OTHER, UNKNOWN) if name in parts)]
    found = {name: await of_messages(parts[name], catalog, looks) for name in order}
    return {name: Analysis(one.history, dead | one.dead) for name, one in found.items()}


async def _joined(
    messages: Sequence[Message], catalog: Catalog
) -> tuple[list[Message], dict[str, int]]:
    """The exposures and observations that come of the events, each of one unit.

    Also the dead letters of contexts and telemetry, by reason.
    """
    async with embedded(catalog) as pipeline:
        await pipeline.publish(messages)
        await pipeline.drain()
        joined = [
            Message(topic, record.key, record.value, record.headers, record.timestamp)
            for topic in _JOINED
            for record in await pipeline.records(topic)
        ]
        dead = await dead_letters(pipeline)
    return joined, {reason: count for reason, count in dead.items() if reason.startswith(_BEFORE)}
