"""Writes docs/reference-topics.md from topology and records: ``python -m tools.topicdocs``."""

from __future__ import annotations

import inspect
import re
import types
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, Union, get_args, get_origin

import msgspec

from anabranch.asyncapi import INTERNAL, PAYLOADS
from anabranch.topology import FOREVER, STAGES, TOPICS, Names, Topic

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference-topics.md"

_INTRO = """\
# Topics

Every topic and every field of its records, written by `python -m tools.topicdocs` from the code;
with another `ANABRANCH_PREFIX` names begin with that. [asyncapi.json](asyncapi.json) has the same
for machines, with JSON Schemas. Values are JSON in UTF-8, names in camelCase; unknown fields are
ignored. Contexts, telemetry and exposures are CloudEvents: whole ones with the header
`content-type: application/cloudevents+json`, or their data alone, with `ce_…` headers or none. Read
outputs with `isolation.level=read_committed`; a record without a value takes back what its key
said.

"""

_ALSO_WRITTEN: Final[Mapping[str, str]] = {
    "contexts": "applications",
    "telemetry": "applications",
    "exposures": "applications, evaluation API",
    "specs": "publishers, a pause by a guardrail",
    "audit": "publishers, a pause by a guardrail",
    "specs.dlq": "workers",
    "alerts": "workers that refuse a spec",
}
_ALSO_READ: Final[Mapping[str, str]] = {
    "specs": "workers, evaluation API, dashboard, publishers",
    "audit": "publishers, dashboard",
    "alerts": "workers that pause, dashboards, your consumers",
    "exposures": "dashboards",
    "assignments": "dashboards, your consumers",
}
_WORDS: Final[Mapping[Any, str]] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    Any: "anything",
    dict: "object",
}


def page() -> str:
    """The whole page."""
    names = Names()
    rows = [
        f"| {_named(topic, names)} | {_cell(topic.key)} | {_cell(topic.value)} | {_kept(topic)} | "
        f"{_writers(topic)} | {_readers(topic)} |"
        for topic in TOPICS
    ]
    head = ["| topic | key | holds | kept | written by | read by |", "|" + " --- |" * 6]
    return _INTRO + "\n".join(
        [
            *head,
            *rows,
            "",
            "What is in *italics* passes between stages and may change with any release.",
            "Dead letters are the record as it came, with `__streams.errors.exception`,",
            "`….message`, `….topic`, `….partition` and `….offset` among its headers (KIP-1034).",
            "",
            *_records(),
        ]
    )


def _named(topic: Topic, names: Names) -> str:
    shown = f"`{names.topic(topic.name)}`"
    return f"*{shown}*" if topic.name in INTERNAL else shown


def _kept(topic: Topic) -> str:
    days = topic.retention_days
    told = []
    if topic.compacted:
        least = topic.uncompacted_days
        told.append("the latest of each key" + (f", others {least} days at least" if least else ""))
    if days is not None:
        told.append("for ever" if days == FOREVER else f"{days} days")
    return ", ".join(told)


def _writers(topic: Topic) -> str:
    found = [shape.name for shape in STAGES if topic.name in (*shape.outputs, shape.changelog)]
    found += [s.name for s in STAGES if topic.name in {f"{source}.dlq" for source in s.sources}]
    return ", ".join(filter(None, [*found, _ALSO_WRITTEN.get(topic.name)]))


def _readers(topic: Topic) -> str:
    found = [shape.name for shape in STAGES if topic.name in (*shape.sources, shape.changelog)]
    dead = "`anabranch dlq`, dashboard" if topic.name.endswith(".dlq") else None
    own = _ALSO_READ.get(topic.name)
    return ", ".join(filter(None, [*found, own, dead])) or "dashboards, your consumers"


def _records() -> Iterator[str]:
    yield "## Records\n"
    yield "A spec is its document, as in [its file](specs.md); `anabranch.digest` is a header.\n"
    kinds: dict[Any, list[str]] = {}
    for topic, payload in PAYLOADS.items():
        for kind in get_args(payload) or (payload,):
            kinds.setdefault(kind, []).append(topic)
    parts = list(kinds)
    for kind in parts:
        parts += [part for part in _parts(kind) if part not in parts]
    for kind in parts:
        yield from _section(kind, kinds.get(kind, []))


def _parts(kind: Any) -> Iterator[Any]:
    for field in msgspec.structs.fields(kind):
        yield from _structs(field.type)


def _structs(kind: Any) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        yield kind
    for inner in get_args(kind):
        if not isinstance(inner, str):
            yield from _structs(inner)


def _section(kind: Any, topics: list[str]) -> Iterator[str]:
    summary, texts = _texts(kind)
    yield f"### {kind.__name__}\n"
    yield (f"Value of {', '.join(f'`{name}`' for name in topics)}. " if topics else "") + summary
    yield "\n| field | is | meaning |\n| --- | --- | --- |"
    for field in msgspec.structs.fields(kind):
        word, missing = _word(field.type)
        needed = field.required or missing
        note = "" if needed else " May be left out."
        note = " Not always there." if missing else note
        meaning = (texts.get(field.name, "") + note).strip()
        yield f"| `{field.encode_name}` | {word} | {_cell(meaning)} |"
    yield ""


def _word(kind: Any) -> tuple[str, bool]:
    """What it is in words, and whether it may be missing."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin is Literal:
        return ", ".join(f"`{one}`" for one in inner), False
    if origin in {Union, types.UnionType}:
        kinds = [one for one in inner if one not in {type(None), msgspec.UnsetType}]
        words = " or ".join(_word(one)[0] for one in kinds)
        null = " or null" if type(None) in inner else ""
        return words + null, msgspec.UnsetType in inner
    if origin in {list, tuple}:
        return f"list of {_word(inner[0])[0]}", False
    if origin is dict:
        of = "" if inner[1] is Any else f" of {_word(inner[1])[0]}"
        return f"object{of}", False
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return f"[{kind.__name__}](#{kind.__name__.lower()})", False
    return _WORDS.get(kind, "text"), False


def _texts(kind: Any) -> tuple[str, dict[str, str]]:
    """The docstring's summary, and field to its meaning."""
    text = inspect.cleandoc(kind.__doc__ or "").replace("``", "`")
    text = re.sub(r":\w+:`~?(?:[\w.]+\.)?(\w+)`", r"`\1`", text)
    summary, _, fields = text.partition("\n\nAttributes:\n")
    found = re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", fields, flags=re.MULTILINE)
    return " ".join(summary.split()), {name: " ".join(told.split()) for name, told in found}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
