"""Quix Streams, exactly once, until SIGTERM; run by the Python of its own environment."""

from __future__ import annotations

import argparse
import json
from bisect import bisect_right
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import mmh3
from quixstreams import Application, message_context
from quixstreams.models import SerializationContext, Serializer

Headers = list[tuple[str, bytes]]


@lru_cache(maxsize=4096)
def _second(seconds: int) -> bytes:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19].encode() + b"."


class Assigner:
    """A context in, the assignment of one experiment out, byte for byte as anabranch writes it."""

    def __init__(self, work: dict[str, Any], topic: str) -> None:
        self._salt = work["salt"] + ":"
        self._sums = tuple(work["sums"])
        names = ("experiment", "version", "digest")
        self._heads = [
            {**{name: work[name] for name in names}, "variant": variant, "reason": work["reason"]}
            for variant in work["variants"]
        ]
        self._suffix = "|" + work["experiment"]
        self._topic = f"5 kafka {topic}/"
        self._run = f" {work['experiment']}@{work['version']}"
        self._fixed: Headers = [
            ("content-type", b"application/json"),
            ("ce_specversion", b"1.0"),
            ("ce_type", b"anabranch.assignment.v1"),
            ("ce_source", b"anabranch/assign"),
        ]

    def assignment(self, value: dict[str, Any]) -> dict[str, Any]:
        unit = "user:" + value["userId"]
        bucket = mmh3.mmh3_32_uintdigest((self._salt + unit).encode())
        variant = bisect_right(self._sums, (bucket * self._sums[-1]) >> 32)
        return {**self._heads[variant], "unit": unit}

    def headers(self, _value: object, _key: object, timestamp: int, _headers: object) -> Headers:
        at = message_context()
        named = f"{self._topic}{at.partition}/{at.offset}{self._run}"
        digest = mmh3.mmh3_x64_128_digest(named.encode()).hex()
        return [
            *self._fixed,
            ("ce_id", b"assignment-" + digest.encode()),
            ("ce_time", b"%b%03dZ" % (_second(timestamp // 1000), timestamp % 1000)),
        ]

    def key(self, value: dict[str, Any]) -> str:
        return f"{value['unit']}{self._suffix}"


class CountSerializer(Serializer):
    """Of a key and a count, the count: to_topic() makes the new key from the value alone."""

    def __call__(self, value: tuple[str, int], ctx: SerializationContext) -> bytes:
        del ctx
        return b"%d" % value[1]


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("job", "bootstrap", "source", "sink", "group", "state", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--commit-ms", type=int, required=True)
    given, _ = parser.parse_known_args()
    work = json.loads(Path(given.work).read_text())
    app = Application(
        broker_address=given.bootstrap,
        consumer_group=given.group,
        auto_offset_reset="earliest",
        processing_guarantee="exactly-once",
        commit_interval=given.commit_ms / 1000,
        state_dir=given.state,
        loglevel="WARNING",
    )
    if given.job == "assign":
        assigner = Assigner(work, given.source)
        source = app.topic(given.source, value_deserializer="json")
        sink = app.topic(given.sink, key_serializer="string", value_serializer="json")
        contexts = app.dataframe(source)
        contexts.apply(assigner.assignment).set_headers(assigner.headers).to_topic(
            sink, key=assigner.key
        )
    else:
        source = app.topic(given.source, key_deserializer="string", value_deserializer="bytes")
        sink = app.topic(given.sink, key_serializer="string", value_serializer=CountSerializer())
        windows = (
            app.dataframe(source)
            .tumbling_window(work["windowMs"], grace_ms=work["graceMs"])
            .count()
            .current()
        )
        windows.apply(
            lambda value, key, *_: (f"{key}@{value['start']}", value["value"]), metadata=True
        ).to_topic(sink, key=lambda named: named[0])
    app.run()


if __name__ == "__main__":
    main()
