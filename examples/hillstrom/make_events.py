"""Turns hillstrom.csv.gz into event files for ``anabranch replay``.

A customer's number is the number of its data line: the first after the header is user:1. Each
customer becomes one exposure, as logged, and one telemetry event for each outcome, at times
spread over fourteen days; the file's order is shuffled, so that some telemetry comes before the
exposure it belongs to.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
ARMS = {"No E-Mail": "control", "Mens E-Mail": "mens", "Womens E-Mail": "womens"}
BEGIN_MS = 1_204_329_600_000  # 2008-03-01T00:00:00Z
FORTNIGHT_MS = 14 * 24 * 60 * 60 * 1000
SOURCE = "hillstrom"


def default_data() -> Path:
    """The data file beside the checkout, or where ANABRANCH_SHARED points."""
    shared = Path(os.environ.get("ANABRANCH_SHARED", ROOT.parent / "shared"))
    return shared / "data" / "hillstrom.csv.gz"


def customers(data: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Number and columns of every customer."""
    with gzip.open(data, "rt", newline="") as lines:
        yield from enumerate(csv.DictReader(lines), start=1)


def event(kind: str, event_id: str, time_ms: int, data: dict[str, object]) -> str:
    """A CloudEvent in structured mode, one line of JSON."""
    seconds, ms = divmod(time_ms - BEGIN_MS, 1000)
    days, second = divmod(seconds, 86_400)
    clock = f"{second // 3600:02d}:{second // 60 % 60:02d}:{second % 60:02d}.{ms:03d}"
    return json.dumps(
        {
            "specversion": "1.0",
            "id": event_id,
            "source": SOURCE,
            "type": f"anabranch.{kind}.v1",
            "time": f"2008-03-{1 + days:02d}T{clock}Z",
            "data": data,
        }
    )


def telemetry(number: int, name: str, time_ms: int, **properties: float) -> str:
    """One outcome of a customer."""
    return event(
        "telemetry",
        f"{name}-{number}",
        time_ms,
        {"name": name, "version": 1, "userId": str(number), "properties": properties},
    )


def experiment_events(data: Path, rng: random.Random) -> Iterator[str]:
    """Exposures as logged, outcomes after them."""
    for number, row in customers(data):
        # Whole minutes are left at the end for what follows the exposure.
        exposed = BEGIN_MS + rng.randrange(FORTNIGHT_MS - 600_000)
        exposure = {
            "experiment": "hillstrom.email",
            "version": 1,
            "variant": ARMS[row["treatment"]],
            "unit": f"user:{number}",
            "reason": "random",
        }
        yield event("exposure", f"exposure-{number}", exposed, exposure)
        visited = rng.randrange(exposed, BEGIN_MS + FORTNIGHT_MS - 300_000)
        bought = visited + rng.randrange(300_000)
        if row["visit"] == "1":
            yield telemetry(number, "hillstrom.visit", visited)
        if row["conversion"] == "1":
            yield telemetry(number, "hillstrom.conversion", bought)
        if float(row["spend"]) > 0:
            yield telemetry(number, "hillstrom.spend", bought, spend=float(row["spend"]))


def context_events(data: Path, rng: random.Random) -> Iterator[str]:
    """Every customer as a context that asks for its variant."""
    for number, row in customers(data):
        attributes = {
            "recency": int(row["recency"]),
            "history": float(row["history"]),
            "channel": row["channel"],
            "zipCode": row["zip_code"],
        }
        yield event(
            "context",
            f"context-{number}",
            BEGIN_MS + rng.randrange(FORTNIGHT_MS),
            {"userId": str(number), "attributes": attributes},
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=default_data(), help="hillstrom.csv.gz")
    parser.add_argument("--out", type=Path, required=True, help="event file to write")
    parser.add_argument("--seed", type=int, default=2008, help="of times and order")
    parser.add_argument("--contexts", action="store_true", help="contexts instead of exposures")
    parser.add_argument("--twice", action="store_true", help="every event twice under its own id")
    arguments = parser.parse_args()
    if not arguments.data.exists():
        print(
            f"{arguments.data} is not there: get Kevin Hillstrom's MineThatData e-mail test as a "
            "gzipped CSV and name it with --data",
            file=sys.stderr,
        )
        return 1
    rng = random.Random(arguments.seed)
    make = context_events if arguments.contexts else experiment_events
    lines = list(make(arguments.data, rng))
    if arguments.twice:
        lines *= 2
    rng.shuffle(lines)
    arguments.out.write_text("\n".join(lines) + "\n")
    print(f"{len(lines):,} events in {arguments.out}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
