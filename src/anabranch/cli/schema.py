"""``anabranch schema``: JSON Schemas of spec files, for editors."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from anabranch.specs.documents import KINDS
from anabranch.specs.schema import json_schema


def schema(
    kind: Annotated[
        str | None,
        typer.Argument(help=f"{', '.join(KINDS)}; without one, any spec file"),
    ] = None,
) -> None:
    """Print the JSON Schema of spec files, for completion and checks in editors."""
    typer.echo(json.dumps(json_schema(kind), indent=2, ensure_ascii=False))
