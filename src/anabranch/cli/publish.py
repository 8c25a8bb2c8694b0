"""``anabranch publish``: make specs hold, with a look at what that changes."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from anabranch.assignment import compile_spec
from anabranch.cli import lifecycle, options
from anabranch.settings import load_settings
from anabranch.specs import load_specs


def publish(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Spec files or folders")],
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    why: lifecycle.Why = "",
    who: lifecycle.Who = None,
    in_place: Annotated[
        bool,
        typer.Option("--in-place", help="Let who gets what change within a version"),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change")] = False,
    yes: lifecycle.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Publish specs to running workers: shows what changes, asks, and keeps a record of it.

    All are written together or not at all. If somebody else has published one of them since it
    was looked at, nothing is written, and it is said who.
    """
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs)
    wanted = list(load_specs(*paths, check=compile_spec))
    lifecycle.publish_specs(
        settings,
        lambda _: wanted,
        action="publish",
        who=who,
        why=why,
        ask=not yes,
        as_json=as_json,
        in_place=in_place,
        dry_run=dry_run,
    )
