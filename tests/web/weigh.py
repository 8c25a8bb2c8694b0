"""What many experiments weigh: ``python -m tests.web.weigh [RUNS]``; memory and bytes, no times."""

from __future__ import annotations

import sys
import tracemalloc

import msgspec

from anabranch.web import Board
from tests.web.records import NOW, VERSION, assignment, busy_runs


def weigh(runs: int) -> dict[str, int]:
    """Bytes by what they are of."""
    tracemalloc.start()
    board = Board()
    busy_runs(board, runs)
    memory = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    size = lambda shown: len(msgspec.json.encode(shown))  # noqa: E731
    whole = board.snapshot(now=NOW)
    first = "shop.e0000"
    opened = board.snapshot(f"{first}@{VERSION}", now=NOW)
    board.apply("assignments", b"k", assignment(experiment=first), (), NOW)
    change = board.snapshot(now=NOW, since=whole["version"])
    return {
        "memory": memory,
        "the list, at first": size(whole),
        "the list with an open experiment, at first": size(opened),
        "the list, when one experiment changes": size(change),
    }


if __name__ == "__main__":
    asked = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    for name, found in weigh(asked).items():
        sys.stdout.write(f"{found:>14,} bytes  {name}\n")
