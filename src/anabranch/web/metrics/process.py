"""Figures of the process, under the names that Prometheus' own clients give them."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from anabranch.web.metrics import registry
from anabranch.web.metrics.registry import Sample

__all__ = ["process_samples"]

_STARTED: Final = time.time()
_PROC: Final = Path("/proc/self")


def process_samples() -> Iterator[Sample]:
    """CPU, memory and files; memory and files on Linux only."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    yield registry.CPU.of(used.ru_utime + used.ru_stime)
    yield registry.STARTED.of(_STARTED)
    yield registry.FILES_AT_MOST.of(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    if not _PROC.is_dir():
        return
    pages = int((_PROC / "statm").read_text(encoding="ascii").split()[1])
    yield registry.RESIDENT.of(pages * os.sysconf("SC_PAGE_SIZE"))
    yield registry.FILES.of(sum(1 for _ in (_PROC / "fd").iterdir()))
