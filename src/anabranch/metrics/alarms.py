"""From verdicts to what is told: once when it begins, again when it is worse, once when it ends.

What is kept of an alarm is a list, in the state of whoever keeps it: since when, how often it has
been told in this episode, how bad it was when it was last told, and the number of the episode. So
a restart repeats nothing and forgets nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final, Literal

from anabranch.metrics.health import Verdict

__all__ = ["Told", "follow"]

WORSE: Final = 2.0
"""An alarm is told again when its figure is so many times what it was when last told."""

Change = Literal["raised", "changed", "resolved"]


@dataclass(frozen=True, slots=True)
class Told:
    """Something to be told about an alarm.

    Attributes:
        change: ``raised``, ``changed`` (it is at least twice as bad) or ``resolved``.
        since: When the episode began, milliseconds.
        episode: The first is 1.
        number: The first of an episode is 1.
    """

    change: Change
    since: int
    episode: int
    number: int


def follow(kept: dict[str, Any], verdict: Verdict, at: int) -> Told | None:
    """What there is to tell after a verdict; ``kept`` is changed to remember it.

    Args:
        kept: Alarms of a run by subject: ``[since, number, figure, episode]``, with a number of 0
            where the latest episode is over.
        verdict: Of one subject.
        at: As of when, milliseconds.
    """
    alarm = kept.get(verdict.subject)
    on = alarm is not None and alarm[1] > 0
    if verdict.word == "breach" and not on:
        episode = 1 if alarm is None else alarm[3] + 1
        kept[verdict.subject] = [at, 1, verdict.figure, episode]
        return Told("raised", at, episode, 1)
    if alarm is None or not on:
        return None
    since, number, figure, episode = alarm
    if verdict.word == "over":
        kept[verdict.subject] = [since, 0, 0.0, episode]
        return Told("resolved", since, episode, number + 1)
    if verdict.word == "breach" and verdict.figure >= WORSE * figure > 0:
        kept[verdict.subject] = [since, number + 1, verdict.figure, episode]
        return Told("changed", since, episode, number + 1)
    return None
