"""Trials as tables and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.proof.cases import Counting, Ranking, Watching
from tests.proof.trial import Trial

TIMES = (0.5, 1.0, 1.5, 2.0, 4.0)
"""Multiples of the planned size at which power is reported."""


def show(out: Console, trials: list[Trial]) -> None:
    """One table for each kind of case."""
    watched = [t for t in trials if isinstance(t.case, Watching)]
    still = [t for t in trials if isinstance(t.case, Watching | Ranking) and not _effect(t)]
    _show_errors(out, "Nothing to find", [t for t in still if t.promised and not t.case.truth])
    _show_power(out, [t for t in watched if _effect(t)])
    _show_coverage(out, [t for t in still if t.promised and t.case.truth])
    counted = [t for t in trials if isinstance(t.case, Counting)]
    _show_errors(out, "Units come as promised", [t for t in counted if t.promised])
    _show_mismatches(out, [t for t in counted if not t.promised])
    _show_errors(out, "Known limits, not promised", [t for t in watched if not t.promised])


def _show_errors(out: Console, title: str, trials: list[Trial]) -> None:
    columns = ("level", "fixed, watched", "fixed, at the end", "sequential, watched", "at most", "")
    table = _table(title, *columns)
    for trial in trials:
        error = trial.share(trial.sequential.ever)
        table.add_row(
            trial.case.name,
            f"{trial.alpha:.1%}",
            f"{trial.share(trial.fixed.ever):.1%}",
            f"{trial.share(trial.fixed.at[-1]):.2%}",
            f"{error:.2%}",
            f"{trial.limit:.2%}" if trial.promised else "",
            _verdict(trial),
        )
    _print(out, table, trials)


def _show_power(out: Console, trials: list[Trial]) -> None:
    at = tuple(f"by {times:g} N" for times in TIMES)
    table = _table(
        "Something to find",
        *("planned N", "fixed, at N", *at, "median stop", "truth excluded", "at most", ""),
    )
    for trial in trials:
        found = power(trial)
        table.add_row(
            trial.case.name,
            f"{found['planned']:,}",
            f"{found['fixedAtPlanned']:.1%}",
            *(f"{found['sequentialBy'][f'{times:g}']:.1%}" for times in TIMES),
            "" if found["medianStop"] is None else f"{found['medianStop']:.2f} N",
            f"{trial.error:.2%}",
            f"{trial.limit:.2%}",
            _verdict(trial),
        )
    _print(out, table, trials)


def _show_coverage(out: Console, trials: list[Trial]) -> None:
    table = _table(
        "The truth is held", "fixed, found at the end", "found", "truth excluded", "at most", ""
    )
    for trial in trials:
        table.add_row(
            trial.case.name,
            f"{trial.share(trial.fixed.at[-1]):.1%}",
            f"{trial.share(trial.sequential.ever):.1%}",
            f"{trial.error:.2%}",
            f"{trial.limit:.2%}",
            _verdict(trial),
        )
    _print(out, table, trials)


def _show_mismatches(out: Console, trials: list[Trial]) -> None:
    table = _table("Units are lost", "level", "found in 50,000", "median units until then")
    for trial in trials:
        table.add_row(
            trial.case.name,
            f"{trial.alpha:.1%}",
            f"{trial.share(trial.sequential.ever):.1%}",
            f"{np.median(trial.stopped):,.0f}" if trial.stopped else "",
        )
    _print(out, table, trials)


def power(trial: Trial) -> dict[str, Any]:
    """How often, and when, an effect is found, in multiples of the fixed test's planned size."""
    case = trial.case
    assert isinstance(case, Watching)
    assert case.planned is not None

    def by(times: float) -> int:
        return int(np.searchsorted(trial.units, times * case.planned - 0.5))

    never = [float("inf")] * (trial.streams - len(trial.stopped))
    median = float(np.median([*trial.stopped, *never]))
    return {
        "planned": case.planned,
        "fixedAtPlanned": trial.share(trial.fixed.at[by(1.0)]),
        "sequentialBy": {
            f"{times:g}": trial.share(trial.sequential.called[by(times)]) for times in TIMES
        },
        "medianStop": median / case.planned if np.isfinite(median) else None,
    }


def as_json(trial: Trial) -> dict[str, Any]:
    """A trial's figures."""
    case = trial.case
    found: dict[str, Any] = {
        "case": case.name,
        "kind": "split" if isinstance(case, Counting) else "difference",
        "streams": trial.streams,
        "looks": len(trial.units),
        "units": int(trial.units[-1]),
        "alpha": round(trial.alpha, 12),
        "fixedWatched": trial.share(trial.fixed.ever),
        "fixedAtTheEnd": trial.share(trial.fixed.at[-1]),
        "sequentialWatched": trial.share(trial.sequential.ever),
        "error": trial.error,
        "limit": trial.limit if trial.promised else None,
        "holds": trial.holds,
    }
    if not isinstance(case, Counting):
        found["truth"] = case.truth
    if isinstance(case, Watching) and case.planned is not None:
        found["power"] = power(trial)
    return found


def _effect(trial: Trial) -> bool:
    return isinstance(trial.case, Watching) and trial.case.planned is not None


def _table(title: str, *figures: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("streams of", no_wrap=True)
    for figure in figures:
        table.add_column(figure, justify="right")
    return table


def _verdict(trial: Trial) -> str:
    if not trial.promised:
        return ""
    return "[green]holds[/]" if trial.holds else "[red]broken[/]"


def _print(out: Console, table: Table, trials: list[Trial]) -> None:
    if trials:
        out.print(table)
        out.print()
