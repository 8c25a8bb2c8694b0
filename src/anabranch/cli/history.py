"""``anabranch history``: who published what, when and why."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Annotated

import msgspec
import typer

from anabranch.cli import lifecycle, options
from anabranch.cli.console import fits, out, table
from anabranch.errors import UnknownSpecError
from anabranch.lifecycle import AuditEntry
from anabranch.settings import load_settings
from anabranch.specs.explain import nearest


def history(
    key: Annotated[str | None, typer.Argument(help="A spec's key; all when not given")] = None,
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest")] = 50,
    as_json: options.AsJson = False,
) -> None:
    """Show who published what, when and why; the oldest first."""
    now = lifecycle.look(load_settings(bootstrap=bootstrap, prefix=prefix))
    entries = list(now.audit) if key is None else now.history(key)
    if key is not None and not entries:
        keys = {entry.key for entry in now.audit}
        raise UnknownSpecError(f"nothing was published of {key!r}: {nearest(key, keys)}")
    entries = entries[-limit:]
    if as_json:
        out.print_json(json.dumps([msgspec.to_builtins(entry) for entry in entries]))
    elif entries:
        show(entries)
    else:
        out.print("nothing was published yet")


def show(entries: list[AuditEntry]) -> None:
    """Print them as a table, or in a terminal too narrow for that as paragraphs."""
    listed = table("when", "who", "did", "spec", "from", "to", "why", "changes")
    for entry in entries:
        listed.add_row(
            entry.at,
            _who(entry),
            entry.action,
            str(entry.name),
            entry.from_digest or "-",
            entry.to_digest,
            *(text.replace("[", r"\[") for text in (entry.why, "; ".join(entry.changes))),
        )
    if fits(listed):
        out.print(listed)
        return
    for entry in entries:  # who did what and why must not be what is cut off
        for line in _paragraph(entry):
            out.print(line, markup=False, highlight=False)


def _who(entry: AuditEntry) -> str:
    return entry.who if entry.via is None else f"{entry.who} ({entry.via})"


def _paragraph(entry: AuditEntry) -> Iterator[str]:
    yield f"{entry.at} {entry.action} by {_who(entry)}" + (f": {entry.why}" if entry.why else "")
    yield f"  {entry.name}, {entry.from_digest or 'new'} to {entry.to_digest}"
    for change in entry.changes:
        yield f"  {change}"
