"""Several sources read in the order of their records' timestamps, as far as all are there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from anabranch.processors.protocol import Record

__all__ = ["in_step"]

Records = Mapping[str, Sequence[Record]]


def in_step(polled: Records) -> tuple[dict[str, Sequence[Record]], dict[str, Sequence[Record]]]:
    """What may be processed now, and what has to wait for the other sources.

    No source runs ahead of what the others are known to have reached: of each, what comes before
    its first record later than the bound is taken, and the bound is the least of the sources'
    greatest timestamps. The source that sets it is taken whole, so there is always something to
    do. A source that has nothing holds nobody back: it is idle, and who would wait for it might
    wait for ever.

    Args:
        polled: Source to its records in offset order; timestamps need not be in order.

    Returns:
        Both by source, every source a key of both.
    """
    reached = [max(r.timestamp for r in records) for records in polled.values() if records]
    if len(reached) < 2:
        return dict(polled), dict.fromkeys(polled, ())
    bound = min(reached)
    now: dict[str, Sequence[Record]] = {}
    later: dict[str, Sequence[Record]] = {}
    for source, records in polled.items():
        cut = next((i for i, r in enumerate(records) if r.timestamp > bound), len(records))
        now[source], later[source] = records[:cut], records[cut:]
    return now, later
