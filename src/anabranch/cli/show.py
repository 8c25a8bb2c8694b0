"""``anabranch show``: a published spec, its state and what may be done to it."""

from __future__ import annotations

import json
from typing import Annotated, Any

import msgspec
import typer
import yaml

from anabranch.cli import lifecycle, options
from anabranch.cli.console import out
from anabranch.lifecycle import Published, SpecName, find, legal, versions
from anabranch.settings import load_settings
from anabranch.specs import ExperimentSpec, Spec


def show(
    key: Annotated[str, typer.Argument(help="A spec's key")],
    *,
    version: lifecycle.Version = None,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    as_json: options.AsJson = False,
) -> None:
    """Show a published spec, who published it, and what may be done to it."""
    now = lifecycle.look(load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs))
    spec = find(now, key, version=version)
    told = _told(now, spec)
    if as_json:
        out.print_json(json.dumps({**told, "spec": spec.document}))
        return
    out.print(f"[bold]{spec.kind} {spec.meta.label}[/]  {spec.digest}", highlight=False)
    if told["actions"] is not None:
        actions = ", ".join(told["actions"]) or "nothing"
        out.print(f"{told['status']}; possible: {actions}", highlight=False)
    out.print(f"versions: {', '.join(told['versions'])}", highlight=False)
    last = told["published"]
    if last is not None:
        why = f": {last['why']}" if last.get("why") else ""
        line = f"{last['action']} by {last['who']} at {last['at']}{why}"
        out.print(line, highlight=False, markup=False)
    if told["refused"] is not None:
        out.print(f"[red]refused:[/] {told['refused']}", highlight=False)
    out.print()
    text = yaml.safe_dump(spec.document, sort_keys=False, allow_unicode=True)
    out.print(text, end="", highlight=False, markup=False, soft_wrap=True)


def _told(now: Published, spec: Spec) -> dict[str, Any]:
    status = spec.status if isinstance(spec, ExperimentSpec) else None
    last = next((e for e in reversed(now.audit) if e.to_digest == spec.digest), None)
    refusal = now.specs.refused.get(SpecName.of(spec).record_key)
    return {
        "kind": spec.kind,
        "key": spec.key,
        "version": spec.version,
        "digest": spec.digest,
        "status": None if status is None else str(status),
        "actions": None if status is None else [str(action) for action in legal(status)],
        "versions": [s.version for s in versions(now, spec.kind, spec.key)],
        "published": None if last is None else msgspec.to_builtins(last),
        "refused": None if refusal is None else str(refusal),
    }
