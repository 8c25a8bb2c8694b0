"""``anabranch validate``: are these specs right?"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from anabranch.assignment import compile_spec
from anabranch.cli import options
from anabranch.cli.console import errors, out, table
from anabranch.specs import Catalog, ExperimentSpec, LoadedSpec, load_files, load_specs


def validate(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Spec files or folders")],
    *,
    as_json: options.AsJson = False,
) -> None:
    """Check spec files: fields, expressions, references between specs."""
    loaded = load_files(*paths, check=compile_spec)
    problems = [str(p) for p in load_specs(*paths).problems()]
    if as_json:
        out.print_json(json.dumps({"specs": [_row(item) for item in loaded], "problems": problems}))
    else:
        _show(loaded)
        for problem in problems:
            errors.print("[bold red]error:[/] ", end="")
            errors.print(problem, markup=False, highlight=False)
        if not problems:
            out.print(f"[green]{len(loaded)} specs are valid[/]")
    if problems:
        raise typer.Exit(1)


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


def _show(loaded: list[LoadedSpec]) -> None:
    running = {(spec.key, spec.version) for spec in Catalog.of(i.spec for i in loaded).running()}
    listed = table("kind", "key", "version", "status", "file")
    for item in loaded:
        row = _row(item)
        status = row["status"] or ""
        if (item.spec.key, item.spec.version) in running:
            status = f"[green]{status}[/]"
        listed.add_row(
            str(row["kind"]),
            item.spec.key,
            item.spec.version,
            str(status),
            item.place,
        )
    out.print(listed)
