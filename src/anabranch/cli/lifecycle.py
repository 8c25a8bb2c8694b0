"""What the commands that change published specs have in common."""

from __future__ import annotations

import asyncio
import getpass
import json
import socket
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Annotated, Any

import typer

from anabranch.cli.console import errors, out, table
from anabranch.cli.specs import checked_catalog
from anabranch.events.cloudevents import format_time
from anabranch.lifecycle import Action, Proposed, Publication, Published, acted, operations, propose
from anabranch.runtime.client import kafka_client
from anabranch.runtime.publishing import KafkaSpecStore
from anabranch.settings import Settings
from anabranch.specs import Spec
from anabranch.topology import Names

Key = Annotated[str, typer.Argument(help="The experiment's key")]
Version = Annotated[
    str | None, typer.Option("--version", help="A version; the one that holds when not given")
]
Why = Annotated[str, typer.Option("--why", help="The reason, for the audit")]
Who = Annotated[
    str | None, typer.Option("--who", help="Who it is, for the audit; user@host when not given")
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask")]


def spec_store(settings: Settings) -> KafkaSpecStore:
    """The topics; files that the settings name lie underneath, as they do in workers.

    Raises:
        SettingsError: No broker is named.
        SpecError: A file is wrong.
    """
    client = kafka_client(settings)
    files = None if settings.specs is None else checked_catalog(settings.specs)
    return KafkaSpecStore(client, Names(settings.prefix), files)


def look(settings: Settings) -> Published:
    """What the topics say now."""
    return asyncio.run(spec_store(settings).look())


def act(
    settings: Settings,
    key: str,
    action: Action,
    *,
    version: str | None,
    change: Mapping[str, object] | None = None,
    who: str | None,
    why: str,
    ask: bool,
    as_json: bool,
) -> None:
    """Do something to an experiment.

    Args:
        settings: Where.
        key: The experiment's.
        action: Decides the state afterwards.
        version: Its version; the one that holds when not given.
        change: Other fields that change.
        who: The publisher.
        why: In the publisher's words.
        ask: Whether to ask before writing.
        as_json: Print what was done as JSON.

    Raises:
        UnknownSpecError: There is no such experiment.
        IllegalTransitionError: Its state does not allow it.
        PublishConflictError: Somebody else was faster.
    """

    def wanted(now: Published) -> list[Spec]:
        return [acted(now, key, action, version=version, change=change)]

    publish_specs(settings, wanted, action=str(action), who=who, why=why, ask=ask, as_json=as_json)


def publish_specs(
    settings: Settings,
    wanted: Callable[[Published], Iterable[Spec]],
    *,
    action: str,
    who: str | None,
    why: str,
    ask: bool,
    as_json: bool,
    in_place: bool = False,
    dry_run: bool = False,
) -> None:
    """Show what publishing would change, ask, and write it with its audit.

    Args:
        settings: Where.
        wanted: What to publish, given what is there.
        action: For the audit.
        who: The publisher.
        why: In the publisher's words.
        ask: Whether to ask before writing.
        as_json: Print what was done as JSON.
        in_place: Let who gets what change within a version.
        dry_run: Write nothing.
    """
    store = spec_store(settings)
    asking = ask and not dry_run
    if asking and (as_json or not sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here: say --yes, or --dry-run to look only")
    publication = _propose(store, wanted, in_place=in_place)
    rows = told(publication)
    if not as_json:
        show_publication(publication, rows)
    writing = bool(publication.proposed) and not dry_run
    if writing and asking and not typer.confirm("Publish?", default=False, err=True):
        errors.print("nothing was published")
        raise typer.Exit(1)
    if writing:
        entries = publication.entries(
            at=format_time(int(time.time() * 1000)), who=who or me(), action=action, why=why
        )
        asyncio.run(store.publish(publication, list(entries)))
    if as_json:
        out.print_json(
            json.dumps(
                {
                    "published": writing,
                    "specs": rows,
                    "unchanged": [_named(spec) for spec in publication.unchanged],
                    "kept": [
                        {**asdict(name), "fields": list(fields)}
                        for name, fields in publication.kept.items()
                    ],
                }
            )
        )
    elif writing:
        names = ", ".join(one.spec.meta.label for one in publication.proposed)
        out.print(f"[green]published[/] {names}", highlight=False)


def _propose(
    store: KafkaSpecStore, wanted: Callable[[Published], Iterable[Spec]], *, in_place: bool
) -> Publication:
    now = asyncio.run(store.look())
    return propose(now, wanted(now), in_place=in_place)


def me() -> str:
    """``user@host``."""
    try:
        user = getpass.getuser()
    except (KeyError, OSError):  # an id without a name, as in containers
        user = "unknown"
    return f"{user}@{socket.gethostname()}"


# -- showing ----------------------------------------------------------------------------------


def told(publication: Publication) -> list[dict[str, Any]]:
    """What would be published, for ``--json`` and for the tables."""
    return operations.told(publication, int(time.time() * 1000))


def _named(spec: Spec) -> dict[str, Any]:
    return {"kind": spec.kind, "key": spec.key, "version": spec.version, "digest": spec.digest}


def show_publication(publication: Publication, rows: list[dict[str, Any]]) -> None:
    """Print what would be published, of which :func:`told` made the rows."""
    for name, fields in publication.kept.items():
        out.print(
            f"{name}: {' and '.join(fields)} stay as they were set: the file does not say",
            highlight=False,
        )
    for spec in publication.unchanged:
        out.print(f"{spec.kind} {spec.meta.label}: unchanged", highlight=False)
    for one, row in zip(publication.proposed, rows, strict=True):
        out.print(f"[bold]{one.spec.kind} {one.spec.meta.label}[/]: {_news(one)}", highlight=False)
        if (one.before is not None or one.held is not None) and one.differences:
            listed = table("field", "before", "after")
            for difference in one.differences:
                listed.add_row(difference.path, _value(difference.before), _value(difference.after))
            out.print(listed)
        if row["impact"] is not None:
            _show_impact(row["impact"])


def _news(one: Proposed) -> str:
    if one.before is not None and one.before.digest == one.spec.digest:
        return "as the files have it, and published from now on"
    if one.before is not None:
        return f"changes, {one.before.digest} to {one.spec.digest}"
    if one.held is not None:
        return f"a new version; {one.held.version} holds now"
    return "new"


def _show_impact(found: dict[str, Any]) -> None:
    out.print(
        f"of {found['units']:,} units {found['after']:,} take part, {found['before']:,} before: "
        f"{found['joined']:,} join, {found['left']:,} leave, {found['moved']:,} change variant",
        highlight=False,
    )
    if found["versionAfter"] not in {found["versionBefore"], None} and found["versionBefore"]:
        out.print(
            f"{found['versionAfter']} takes the place of {found['versionBefore']}",
            highlight=False,
        )
    for note in found["notes"]:
        out.print(f"({note})", highlight=False, markup=False)


def _value(value: object) -> str:
    if value is None:
        return "-"
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text.replace("[", r"\[")
