"""``python -m tests.proof``: what the statistics promise, tried on streams without end in sight.

Exits with 1 when a bound is broken.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from tests.proof import plots
from tests.proof.cases import (
    LIFTED,
    LIMITS,
    NOTHING_TO_FIND,
    RANKS,
    SOMETHING_TO_FIND,
    SPLITS,
    Counting,
    Ranking,
    Watching,
)
from tests.proof.report import as_json, show
from tests.proof.trial import CERTAINTY, Advance, Trial, counting, ranking, watching


def main(arguments: list[str] | None = None) -> int:
    options = _options(arguments)
    cases = [*NOTHING_TO_FIND, *SOMETHING_TO_FIND, *LIFTED, *RANKS, *SPLITS, *LIMITS]
    if options.only:
        cases = [case for case in cases if any(text in case.name for text in options.only)]
        if not cases:
            texts = " or ".join(repr(text) for text in options.only)
            print(f"no case's name contains {texts}", file=sys.stderr)  # noqa: T201
            return 2
    trials: list[Trial] = []
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        whole = progress.add_task("", total=len(cases) * options.streams)

        def advance(streams: int) -> None:
            progress.advance(whole, streams)

        for case in cases:
            progress.update(whole, description=case.name)
            trials.append(_try(case, options.streams, options.seed, advance))
    if options.plots:
        plots.draw(options.plots, trials)
    holds = all(trial.holds for trial in trials)
    if options.json:
        found = {
            "streams": options.streams,
            "seed": options.seed,
            "certainty": CERTAINTY,
            "holds": holds,
            "cases": [as_json(trial) for trial in trials],
        }
        print(json.dumps(found, indent=2, ensure_ascii=False))  # noqa: T201
    else:
        out = Console(width=None if sys.stdout.isatty() else 160)
        show(out, trials)
        broken = [trial.case.name for trial in trials if not trial.holds]
        out.print(
            f"[red]broken:[/] {', '.join(broken)}"
            if broken
            else f"every bound holds, in {options.streams:,} streams of each kind"
        )
    return 0 if holds else 1


def _try(case: Watching | Ranking | Counting, streams: int, seed: int, advance: Advance) -> Trial:
    if isinstance(case, Counting):
        return counting(case, streams, seed, advance)
    if isinstance(case, Ranking):
        return ranking(case, streams, seed, advance)
    return watching(case, streams, seed, advance)


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.proof",
        description="Try what the statistics promise on simulated streams.",
    )
    parser.add_argument("--streams", type=int, default=2_000, help="streams of each case (2000)")
    parser.add_argument("--seed", type=int, default=1, help="of the random numbers (1)")
    parser.add_argument(
        "--only",
        metavar="TEXT",
        action="append",
        help="only cases whose name contains TEXT; given again, those that contain either",
    )
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--plots", type=Path, metavar="DIR", help="draw the figures into DIR")
    options = parser.parse_args(arguments)
    if options.streams < 1:
        parser.error("--streams must be 1 or more")
    return options


if __name__ == "__main__":
    sys.exit(main())
