"""``python -m tests.chaos``: run the suite from the command line."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from tests.chaos.faults import FAULTS
from tests.chaos.run import Outcome, run
from tools.devkafka import DEFAULT_VERSION

_SHOWN = 12


def main(
    *,
    seed: Annotated[int, typer.Option(help="Of the first run; each run takes the next")] = 1,
    runs: Annotated[int, typer.Option(min=1, help="How many runs")] = 1,
    faults: Annotated[str, typer.Option(help=f"Only these, by commas: {', '.join(FAULTS)}")] = "",
    count: Annotated[
        int | None, typer.Option(min=0, help="Faults in a run; four to seven when not given")
    ] = None,
    kafka: Annotated[str, typer.Option(help="Version of Apache Kafka")] = DEFAULT_VERSION,
    failures: Annotated[
        Path, typer.Option(help="Where failed runs leave seed, history and logs")
    ] = Path("chaos-failures"),
    keep: Annotated[bool, typer.Option("--keep", help="Runs that passed leave them too")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="A line of JSON a run, instead of the table")
    ] = False,
) -> None:
    """Break everything that can break, then check that no record was lost or counted twice."""
    names = [name for name in faults.split(",") if name]
    for name in names:
        if name not in FAULTS:
            raise typer.BadParameter(f"there is no fault {name!r}: choose from {', '.join(FAULTS)}")
    console = Console(stderr=True)
    outcomes: list[Outcome] = []
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    ) as progress:
        bar = progress.add_task("", total=runs)
        for number in range(seed, seed + runs):
            outcome = asyncio.run(
                run(
                    number,
                    faults=names,
                    count=count,
                    kafka=kafka,
                    failures=failures,
                    keep=keep,
                    say=lambda what, n=number: progress.update(bar, description=f"{n}: {what}"),
                )
            )
            outcomes.append(outcome)
            progress.advance(bar)
            if as_json:
                sys.stdout.write(json.dumps(_summary(outcome)) + "\n")
                sys.stdout.flush()
            _tell(outcome, progress.console)
    if not as_json:
        _table(outcomes, Console())
    sys.exit(not all(outcome.passed for outcome in outcomes))


def _tell(outcome: Outcome, console: Console) -> None:
    found = outcome.report.violations
    if not found:
        return
    console.print(f"[bold red]seed {outcome.seed}: {len(found)} violations[/]; {outcome.saved}")
    for violation in found[:_SHOWN]:
        console.print(f"  {violation}", markup=False, highlight=False)


def _summary(outcome: Outcome) -> dict[str, object]:
    report = outcome.report
    return {
        "seed": outcome.seed,
        "kafka": outcome.kafka,
        "state": "disk" if outcome.disk else "memory",
        "faults": dict(outcome.faults),
        "missed": dict(outcome.missed),
        "workers": outcome.workers,
        "openings": outcome.openings,
        "fenced": outcome.fenced,
        "reopened": outcome.reopened,
        "contexts": report.contexts,
        "telemetry": report.telemetry,
        "assignments": report.assignments,
        "exposures": report.exposures,
        "toldAgain": report.told_again,
        "observations": report.observations,
        "deadLetters": report.dead_letters,
        "windows": report.windows,
        "seconds": round(outcome.seconds, 1),
        "violations": [str(violation) for violation in report.violations],
    }


def _table(outcomes: Sequence[Outcome], console: Console) -> None:
    table = Table("seed", "faults", box=None)
    for name in ("workers", "fenced", "contexts", "assignments", "events", "dead", "seconds"):
        table.add_column(name, justify="right")
    table.add_column("verdict")
    for outcome in outcomes:
        report = outcome.report
        figures = (
            outcome.workers,
            outcome.fenced,
            report.contexts,
            report.assignments,
            report.telemetry,
            report.dead_letters,
        )
        table.add_row(
            str(outcome.seed),
            ", ".join(_times(outcome.faults)) or "none",
            *(f"{figure:,}" for figure in figures),
            f"{outcome.seconds:.0f}",
            "[green]passed" if outcome.passed else f"[red]{len(report.violations)} violations",
        )
    console.print(table)
    total = sum((outcome.faults for outcome in outcomes), Counter())
    passed = sum(outcome.passed for outcome in outcomes)
    console.print(
        f"{passed} of {len(outcomes)} runs passed on Kafka {outcomes[0].kafka}; "
        f"{total.total()} faults: {', '.join(_times(total))}"
    )


def _times(faults: Counter[str]) -> list[str]:
    return [name if n == 1 else f"{n} {name}" for name, n in sorted(faults.items())]


if __name__ == "__main__":
    typer.run(main)
