"""``python -m benchmarks``: every suite but those of the peers, or those that are named."""

from __future__ import annotations

import argparse
import json
import logging
import platform
import sys
from collections.abc import Sequence

from rich.console import Console

from benchmarks import suites
from benchmarks.contestants import ContestantError
from benchmarks.peers.report import PeerComparison
from benchmarks.tables import Comparison

_WIDTH = 110
"""Columns of tables that are not shown on a terminal."""


def main(argv: Sequence[str] | None = None) -> int:
    every = {**suites.SUITES, **suites.PEERS}
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join((*every, "peers")))
    parser.add_argument("--rounds", type=int, default=3, help="how often each contestant runs")
    parser.add_argument("--records", type=int, default=300_000, help="contexts a round")
    parser.add_argument("--partitions", type=int, default=4, help="of every topic")
    parser.add_argument("--bootstrap", help="broker; by default one is started")
    parser.add_argument("--json", action="store_true", help="figures for machines on stdout")
    given = parser.parse_args(argv)
    named = [
        name for asked in given.suites for name in (suites.PEERS if asked == "peers" else [asked])
    ]
    unknown = set(named) - set(every)
    if unknown:
        parser.error(f"no such suite: {', '.join(sorted(unknown))}")
    errors = Console(stderr=True)
    # New topics have no leader for a moment, and aiokafka warns of every batch that it tries again.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    options = suites.Options(given.rounds, given.records, given.partitions, given.bootstrap)
    tables: list[Comparison | PeerComparison] = []
    try:
        for name in named or suites.SUITES:
            with errors.status(name) as status:
                progress = status.update if errors.is_terminal else errors.print
                made = every[name](options, progress)
                tables += made if isinstance(made, list) else [made]
    except ContestantError as error:
        errors.print(f"error: {error}", style="red", markup=False)
        return 1
    if given.json:
        print(json.dumps([table.as_json() for table in tables], indent=2))
    else:
        console = Console(width=None if sys.stdout.isatty() else _WIDTH)
        console.print(f"Python {platform.python_version()} on {platform.machine()}")
        for table in tables:
            console.print(table.as_rich())
    missed = [line for table in tables for line in table.missed()]
    for line in missed:
        errors.print(line, style="red", markup=False)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
