"""The peers, built from their packages into a cache that all checkouts share."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from benchmarks.contestants import ContestantError
from tools.devkafka.errors import DevKafkaError
from tools.devkafka.jars import find_java

_HERE = Path(__file__).parent
_STREAMS = _HERE / "kafka-streams"
_GROWTHBOOK = _HERE.parent / "evaluate" / "growthbook"
_SECONDS = 900


def kafka_streams() -> list[str]:
    """Command that runs the Kafka Streams contestant, but for its arguments.

    Raises:
        ContestantError: There is no Java 17, no Maven to build with, or the build failed.
    """
    try:
        java = find_java()
    except DevKafkaError as error:
        raise ContestantError(str(error)) from error
    sources = sorted(_STREAMS.rglob("*.java"))
    built = _cached("kafka-streams", [_STREAMS / "pom.xml", *sources], "", _build_streams)
    return [
        java,
        *("-Xms512m", "-Xmx1g", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"),
        *("-cp", f"{built / 'classes'}:{built / 'jars'}/*", "anabranch.peers.Contestant"),
    ]


def quix() -> list[str]:
    """Command that runs the Quix Streams contestant, but for its arguments.

    Raises:
        ContestantError: Its environment could not be made.
    """
    return _in_environment(_HERE / "quix")


def growthbook() -> list[str]:
    """Command that runs the GrowthBook contestant, but for its arguments.

    Raises:
        ContestantError: Its environment could not be made.
    """
    return _in_environment(_GROWTHBOOK)


def _in_environment(folder: Path) -> list[str]:
    """The folder's contestant, in an environment made of its requirements."""
    requirements = folder / "requirements.txt"

    def build(target: Path) -> None:
        _run([sys.executable, "-m", "venv", str(target)])
        python = str(target / "bin" / "python")
        pip = [python, "-m", "pip", "--quiet", "--disable-pip-version-check"]
        _run([*pip, "install", "--requirement", str(requirements)])

    built = _cached(folder.name, [requirements], sys.version, build)
    return [str(built / "bin" / "python"), str(folder / "contestant.py")]


def _build_streams(target: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise ContestantError("no mvn: install Maven, which builds the Kafka Streams contestant")
    command = [
        *(maven, "--quiet", "--batch-mode", f"--file={_STREAMS / 'pom.xml'}"),
        *("compile", "dependency:copy-dependencies"),
        *(f"-Dbuilt={target}", f"-DoutputDirectory={target / 'jars'}"),
    ]
    try:
        _run([*command, "--offline"])
    except ContestantError:
        _run(command)


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=_SECONDS,
    )
    if done.returncode:
        raise ContestantError(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")


def _cached(name: str, inputs: Iterable[Path], version: str, build: Callable[[Path], None]) -> Path:
    """The folder that was built of exactly these inputs; a broken build leaves no mark in it."""
    hashed = hashlib.sha256(version.encode())
    for path in inputs:
        hashed.update(path.read_bytes())
    base = os.environ.get("XDG_CACHE_HOME")
    cache = (Path(base) if base else Path.home() / ".cache") / "anabranch" / "peers"
    target = cache / f"{name}-{hashed.hexdigest()[:16]}"
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        mark = target / ".built"
        if not mark.exists():
            shutil.rmtree(target, ignore_errors=True)
            build(target)
            mark.touch()
    return target
