"""``anabranch topics``: create what is missing, show what is there."""

from __future__ import annotations

import asyncio
import json
from typing import Annotated

import typer

from anabranch.cli import options
from anabranch.cli.console import out, table
from anabranch.engine.kafka import Topics
from anabranch.engine.kafka.admin import TopicSettings
from anabranch.runtime.client import kafka_client, topic_settings
from anabranch.settings import Settings, load_settings

app = typer.Typer(help="Create and describe the topics.", no_args_is_help=True)


@app.command("create")
def create(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    partitions: options.Partitions = None,
    replication: Annotated[
        int | None, typer.Option(help="Replication factor; the broker's default when not given")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only show what would be created, and whether it can")
    ] = False,
    as_json: options.AsJson = False,
) -> None:
    """Create the topics that are missing."""
    settings = load_settings(
        bootstrap=bootstrap, prefix=prefix, partitions=partitions, replication=replication
    )
    created = asyncio.run(_create(settings, dry_run=dry_run))
    if as_json:
        out.print_json(json.dumps({"created": [] if dry_run else created, "missing": created}))
        return
    if dry_run and created:
        _show_missing([t for t in topic_settings(settings) if t.name in created], settings)
        return
    for name in created:
        out.print(f"created {name}", highlight=False)
    if not created:
        out.print("all topics are there already")


async def _create(settings: Settings, *, dry_run: bool) -> list[str]:
    async with Topics(kafka_client(settings)) as topics:
        wanted = topic_settings(settings)
        return await topics.create(wanted, settings.replication, dry_run=dry_run)


def _show_missing(missing: list[TopicSettings], settings: Settings) -> None:
    replication = "broker's default" if settings.replication == -1 else str(settings.replication)
    listed = table("topic", "partitions", "replication", "configuration")
    for topic in missing:
        config = ", ".join(f"{name}={value}" for name, value in topic.config.items())
        listed.add_row(topic.name, str(topic.partitions), replication, config)
    out.print(listed)
    out.print(f"{len(missing)} topics would be created; the broker would take them")


@app.command("describe")
def describe(
    *,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    as_json: options.AsJson = False,
) -> None:
    """Show which topics are there, and with how many partitions."""
    settings = load_settings(bootstrap=bootstrap, prefix=prefix)
    there = asyncio.run(_describe(settings))
    wanted = topic_settings(settings)
    if as_json:
        out.print_json(
            json.dumps(
                [
                    {
                        "topic": t.name,
                        "partitions": there.get(t.name),
                        "configuration": dict(t.config),
                    }
                    for t in wanted
                ]
            )
        )
    else:
        listed = table("topic", "partitions", "configuration")
        for topic in wanted:
            count = there.get(topic.name)
            config = ", ".join(f"{k}={v}" for k, v in topic.config.items())
            listed.add_row(topic.name, "[red]missing[/]" if count is None else str(count), config)
        out.print(listed)
    if any(t.name not in there for t in wanted):
        raise typer.Exit(4)


async def _describe(settings: Settings) -> dict[str, int]:
    async with Topics(kafka_client(settings)) as topics:
        return await topics.partitions(t.name for t in topic_settings(settings))
