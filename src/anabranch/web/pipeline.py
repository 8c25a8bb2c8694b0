"""How far every stage has come: lag, throughput and waiting time, from offsets alone.

Stages publish nothing about themselves on topics, so this is what can be known from outside: the
offsets that a stage's group committed, and those that its topics have come to. Rates are
differences of two looks. How long the oldest record waits is read from the looks too: it was
appended after the last look whose end was not past the group's position (as lag exporters do it),
so it is told as an upper bound, no finer than the time between two looks.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final

from anabranch.engine.place import Place
from anabranch.errors import AnabranchError
from anabranch.topology import STAGES

__all__ = ["LOOKS_KEPT", "Look", "Watch"]

LOOKS_KEPT: Final = 120
"""Looks remembered, of which the oldest and the latest give rates."""

RATE_LOOKS: Final = 6
"""Looks that a rate is over."""

Look = Callable[[], Awaitable[Sequence[Place]]]
"""The places of all groups now; raises an :class:`~anabranch.errors.AnabranchError` when away."""


class Watch:
    """A bounded memory of looks, and what they come to.

    Args:
        look: Gives the places; None where there is nothing to look at.
    """

    def __init__(self, look: Look | None = None) -> None:
        self._look = look
        self._looks: deque[tuple[float, dict[tuple[str, str, int], Place]]] = deque(
            maxlen=LOOKS_KEPT
        )
        self._away: str | None = None

    async def run(self, clock: Callable[[], float], interval: float = 5.0) -> None:
        """Look again and again until the task is cancelled.

        Args:
            clock: Seconds since the epoch.
            interval: Seconds between two looks.
        """
        while True:
            await self.look(clock)
            await asyncio.sleep(interval)

    async def look(self, clock: Callable[[], float]) -> None:
        """Look once; whoever is away is told in the report, with the last look there was."""
        if self._look is None:
            return
        try:
            places = await self._look()
        except AnabranchError as error:
            self._away = str(error)
            return
        self._away = None
        self._looks.append((clock(), {(p.stage, p.topic, p.partition): p for p in places}))

    def report(self) -> dict[str, Any]:
        """What is shown, JSON-able; what is not known is null.

        The shape::

            {"at": ms | null, "away": null | "why", "stages": [{"stage", "does", "lag",
               "perSecond", "waiting", "partitions": [{"topic", "partition", "lag", "perSecond",
               "waiting", "waitingKnown", "position", "end"}]}]}

        ``waiting`` is in seconds, at most so long; where ``waitingKnown`` is false it is at least
        so long, for no look is old enough to tell. A stage's is that of its slowest partition.
        """
        at, places = self._looks[-1] if self._looks else (None, {})
        partitions: dict[str, list[dict[str, Any]]] = {}
        for key, place in sorted(places.items()):
            partitions.setdefault(place.stage, []).append(self._partition(key, place))
        return {
            "at": None if at is None else round(at * 1000),
            "away": self._away,
            "stages": [
                _stage(shape.name, shape.does, partitions.get(shape.name, [])) for shape in STAGES
            ],
        }

    def _partition(self, key: tuple[str, str, int], place: Place) -> dict[str, Any]:
        waiting, known = self._waiting(key, place)
        return {
            "topic": place.topic,
            "partition": place.partition,
            "lag": place.lag,
            "perSecond": self._rate(key, place),
            "waiting": waiting,
            "waitingKnown": known,
            "position": place.position,
            "end": place.end,
        }

    def _rate(self, key: tuple[str, str, int], place: Place) -> float | None:
        """Offsets per second that the group moved on; None before there are two looks."""
        recent = list(self._looks)[-RATE_LOOKS:]
        now = recent[-1][0]
        for then, places in recent[:-1]:
            before = places.get(key)
            if before is not None and before.position is not None and place.position is not None:
                return (
                    max(0, place.position - before.position) / (now - then) if now > then else 0.0
                )
        return None

    def _waiting(self, key: tuple[str, str, int], place: Place) -> tuple[float, bool]:
        if not place.lag:
            return 0.0, True
        now = self._looks[-1][0]
        at = place.begin if place.position is None else place.position
        oldest = now
        for then, places in reversed(self._looks):
            seen = places.get(key)
            if seen is None:
                break
            if seen.end <= at:
                return now - then, True
            oldest = then
        return now - oldest, False


def _stage(name: str, does: str, partitions: list[dict[str, Any]]) -> dict[str, Any]:
    rates = [p["perSecond"] for p in partitions if p["perSecond"] is not None]
    slowest = max(partitions, key=lambda p: p["waiting"], default=None)
    return {
        "stage": name,
        "does": does,
        "lag": sum(p["lag"] for p in partitions) if partitions else None,
        "perSecond": sum(rates) if rates else None,
        "waiting": slowest and slowest["waiting"],
        "waitingKnown": slowest is None or all(p["waitingKnown"] for p in partitions),
        "partitions": partitions,
    }
