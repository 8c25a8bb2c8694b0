"""``anabranch retire``: a stopped experiment is of the past."""

from __future__ import annotations

from anabranch.cli import lifecycle, options
from anabranch.lifecycle import Action
from anabranch.settings import load_settings


def retire(
    key: lifecycle.Key,
    *,
    version: lifecycle.Version = None,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    why: lifecycle.Why = "",
    who: lifecycle.Who = None,
    yes: lifecycle.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Retire a stopped experiment: contexts may not ask for it any more."""
    lifecycle.act(
        load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs),
        key,
        Action.RETIRE,
        version=version,
        who=who,
        why=why,
        ask=not yes,
        as_json=as_json,
    )
