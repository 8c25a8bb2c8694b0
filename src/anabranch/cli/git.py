"""What git knows of spec files: how they were, and since when they are there."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Self

from anabranch.errors import SettingsError

__all__ = ["Checkout"]


@dataclass(frozen=True, slots=True)
class Checkout:
    """A git working tree.

    Attributes:
        git: Path of the program.
        root: The tree's topmost folder.
    """

    git: str
    root: Path

    @classmethod
    def of(cls, path: Path) -> Self | None:
        """The tree that a path lies in; None outside of any, or without git."""
        git = shutil.which("git")
        if git is None:
            return None
        folder = path if path.is_dir() else path.parent
        done = subprocess.run(  # noqa: S603 - found above, no shell
            [git, "-C", str(folder), "rev-parse", "--show-toplevel"],
            capture_output=True,
            check=False,
        )
        return None if done.returncode else cls(git, Path(done.stdout.decode().strip()).resolve())

    @contextmanager
    def at(self, ref: str, paths: Sequence[Path]) -> Iterator[list[Path]]:
        """Those of the paths that were there at a commit, as they were, for the time of a `with`.

        Raises:
            SettingsError: There is no such commit.
        """
        commit = self._run("rev-parse", "--verify", "--quiet", f"{ref}^{{commit}}", fails=True)
        if not commit:
            raise SettingsError(f"--since {ref}: git knows no such commit")
        name = commit.decode().strip()
        inside = [self._inside(path) for path in paths]
        there = [one for one in inside if self._run("ls-tree", "--name-only", name, "--", one)]
        if not there:
            yield []
            return
        packed = self._run("archive", "--format=tar", name, "--", *there)
        with TemporaryDirectory(prefix="anabranch-lint-") as folder:
            with tarfile.open(fileobj=BytesIO(packed)) as archive:
                archive.extractall(folder, filter="data")
            yield [Path(folder, one) for one in there]

    def first_commits(self, paths: Iterable[Path]) -> dict[Path, datetime]:
        """When each file was first committed under its name; untracked ones are left out."""
        inside = [path for path in paths if path.resolve().is_relative_to(self.root)]
        wanted = {self._inside(path): path for path in inside}
        if not wanted:
            return {}
        log = self._run(
            "log", "--diff-filter=A", "--name-only", "--format=%x00%cI", "-z", "--", *wanted,
            fails=True,
        ).decode()  # fmt: skip
        found: dict[Path, datetime] = {}
        when: datetime | None = None
        for part in log.replace("\n", "\0").split("\0"):
            if part in wanted and when is not None:
                found[wanted[part]] = when  # the log goes back in time, so the first comes last
            elif len(part) >= 25 and part[4:5] == "-" and part[10:11] == "T":
                when = datetime.fromisoformat(part)
        return found

    def _inside(self, path: Path) -> str:
        try:
            return path.resolve().relative_to(self.root).as_posix()
        except ValueError:
            raise SettingsError(f"{path} lies outside the git repository {self.root}") from None

    def _run(self, *arguments: str, fails: bool = False) -> bytes:
        done = subprocess.run(  # noqa: S603 - found above, no shell
            [self.git, "-C", str(self.root), *arguments], capture_output=True, check=False
        )
        if done.returncode and not fails:
            raise SettingsError(
                f"git {arguments[0]} failed: {done.stderr.decode(errors='replace').strip()}"
            )
        return b"" if done.returncode else done.stdout
