"""Examples in Java, built by Maven into a cache that all checkouts share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.devkafka.errors import DevKafkaMissingError
from tools.devkafka.jars import find_java

_SECONDS = 150


def built(project: Path) -> tuple[str, Path]:
    """Java, and the folder with the project's ``classes`` and ``jars``.

    Where there is no Java, no compiler or no Maven, or Maven cannot fetch what the project needs,
    the test is skipped; a project that does not compile fails it.
    """
    try:
        java = find_java()
    except DevKafkaMissingError as missing:
        pytest.skip(f"no Java example: {missing}")
    maven, compiler = shutil.which("mvn"), shutil.which("javac")
    if maven is None or compiler is None:
        pytest.skip("no Java example: install Maven and a JDK of version 17 or later")
    sources = sorted(project.rglob("src/**/*.java"))
    hashed = hashlib.sha256()
    for path in (project / "pom.xml", *sources):
        hashed.update(path.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(base) if base else Path.home() / ".cache") / "anabranch" / "examples"
    cache.mkdir(parents=True, exist_ok=True)
    target = cache / f"{project.parent.name}-{hashed.hexdigest()[:16]}"
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (target / ".built").exists():
            shutil.rmtree(target, ignore_errors=True)
            _build(maven, project, target)
            (target / ".built").touch()
    return java, target


def _build(maven: str, project: Path, target: Path) -> None:
    command = [
        *(maven, "--quiet", "--batch-mode", f"--file={project / 'pom.xml'}"),
        *("dependency:copy-dependencies", "compile", f"-Dbuilt={target}"),
    ]
    told = _run([*command, "--offline"])
    if told is not None and "COMPILATION ERROR" not in told:
        told = _run(command)
    if told is None:
        return
    if "COMPILATION ERROR" in told:
        pytest.fail(f"{project} does not compile:\n{told}")
    pytest.skip(f"no Java example: Maven cannot fetch what it needs: {told.strip()[:300]}")


def _run(command: list[str]) -> str | None:
    """What it said where it failed."""
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=_SECONDS,
        )
    except subprocess.TimeoutExpired:
        return f"it took more than {_SECONDS} s"
    return done.stdout + done.stderr if done.returncode else None
