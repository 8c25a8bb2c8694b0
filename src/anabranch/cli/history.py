"""``anabranch history``: who published what, when and why."""

from __future__ import annotations

import json
from typing import Annotated

import msgspec
import typer

from anabranch.cli import lifecycle, options
from anabranch.cli.console import out, table
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
        _show(entries)
    else:
        out.print("nothing was published yet")


def _show(entries: list[AuditEntry]) -> None:
    listed = table("when", "who", "did", "spec", "from", "to", "why", "changes")
    for entry in entries:
        listed.add_row(
            entry.at,
            entry.who if entry.via is None else f"{entry.who} ({entry.via})",
            entry.action,
            str(entry.name),
            entry.from_digest or "-",
            entry.to_digest,
            *(text.replace("[", r"\[") for text in (entry.why, "; ".join(entry.changes))),
        )
    out.print(listed)
