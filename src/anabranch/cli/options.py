"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Bootstrap = Annotated[
    str | None,
    typer.Option("--bootstrap", metavar="HOST:PORT", help="Kafka brokers (ANABRANCH_BOOTSTRAP)"),
]
Prefix = Annotated[
    str | None,
    typer.Option("--prefix", help="First part of topic and group names (ANABRANCH_PREFIX)"),
]
Specs = Annotated[
    Path | None,
    typer.Option("--specs", exists=True, help="File or folder with the specs (ANABRANCH_SPECS)"),
]
Partitions = Annotated[
    int | None,
    typer.Option("--partitions", min=1, help="Partitions of new topics (ANABRANCH_PARTITIONS)"),
]
AsJson = Annotated[bool, typer.Option("--json", help="JSON for machines")]
