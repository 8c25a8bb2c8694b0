"""Workers as an operator runs them, watched from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from anabranch.settings import Settings
from benchmarks.contestants import ContestantError


class WorkerProcess:
    """A worker process, stopped with its ``with``.

    Args:
        settings: Brokers, prefix and partitions.
        specs: Folder of its specs.
        stages: Which it runs; all when none is named.
    """

    def __init__(self, settings: Settings, specs: str, *stages: str) -> None:
        self._command = [
            *(sys.executable, "-m", "anabranch", "worker", *stages, "--specs", specs),
            *("--bootstrap", str(settings.bootstrap), "--prefix", settings.prefix),
        ]
        self._environment = os.environ | {"ANABRANCH_PARTITIONS": str(settings.partitions)}

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            self._command,
            env=self._environment,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> float:
        """Ask it to end (SIGTERM); seconds until it had.

        Raises:
            ContestantError: It did not end in order.
        """
        asked = time.perf_counter()
        self._process.terminate()
        if self._process.wait(30):
            raise ContestantError(f"a worker ended with {self._process.returncode}")
        return time.perf_counter() - asked

    def peak_bytes(self) -> int:
        """Most memory it has held so far (proc(5), ``VmHWM``)."""
        status = Path(f"/proc/{self._process.pid}/status").read_text()
        (line,) = [line for line in status.splitlines() if line.startswith("VmHWM:")]
        return int(line.split()[1]) * 1024

    def cpu_seconds(self) -> float:
        """User and system time so far (proc(5), fields 14 and 15 of ``stat``)."""
        if self._process.poll() is not None:
            raise ContestantError(f"a worker ended with {self._process.returncode}")
        stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
