"""Who takes part, with the settings that matter; all exactly once but the raw pass-through."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.peers import builds


@dataclass(frozen=True)
class Peer:
    """One row of a table.

    Attributes:
        name: In tables.
        slug: In names of topics and groups.
        command: Makes the command, building what is not built yet; arguments are appended.
        commits: Whether its group's offsets tell what it has done.
        store: Where state is kept, of those that leave a choice.
        commit_ms: Commit interval, of those that have one.
        batch: Most records of a transaction, of those that commit by batches.
    """

    name: str
    slug: str
    command: Callable[[], list[str]]
    commits: bool = True
    store: str = "memory"
    commit_ms: int = 100
    batch: int = 8_000


def _python(module: str) -> Callable[[], list[str]]:
    return lambda: [sys.executable, "-m", module]


_OURS: Final = _python("benchmarks.peers.worker")

RAW: Final = "raw aiokafka, passed through"
ASSIGN: Final = "anabranch"
STREAMS: Final = "Kafka Streams"
QUIX: Final = "Quix Streams"
COUNT: Final = "anabranch, memory"
STREAMS_ROCKSDB: Final = "Kafka Streams, RocksDB"
STREAMS_MEMORY: Final = "Kafka Streams, memory"

ASSIGNERS: Final = (
    Peer(RAW, "raw", _python("benchmarks.assign.passthrough"), commits=False),
    Peer(ASSIGN, "ours", _OURS),
    Peer(f"{ASSIGN}, batches of 2,000", "ours-small", _OURS, batch=2_000),
    Peer(STREAMS, "streams", builds.kafka_streams),
    Peer(f"{STREAMS}, 1 s", "streams-slow", builds.kafka_streams, commit_ms=1_000),
    Peer(QUIX, "quix", builds.quix),
    Peer("Quix Streams, 1 s", "quix-slow", builds.quix, commit_ms=1_000),
)

COUNTERS: Final = (
    Peer(COUNT, "ours", _OURS),
    Peer(f"{COUNT}, batches of 2,000", "ours-small", _OURS, batch=2_000),
    Peer("anabranch, disk", "ours-disk", _OURS, store="disk"),
    Peer(STREAMS_ROCKSDB, "rocksdb", builds.kafka_streams, store="rocksdb"),
    Peer(
        f"{STREAMS_ROCKSDB}, 1 s",
        "rocksdb-slow",
        builds.kafka_streams,
        store="rocksdb",
        commit_ms=1_000,
    ),
    Peer(STREAMS_MEMORY, "memory", builds.kafka_streams),
    Peer(QUIX, "quix", builds.quix),
    Peer("Quix Streams, 1 s", "quix-slow", builds.quix, commit_ms=1_000),
)
