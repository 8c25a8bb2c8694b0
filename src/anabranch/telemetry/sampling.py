"""Sampling that a replay repeats: whether an event is kept depends on its identity alone."""

from __future__ import annotations

import mmh3

__all__ = ["sampled"]


def sampled(event_id: str, source: str, rate: float) -> bool:
    """Whether the event is among the share ``rate`` (0 to 1) that is kept.

    Source and id together identify an event (CloudEvents 1.0). The hash's prefix is of this use
    alone, so that sampling is independent of every split. What a rate keeps, a higher one keeps.
    """
    if rate >= 1:
        return True
    hashed: int = mmh3.hash(f"anabranch/sampling:{source}\n{event_id}", 0, signed=False)
    return hashed < rate * 4_294_967_296
