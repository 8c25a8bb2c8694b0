"""``anabranch list``: the published specs and which of them hold."""

from __future__ import annotations

import json
from typing import Any, Final

import typer
from rich.table import Table

from anabranch.cli import lifecycle, options
from anabranch.cli.console import errors, fits, out, table
from anabranch.lifecycle import Published, SpecName, held
from anabranch.settings import load_settings
from anabranch.specs import ExperimentSpec

_COLUMNS: Final = ("kind", "key", "version", "status", "holds", "published", "by", "digest")
"""A terminal that is too narrow for all is spared the last ones."""

app = typer.Typer(add_completion=False)


@app.command("list")
def list_(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    as_json: options.AsJson = False,
) -> None:
    """List the published specs, which version holds, and what is refused."""
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs)
    now = lifecycle.look(settings)
    rows = _rows(now)
    refused = [str(refusal) for refusal in now.specs.refused.values()]
    if as_json:
        out.print_json(json.dumps({"specs": rows, "refused": refused}))
        return
    if rows:
        show(rows)
    else:
        out.print("nothing was published yet")
    for refusal in refused:
        errors.print("[bold red]refused:[/] ", end="")
        errors.print(refusal, markup=False, highlight=False)
    if settings.specs is None and any(refusal.waits for refusal in now.specs.refused.values()):
        errors.print("if the workers have more specs in files, name those by --specs")


def show(rows: list[dict[str, Any]]) -> None:
    """Print them as a table of as many columns as the terminal has room for."""
    listed = _table(rows, _COLUMNS)
    for left_out in range(1, 4):
        if fits(listed):
            break
        listed = _table(rows, _COLUMNS[:-left_out])
    out.print(listed)


def _table(rows: list[dict[str, Any]], columns: tuple[str, ...]) -> Table:
    listed = table(*columns)
    for row in rows:
        cells = {
            **row,
            "status": row["status"] or "",
            "holds": "[green]yes[/]" if row["holds"] else "",
            "published": row["published"] or ("in files" if row["from"] == "files" else ""),
            "by": row["by"] or "",
        }
        listed.add_row(*(cells[name] for name in columns))
    return listed


def _rows(now: Published) -> list[dict[str, Any]]:
    catalog = now.specs.catalog()
    rows: list[dict[str, Any]] = []
    for spec in sorted(catalog, key=SpecName.of):
        last = next((e for e in reversed(now.audit) if e.to_digest == spec.digest), None)
        rows.append(
            {
                "kind": spec.kind,
                "key": spec.key,
                "version": spec.version,
                "status": str(spec.status) if isinstance(spec, ExperimentSpec) else None,
                "holds": held(catalog, spec.kind, spec.key) is spec,
                "digest": spec.digest,
                "from": "topic" if SpecName.of(spec) in now.specs.said else "files",
                "published": None if last is None else last.at,
                "by": None if last is None else last.who,
            }
        )
    return rows
