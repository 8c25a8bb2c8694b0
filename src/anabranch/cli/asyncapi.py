"""``anabranch asyncapi``: the topics as other teams may rely on them."""

from __future__ import annotations

import json

import typer

from anabranch.asyncapi import asyncapi as document
from anabranch.cli import options
from anabranch.settings import load_settings
from anabranch.topology import Names


def asyncapi(*, prefix: options.Prefix = None) -> None:
    """Print the topics as an AsyncAPI 3 document: addresses, keys, headers, JSON Schemas."""
    names = Names(load_settings(prefix=prefix).prefix)
    typer.echo(json.dumps(document(names), indent=2, ensure_ascii=False))
