"""``anabranch topology``: draw the stages and topics."""

from __future__ import annotations

from typing import Annotated

import typer

from anabranch.cli import options
from anabranch.cli.console import out, table
from anabranch.settings import load_settings
from anabranch.topology import STAGES, TOPICS, Names, mermaid


def topology(
    *,
    as_mermaid: Annotated[
        bool, typer.Option("--mermaid", help="Only the diagram, as Mermaid source")
    ] = False,
    prefix: options.Prefix = None,
) -> None:
    """Draw the stages and topics, as text or as Mermaid."""
    names = Names(load_settings(prefix=prefix).prefix)
    if as_mermaid:
        out.print(mermaid(names), markup=False, highlight=False, soft_wrap=True)
        return
    for shape in STAGES:
        out.print(f"[bold]{shape.name}[/]  {shape.does}", highlight=False)
        for source in shape.sources:
            out.print(f"    ◀─ {names.topic(source)}", highlight=False)
        for output in shape.outputs:
            out.print(f"    ─▶ {names.topic(output)}", highlight=False)
        for source in shape.sources:
            out.print(f"    ─▶ [dim]{names.topic(source + '.dlq')}[/]", highlight=False)
        if shape.changelog is not None:
            out.print(f"    ◀▶ [dim]{names.topic(shape.changelog)}[/]", highlight=False)
    listed = table("topic", "cleanup", "kept", "keyed by")
    for topic in TOPICS:
        kept = "latest of a key" if topic.retention_days is None else f"{topic.retention_days} d"
        listed.add_row(names.topic(topic.name), topic.cleanup, kept, topic.key)
    out.print(listed)
