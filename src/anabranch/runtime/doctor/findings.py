"""A finding: what was looked at, how bad it is, what mends it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

__all__ = ["Finding", "Level", "worst"]


class Level(IntEnum):
    """How bad it is.

    ``UNKNOWN`` could not be looked at; ``WARNING`` works and should be mended; with ``ERROR`` a
    worker does not run, or loses something; with ``UNREACHABLE`` nothing else could be looked at.
    """

    OK = 0
    UNKNOWN = 1
    WARNING = 2
    ERROR = 3
    UNREACHABLE = 4


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found.

    Attributes:
        check: What was looked at: ``broker``, ``topics``, ``configuration``, ….
        level: How bad it is.
        what: What was found, in a sentence without a full stop.
        fix: What mends it: a command, or what to do; None where all is well.
    """

    check: str
    level: Level
    what: str
    fix: str | None = None

    def to_json(self) -> dict[str, str | None]:
        """``{"check", "level": "ok" …, "what", "fix"}``."""
        return {
            "check": self.check,
            "level": self.level.name.lower(),
            "what": self.what,
            "fix": self.fix,
        }


def worst(findings: Iterable[Finding]) -> Level:
    """The worst level; OK where nothing was found."""
    return max((finding.level for finding in findings), default=Level.OK)
