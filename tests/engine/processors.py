"""Small processors that show what the engine promises."""

from __future__ import annotations

from collections.abc import Callable

from anabranch.engine import Stage
from anabranch.errors import MalformedEventError
from anabranch.processors.protocol import Batch


class Count:
    """Counts records by key and puts every new count out; ``forget`` deletes a key's state."""

    def process(self, batch: Batch, state, cache, out) -> None:
        for records in batch.sources.values():
            for record in records:
                if record.value == b"invalid":
                    out.dead_letter(record, MalformedEventError("value: it says so itself"))
                    continue
                if record.value == b"forget":
                    state.delete(record.key)
                    continue
                entry = state.get(record.key) or {"n": 0}
                entry["n"] += 1
                state.put(record.key, entry)
                out.send("out", record.key, b"%d" % entry["n"], record.headers, record.timestamp)
                out.count("counted")


class Faulty(Count):
    """Raises as told, after it has changed state and outputs."""

    def __init__(self, fault: Callable[[Batch], None]) -> None:
        self._fault = fault

    def process(self, batch: Batch, state, cache, out) -> None:
        super().process(batch, state, cache, out)
        self._fault(batch)


class FirstSeen:
    """Puts out the first record of each key, remembering in the cache alone."""

    def __init__(self, fault: Callable[[Batch], None]) -> None:
        self._fault = fault

    def process(self, batch: Batch, state, cache, out) -> None:
        for record in batch.sources["in"]:
            if cache.get(record.key) is None:
                cache.put(record.key, True)
                out.send("out", record.key, record.value)
        self._fault(batch)


class Join:
    """Puts out ``left value + right value`` as soon as a key has both."""

    def process(self, batch: Batch, state, cache, out) -> None:
        for side in ("left", "right"):
            for record in batch.sources[side]:
                entry = state.get(record.key) or {}
                entry[side] = record.value.decode()
                state.put(record.key, entry)
                if len(entry) == 2:
                    out.send("out", record.key, (entry["left"] + entry["right"]).encode())


def counting(make=Count, *, max_records: int = 100, name: str = "count", **more) -> Stage:
    return Stage(
        name=name,
        sources=("in",),
        outputs=("out",),
        make_processor=make,
        changelog=f"{name}-changelog",
        max_records=max_records,
        **more,
    )


def topics(partitions: int = 2, name: str = "count") -> dict[str, int]:
    return dict.fromkeys(("in", "out", "in.dlq", f"{name}-changelog"), partitions)
