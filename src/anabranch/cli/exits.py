"""How commands end, for scripts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from anabranch.errors import (
    AnabranchError,
    KafkaAccessError,
    KafkaUnavailableError,
    SettingsError,
    StateFormatError,
    TopologyError,
)

__all__ = ["DEFECT", "EXIT_CODES", "INTERRUPTED", "exit_code"]

DEFECT: Final = 70
INTERRUPTED: Final = 130

EXIT_CODES: Final[Mapping[int, str]] = {
    0: "Done.",
    1: "Specs or data are wrong, what was asked is refused, or there is nothing to show.",
    2: "The command line is wrong.",
    3: "Kafka cannot be reached, or refuses us.",
    4: "Settings, topics or changelogs are wrong.",
    DEFECT: "A defect of anabranch; `anabranch --debug …` shows where.",
    INTERRUPTED: "Interrupted by Ctrl-C.",
}


def exit_code(error: AnabranchError) -> int:
    """The code that a command ends with after an error."""
    if isinstance(error, KafkaUnavailableError | KafkaAccessError):
        return 3
    if isinstance(error, SettingsError | TopologyError | StateFormatError):
        return 4
    return 1
