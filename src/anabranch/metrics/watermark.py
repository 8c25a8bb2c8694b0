"""How far event time has come: a minimum over sources, less those that have gone quiet.

A watermark of t says: what is still to come is, as a rule, later than t (Akidau et al., "The
Dataflow Model", PVLDB 8(12), 2015). It is only a rule: what comes earlier is late, never lost.
"""

from __future__ import annotations

from collections.abc import Container, Mapping

__all__ = ["watermark"]


def watermark(
    clocks: Mapping[str, int], idle_ms: int, *, live: Container[str] = (), before: int | None = None
) -> int | None:
    """The least clock of the sources that count; None while no source has delivered.

    A source that has delivered nothing has no clock and holds nothing back. One that lies more
    than ``idle_ms`` behind the furthest is taken for idle and set aside until it catches up,
    unless it is ``live``. Time is measured by the sources' own progress, so that the same records
    give the same watermark at any speed.

    Args:
        clocks: Source to its greatest event time (or its own watermark), milliseconds.
        idle_ms: How far a silent source may fall behind before it no longer holds back.
        live: Sources that delivered something just now: behind, but not idle.
        before: The watermark so far; it never goes back.
    """
    if not clocks:
        return before
    furthest = max(clocks.values())
    least = min(
        time for source, time in clocks.items() if source in live or time >= furthest - idle_ms
    )
    return least if before is None or least > before else before
