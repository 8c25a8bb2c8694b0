"""``anabranch validate``: are these specs right?"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer

from anabranch.assignment import compile_spec
from anabranch.cli import options
from anabranch.cli.console import errors, out, table
from anabranch.specs import Catalog, ExperimentSpec, LoadedSpec
from anabranch.specs.loading import gather, scan_files
from anabranch.specs.references import references

_MOST_ROWS = 50
"""Specs that are listed one by one; of more only the summary is shown."""


def validate(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Spec files or folders")],
    *,
    as_json: options.AsJson = False,
) -> None:
    """Check spec files: fields, expressions, references between specs."""
    loaded, broken = scan_files(*paths, check=compile_spec)
    if not loaded and len(broken) == 1:
        raise broken[0]
    catalog, twice = gather(loaded)
    problems = [str(error) for error in (*broken, *twice)]
    if not broken:  # what a broken spec declares is missing, and would be told of as well
        problems += _references(catalog, loaded)
    if as_json:
        told = {
            "specs": [_row(item) for item in loaded],
            "summary": _summary(loaded),
            "problems": problems,
        }
        out.print_json(json.dumps(told))
    else:
        _show(catalog, loaded)
        for problem in problems:
            errors.print("[bold red]error:[/] ", end="")
            errors.print(problem, markup=False, highlight=False)
        if broken:
            errors.print("references are checked once every spec is right", highlight=False)
        if not problems:
            out.print(f"[green]{len(loaded):,} specs are valid[/]", highlight=False)
    if problems:
        raise typer.Exit(1)


def _references(catalog: Catalog, loaded: Sequence[LoadedSpec]) -> list[str]:
    """References that do not hold, each with its file and line."""
    at = {(one.spec.kind, one.spec.key, one.spec.version): one for one in reversed(loaded)}
    found = []
    for reference in references(catalog):
        spec = reference.spec
        one = at[spec.kind, spec.key, spec.version]
        line = one.line_of(reference.path)
        place = f"{one.path}" if line is None else f"{one.path}:{line}"
        found.append(f"{place}: {reference.error}")
    return found


def _row(item: LoadedSpec) -> dict[str, object]:
    spec = item.spec
    return {
        "kind": spec.kind,
        "key": spec.key,
        "version": spec.version,
        "digest": spec.digest,
        "status": str(spec.status) if isinstance(spec, ExperimentSpec) else None,
        "file": item.place,
    }


def _summary(loaded: Sequence[LoadedSpec]) -> list[dict[str, object]]:
    """By kind: how many specs, keys and files, and of experiments how many in each status."""
    kinds = dict.fromkeys(item.spec.kind for item in loaded)
    found: list[dict[str, object]] = []
    for kind in kinds:
        mine = [item for item in loaded if item.spec.kind == kind]
        experiments = [i.spec for i in mine if isinstance(i.spec, ExperimentSpec)]
        statuses = Counter(str(spec.status) for spec in experiments)
        found.append(
            {
                "kind": kind,
                "specs": len(mine),
                "keys": len({item.spec.key for item in mine}),
                "files": len({item.path for item in mine}),
                "statuses": dict(statuses.most_common()),
            }
        )
    return found


def _show(catalog: Catalog, loaded: Sequence[LoadedSpec]) -> None:
    if 0 < len(loaded) <= _MOST_ROWS:
        _list(catalog, loaded)
    if len(loaded) > 1:
        summary = table("kind", "statuses", figures=("specs", "keys", "files"))
        for row in _summary(loaded):
            statuses = row["statuses"]
            told = statuses.items() if isinstance(statuses, dict) else ()
            summary.add_row(
                str(row["kind"]),
                ", ".join(f"{status} {n:,}" for status, n in told),
                *(f"{row[name]:,}" for name in ("specs", "keys", "files")),
            )
        out.print(summary)


def _list(catalog: Catalog, loaded: Sequence[LoadedSpec]) -> None:
    running = {(spec.key, spec.version) for spec in catalog.running()}
    listed = table("kind", "key", "version", "status", "file")
    for item in loaded:
        row = _row(item)
        status = row["status"] or ""
        if (item.spec.key, item.spec.version) in running and status:
            status = f"[green]{status}[/]"
        listed.add_row(item.spec.kind, item.spec.key, item.spec.version, str(status), item.place)
    out.print(listed)
