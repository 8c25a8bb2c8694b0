"""``anabranch pause``: everybody gets control, and nobody is exposed."""

from __future__ import annotations

from anabranch.cli import lifecycle, options
from anabranch.lifecycle import Action
from anabranch.settings import load_settings


def pause(
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
    """Pause a running experiment: everybody gets control, without exposure, at once."""
    lifecycle.act(
        load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs),
        key,
        Action.PAUSE,
        version=version,
        who=who,
        why=why,
        ask=False,
        as_json=as_json,
    )
