"""What happened in a run, in order, for whoever has to find out why it failed."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any


class History:
    """Events of a run with the seconds since its beginning."""

    def __init__(self) -> None:
        self._begin = time.time()
        self.events: list[dict[str, Any]] = []
        self.faults: Counter[str] = Counter()
        self.missed: Counter[str] = Counter()

    def note(self, event: str, *, at: float | None = None, **details: Any) -> None:
        elapsed = (time.time() if at is None else at) - self._begin
        self.events.append({"t": round(elapsed, 3), "event": event, **details})

    def struck(self, fault: str, *, happened: bool) -> None:
        """A fault is over; one that found nobody to happen to does not count."""
        (self.faults if happened else self.missed)[fault] += 1
        self.note("fault over" if happened else "fault missed", fault=fault)

    def merge(self, worker: str, journal: Iterable[Mapping[str, Any]]) -> None:
        """Take in what a worker told of itself."""
        for line in journal:
            details = {name: value for name, value in line.items() if name not in {"at", "event"}}
            self.note(line["event"], at=line["at"], worker=worker, **details)
        self.events.sort(key=lambda event: event["t"])

    def save(self, path: Path) -> None:
        lines = (json.dumps(event) + "\n" for event in self.events)
        path.write_text("".join(lines), encoding="utf-8")
