"""How a question is put to a person: by questionary, or by whatever a test has in its place."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol

from anabranch.errors import SettingsError

__all__ = ["Asker", "Check", "TerminalAsker"]

Check = Callable[[str], str | None]
"""What is wrong with an answer as it stands; None where nothing is."""


class Asker(Protocol):
    """Puts questions. Raises KeyboardInterrupt where the person gives up."""

    def text(
        self,
        question: str,
        *,
        default: str = "",
        check: Check | None = None,
        offers: Sequence[str] = (),
    ) -> str:
        """A line of text; ``offers`` are completed, and others may be typed."""
        ...

    def choose(self, question: str, choices: Sequence[str], default: str | None = None) -> str:
        """One of the choices."""
        ...

    def confirm(self, question: str, *, default: bool) -> bool:
        """Yes or no."""
        ...


class TerminalAsker:
    """Asks on the terminal; checks each answer while it is typed.

    Raises:
        SettingsError: questionary is not installed.
    """

    def __init__(self) -> None:
        try:
            import questionary  # noqa: PLC0415 - half a second that only wizards need
        except ModuleNotFoundError as error:
            raise SettingsError(
                "asking questions needs the package questionary, and it is not installed: install "
                "it, or answer by flags and --yes"
            ) from error
        self._questionary: Any = questionary

    def text(
        self,
        question: str,
        *,
        default: str = "",
        check: Check | None = None,
        offers: Sequence[str] = (),
    ) -> str:
        validate = None if check is None else _validator(check)
        if offers:
            asked = self._questionary.autocomplete(
                question, choices=list(offers), default=default, validate=validate
            )
        else:
            asked = self._questionary.text(question, default=default, validate=validate)
        answer: str = asked.unsafe_ask()
        return answer.strip()

    def choose(self, question: str, choices: Sequence[str], default: str | None = None) -> str:
        answer: str = self._questionary.select(
            question, choices=list(choices), default=default
        ).unsafe_ask()
        return answer

    def confirm(self, question: str, *, default: bool) -> bool:
        return bool(
            self._questionary.confirm(question, default=default, auto_enter=False).unsafe_ask()
        )


def _validator(check: Check) -> Callable[[str], bool | str]:
    """As questionary takes it: true, or what is wrong."""

    def validate(answer: str) -> bool | str:
        return check(answer.strip()) or True

    return validate
