"""What every contestant is given and what must come out of it, worked out on its own."""

from __future__ import annotations

import json
import random
from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import Any, Final

import mmh3

from anabranch.processors.protocol import Record
from anabranch.runtime import Message
from benchmarks.assign.work import EXPERIMENT

WINDOW_MS: Final = 60_000
GRACE_MS: Final = 120_000

_BEGIN: Final = 1_760_000_040_000
_MINUTES: Final = 20
_EXPERIMENTS: Final = 10
_UNITS: Final = 500

Output = tuple[bytes, tuple[tuple[str, bytes], ...]]
"""Value and headers, the headers sorted."""


def description() -> dict[str, Any]:
    """The work as contestants in other languages read it, from a file."""
    weights = [variant.weight for variant in EXPERIMENT.variants]
    heads = []
    for variant in EXPERIMENT.variants:
        head = {
            "experiment": EXPERIMENT.key,
            "version": EXPERIMENT.version,
            "digest": EXPERIMENT.digest,
            "variant": variant.id,
            "reason": "random",
        }
        heads.append(json.dumps(head, separators=(",", ":"))[:-1] + ',"unit":"')
    return {
        "experiment": EXPERIMENT.key,
        "version": EXPERIMENT.version,
        "digest": EXPERIMENT.digest,
        "salt": EXPERIMENT.key,
        "reason": "random",
        "variants": [variant.id for variant in EXPERIMENT.variants],
        "sums": [int(total) for total in accumulate(weights)],
        "heads": heads,
        "windowMs": WINDOW_MS,
        "graceMs": GRACE_MS,
    }


def observations(count: int) -> Iterator[Message]:
    """Of 10 experiments' units, keyed ``experiment/unit``, in the order of their times.

    Twenty minutes of event time, whatever the count.
    """
    dice = random.Random(11)
    for i in range(count):
        key = f"bench.e{dice.randrange(_EXPERIMENTS)}/user:{dice.randrange(_UNITS)}"
        value = f'{{"metric":"orders","value":{i % 7}}}'
        at = _BEGIN + i * _MINUTES * 60_000 // count
        yield Message("observations", key.encode(), value.encode(), (), at)


def expected_assignments(contexts: Iterable[Record]) -> dict[bytes, Output]:
    """Key to value and headers of the one record that each context must give."""
    work = description()
    fixed = [
        ("content-type", b"application/json"),
        ("ce_specversion", b"1.0"),
        ("ce_type", b"anabranch.assignment.v1"),
        ("ce_source", b"anabranch/assign"),
    ]
    run = f"{work['experiment']}@{work['version']}"
    found: dict[bytes, Output] = {}
    for record in contexts:
        unit = "user:" + json.loads(record.value or b"")["userId"]
        bucket = mmh3.hash(f"{work['salt']}:{unit}", signed=False)
        variant = bisect_right(work["sums"], (bucket * work["sums"][-1]) >> 32)
        named = f"5 kafka {record.topic}/{record.partition}/{record.offset} {run}"
        digest = mmh3.mmh3_x64_128_digest(named.encode()).hex()
        moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=record.timestamp)
        headers = [
            *fixed,
            ("ce_id", f"assignment-{digest}".encode()),
            ("ce_time", f"{moment:%Y-%m-%dT%H:%M:%S}.{record.timestamp % 1000:03d}Z".encode()),
        ]
        value = f'{work["heads"][variant]}{unit}"}}'
        found[f"{unit}|{work['experiment']}".encode()] = value.encode(), tuple(sorted(headers))
    return found


def expected_counts(records: Iterable[Record]) -> Mapping[bytes, bytes]:
    """``experiment/unit@window's start`` to the last count that must be read of it."""
    counts = Counter(
        b"%b@%d" % (record.key, record.timestamp // WINDOW_MS * WINDOW_MS)
        for record in records
        if record.key is not None
    )
    return {name: b"%d" % count for name, count in counts.items()}


def wrong_assignments(expected: Mapping[bytes, Output], records: Iterable[Record]) -> str | None:
    """What is wrong with what was read committed; None where nothing is."""
    seen: set[bytes] = set()
    for record in records:
        key = record.key
        if key is None or key not in expected:
            return f"{key!r} names no unit that a context was given of"
        if key in seen:
            return f"{key!r} was assigned twice"
        seen.add(key)
        found = record.value, tuple(sorted((name, bytes(v)) for name, v in record.headers))
        if found != expected[key]:
            return f"{key!r}: {found} instead of {expected[key]}"
    missing = len(expected) - len(seen)
    return f"{missing:,} of {len(expected):,} contexts were not assigned" if missing else None


def wrong_counts(expected: Mapping[bytes, bytes], records: Iterable[Record]) -> str | None:
    """What is wrong with the last count of each window; None where nothing is."""
    last = {record.key: record.value for record in records}
    if last == expected:
        return None
    for key, count in expected.items():
        if last.get(key) != count:
            return f"{key!r} was counted {last.get(key)!r} instead of {count!r}"
    return f"{len(last) - len(expected):,} windows too many"
