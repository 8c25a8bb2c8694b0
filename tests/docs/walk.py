"""A tutorial walked as a reader would: files saved, commands typed into one shell, output compared.

A ``python`` or ``yaml`` block that begins with ``# name.py`` is a file the reader saves; a ``console``
block is typed line by line. What is shown below a command is all that it prints, but for ``…``: in a
line it stands for anything, alone on a line for any number of lines. Where nothing is shown nothing
is compared. A command must succeed, unless ``error:`` is among what is shown.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
import uuid
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", flags=re.DOTALL | re.MULTILINE)
FILE = re.compile(r"# ([\w./-]+\.(?:py|yaml))\b")


@dataclass(frozen=True)
class Save:
    """A file that the page tells to save."""

    name: str
    text: str


@dataclass(frozen=True)
class Type:
    """A command that the page tells to type, and the lines that it shows below."""

    command: str
    shown: tuple[str, ...]

    @property
    def fails(self) -> bool:
        return any(line.startswith("error:") for line in self.shown)


def steps(text: str) -> list[Save | Type]:
    """What the page tells to do, in its order."""
    found: list[Save | Type] = []
    for language, block in FENCE.findall(text):
        if language == "console":
            found += _typed(block)
        elif (named := FILE.match(block)) is not None:
            found.append(Save(named[1], block))
    return found


def _typed(block: str) -> list[Type]:
    found: list[tuple[str, list[str]]] = []
    continued = False
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append((line[2:], []))
        elif continued:
            command, shown = found[-1]
            found[-1] = (f"{command}\n{line}", shown)
        else:
            found[-1][1].append(line)
        continued = line.endswith("\\")
    return [Type(command, tuple(shown)) for command, shown in found]


def plain(line: str) -> str:
    """Without what the width of a terminal changes: spaces and the length of rules."""
    return " ".join(re.sub(r"─{2,}", "─", line).split())


def matches(shown: tuple[str, ...], printed: str) -> bool:
    """Whether the page shows what was printed."""
    wanted = [plain(line) for line in shown if plain(line)]
    got = "".join(plain(line) + "\n" for line in printed.splitlines() if plain(line))
    return re.fullmatch("".join(map(_pattern, wanted)), got) is not None


def _pattern(line: str) -> str:
    if line == "…":
        return r"(?:.*\n)*"
    line, ends = line.removesuffix(" …"), line.endswith(" …")  # there may be nothing after it
    return ".*".join(map(re.escape, line.split("…"))) + (r"(?: .*)?\n" if ends else r"\n")


class Shell:
    """One bash in which everything is typed; what it has started ends with it.

    Args:
        folder: Where it begins.
        environment: Variables beside those of the tests.
        deadline: Seconds after which a command is given up.
    """

    def __init__(self, folder: Path, environment: dict[str, str], deadline: float = 180) -> None:
        bin_folder = str(Path(sys.executable).parent)
        inherited = {k: v for k, v in os.environ.items() if not k.startswith("ANABRANCH_")}
        self._deadline = deadline
        self._bash = subprocess.Popen(
            ["bash", "--noprofile", "--norc"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=folder,
            env=inherited
            | {"PATH": bin_folder + os.pathsep + os.environ["PATH"], "TERM": "dumb"}
            | environment,
            start_new_session=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._kill()
        self._bash.wait()
        for stream in (self._bash.stdin, self._bash.stdout):
            assert stream is not None
            stream.close()

    def _kill(self) -> None:
        """The shell and what it runs: they are one session, and none of it outlives the test."""
        try:
            os.killpg(self._bash.pid, signal.SIGKILL)
        except ProcessLookupError:
            return

    def run(self, command: str) -> tuple[int, str]:
        """Its exit code, and what it printed, errors included."""
        assert self._bash.stdin is not None
        assert self._bash.stdout is not None
        mark = f"done-{uuid.uuid4().hex}"
        # Braces, so that cd, export and & hold in this shell, and nothing reads what comes next.
        self._bash.stdin.write(f"{{ {command}\n}} </dev/null\nprintf '{mark} %d\\n' $?\n")
        self._bash.stdin.flush()
        watch = threading.Timer(self._deadline, self._kill)
        watch.start()
        printed: list[str] = []
        try:
            for line in self._bash.stdout:
                before, marked, code = line.partition(mark)
                printed.append(before)
                if marked:
                    return int(code), "".join(printed)
        finally:
            watch.cancel()
        raise AssertionError(f"{command!r} ended the shell or took too long: {''.join(printed)}")


def follow(text: str, shell: Shell) -> None:
    """Do what the page says, step by step; files go where the shell is."""
    for step in steps(text):
        if isinstance(step, Save):
            code, where = shell.run("pwd")
            assert code == 0
            (Path(where.strip()) / step.name).write_text(step.text, encoding="utf-8")
            continue
        code, printed = shell.run(step.command)
        assert bool(code) == step.fails, f"$ {step.command}\n{printed}ended with {code}"
        assert not step.shown or matches(step.shown, printed), (
            f"$ {step.command}\n{printed}is not what the page shows:\n" + "\n".join(step.shown)
        )
