"""A program on a terminal of its own, with somebody who reads it and types."""

from __future__ import annotations

import codecs
import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import sys
import termios
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, Self

__all__ = ["DOWN", "Terminal"]

DOWN: Final = "\x1b[B"
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|[()][A-Z0-9]|[=>])")
_PATIENCE: Final = 60.0
"""Seconds without a sign of life after which a program is held to be stuck."""


class Terminal:
    """Runs ``anabranch`` with a pseudo-terminal as its standard input, output and error.

    Waiting is for text, never for time: each answer is typed once its question is on the screen.

    Args:
        arguments: Of the command.
        cwd: Where it runs.
        environment: Beside that of this process.
    """

    def __init__(
        self, arguments: Sequence[str], cwd: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self._own, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        settled = {"PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm", "NO_COLOR": "1"}
        self._process = subprocess.Popen(
            [sys.executable, "-m", "anabranch", *arguments],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            cwd=cwd,
            env={**os.environ, **settled, **(environment or {})},
            start_new_session=True,
        )
        os.close(theirs)
        self._decode = codecs.getincrementaldecoder("utf-8")("replace").decode
        self._raw = ""
        self._read_to = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self._process.wait()
        os.close(self._own)

    @property
    def screen(self) -> str:
        """Everything that was ever on it, without colours and movements of the cursor."""
        return _ESCAPES.sub("", self._raw).replace("\r", "")

    def expect(self, text: str) -> None:
        """Wait until the text appears behind what was expected before.

        Raises:
            AssertionError: The program ended or fell silent before.
        """
        while (at := self.screen.find(text, self._read_to)) < 0:
            if not self._read():
                raise AssertionError(f"{text!r} never came; this did:\n{self.screen}")
        self._read_to = at + len(text)

    def answer(self, question: str, *keys: str) -> None:
        """Type an answer and Enter, once the question is there."""
        self.expect(question)
        self.type(*keys, "\r")

    def type(self, *keys: str) -> None:
        os.write(self._own, "".join(keys).encode())

    def end(self) -> int:
        """Wait for the program's end; returns its exit code."""
        while self._read():
            pass
        return self._process.wait(_PATIENCE)

    def _read(self) -> bool:
        """Take in what there is; false at the end, or when nothing comes for too long."""
        if not select.select([self._own], [], [], _PATIENCE)[0]:
            return False
        try:
            found = os.read(self._own, 65_536)
        except OSError:  # how Linux says that the other end is closed
            return False
        self._raw += self._decode(found)
        return bool(found)
