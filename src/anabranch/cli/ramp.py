"""``anabranch ramp``: let more units take part, or fewer."""

from __future__ import annotations

from typing import Annotated

import typer

from anabranch.cli import lifecycle, options
from anabranch.lifecycle import Action
from anabranch.settings import load_settings


def ramp(
    key: lifecycle.Key,
    percent: Annotated[
        float, typer.Argument(min=0, max=100, help="Share of eligible units that take part")
    ],
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
    """Set the share of units that take part; ramping up moves nobody who already does."""
    lifecycle.act(
        load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs),
        key,
        Action.RAMP,
        change={"coverage": round(percent / 100, 9)},
        version=version,
        who=who,
        why=why,
        ask=not yes,
        as_json=as_json,
    )
