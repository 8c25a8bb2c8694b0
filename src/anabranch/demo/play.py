"""Plays traffic in step with the clock."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable

from anabranch.demo.traffic import Traffic
from anabranch.runtime import Message

__all__ = ["play"]


async def play(
    traffic: Traffic,
    publish: Callable[[Iterable[Message]], Awaitable[None]],
    clock: Callable[[], float],
    *,
    interval: float = 0.2,
) -> None:
    """Publish what is due, again and again, until the task is cancelled.

    When publishing takes longer than the interval, the next batch is the larger: the rate holds.

    Args:
        traffic: What is played.
        publish: Takes a batch, such as ``EmbeddedPipeline.publish``.
        clock: Seconds since the epoch.
        interval: Seconds between two batches.
    """
    start = int(clock() * 1000)
    while True:
        end = max(start, int(clock() * 1000))
        await publish(traffic.batch(start, end))
        start = end
        await asyncio.sleep(interval)
