"""``anabranch doctor``: what keeps a worker from running well, and what mends it."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Annotated, Final

import typer

from anabranch.cli import options
from anabranch.cli.console import out
from anabranch.runtime.doctor import Finding, Level, examine, worst
from anabranch.settings import Settings, load_settings
from anabranch.topology import StageShape, choose_stages

_MARKS: Final = {
    Level.OK: "[green]✔[/]",
    Level.UNKNOWN: "[dim]?[/]",
    Level.WARNING: "[yellow]![/]",
    Level.ERROR: "[red]✘[/]",
    Level.UNREACHABLE: "[red]✘[/]",
}
_CODES: Final = {Level.ERROR: 1, Level.UNREACHABLE: 3}


def doctor(
    stages: Annotated[
        list[str] | None, typer.Argument(help="assign, gate, attribute, aggregate; all if none")
    ] = None,
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    max_lag: Annotated[
        int, typer.Option(min=0, help="Tell of stages further behind than so many records")
    ] = 100_000,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings fail, too")] = False,
    as_json: options.AsJson = False,
) -> None:
    """Look for what is wrong, with what mends it; run it as the worker, with its settings.

    Exit codes: 0 nothing is wrong, 1 something is, 3 no broker can be reached.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix)
    findings = asyncio.run(
        _look(settings, choose_stages(stages or ()), max_lag=max_lag, show=not as_json)
    )
    level = worst(findings)
    code = _CODES.get(level, int(strict and level is Level.WARNING))
    if as_json:
        out.print_json(
            json.dumps({"healthy": code == 0, "findings": [found.to_json() for found in findings]})
        )
    else:
        _sum_up(findings)
    raise typer.Exit(code)


async def _look(
    settings: Settings, shapes: list[StageShape], *, max_lag: int, show: bool
) -> list[Finding]:
    findings = []
    async for found in examine(settings, shapes, clock=time.time, max_lag=max_lag):
        findings.append(found)
        if show:
            _show(found)
    return findings


def _show(found: Finding) -> None:
    out.print(f"{_MARKS[found.level]} [bold]{found.check}[/]  ", end="", highlight=False)
    out.print(found.what, markup=False, highlight=False, soft_wrap=True)
    if found.fix is not None:
        out.print(f"    → {found.fix}", markup=False, highlight=False, soft_wrap=True)


def _sum_up(findings: list[Finding]) -> None:
    wrong = sum(found.level >= Level.ERROR for found in findings)
    warned = sum(found.level is Level.WARNING for found in findings)
    if wrong or warned:
        out.print(f"\n{wrong} wrong, {warned} to look at", highlight=False)
    else:
        out.print("\nnothing is wrong")
