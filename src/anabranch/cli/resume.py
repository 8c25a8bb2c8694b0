"""``anabranch resume``: a paused experiment takes traffic again."""

from __future__ import annotations

from anabranch.cli import lifecycle, options
from anabranch.lifecycle import Action
from anabranch.settings import load_settings


def resume(
    key: lifecycle.Key,
    *,
    version: lifecycle.Version = None,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    why: lifecycle.Why = "",
    who: lifecycle.Who = None,
    as_json: options.AsJson = False,
) -> None:
    """Let a paused experiment take traffic again; everybody gets the variant they had."""
    lifecycle.act(
        load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs),
        key,
        Action.RESUME,
        version=version,
        who=who,
        why=why,
        ask=False,
        as_json=as_json,
    )
