"""``anabranch promote``: the winner becomes canonical, and its experiment is completed."""

from __future__ import annotations

import asyncio
import difflib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import typer
from rich.syntax import Syntax

from anabranch.assignment import compile_spec
from anabranch.authoring.evidence import Evidence, judge
from anabranch.authoring.promotion import Promotion
from anabranch.authoring.promotion import promote as promotion
from anabranch.cli import lifecycle, options
from anabranch.cli.console import errors, out
from anabranch.errors import LifecycleError, SettingsError, UnknownSpecError
from anabranch.events.cloudevents import format_time
from anabranch.events.models import Results
from anabranch.lifecycle import Action, Publication, Published, SpecName, find, propose, transition
from anabranch.runtime.client import kafka_client
from anabranch.runtime.spec_logs import read_all
from anabranch.settings import Settings, load_settings
from anabranch.specs import ExperimentSpec, Spec
from anabranch.specs.loading import load_files
from anabranch.topology import Names


def promote(
    key: lifecycle.Key,
    *,
    variant: Annotated[str, typer.Option("--variant", help="Id of the winner")],
    version: lifecycle.Version = None,
    metric: Annotated[
        str | None,
        typer.Option("--metric", help="Name of the metric that decides; the first when not given"),
    ] = None,
    bootstrap: options.Bootstrap = None,
    prefix: options.Prefix = None,
    specs: options.Specs = None,
    force: Annotated[
        bool, typer.Option("--force", help="Although the results do not support it; wants --why")
    ] = False,
    files_only: Annotated[
        bool,
        typer.Option("--files-only", help="Change the files, and leave the experiment as it is"),
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what would change")] = False,
    why: lifecycle.Why = "",
    who: lifecycle.Who = None,
    yes: lifecycle.Yes = False,
    as_json: options.AsJson = False,
) -> None:
    """Write the winner's overrides into the spec files that they override, and complete it.

    The results must support it: no sample ratio mismatch, the first metric better for certain, no
    other one worse for certain. Targets that are published are published again with the change,
    in one transaction with the experiment.
    """
    if force and not why.strip():
        raise typer.BadParameter("say why: --force wants --why REASON, for the audit")
    asking = not (yes or dry_run)
    if asking and (as_json or not sys.stdin.isatty()):
        raise typer.BadParameter("nobody can be asked here: say --yes, or --dry-run to look only")
    settings = load_settings(bootstrap=bootstrap, prefix=prefix, specs=specs)
    if settings.specs is None:
        raise SettingsError(
            "no files are named: give the folder with the target specs by --specs PATH or "
            "ANABRANCH_SPECS"
        )
    store = lifecycle.spec_store(settings)
    now = asyncio.run(store.look())
    spec = find(now, key, kind=ExperimentSpec.kind, version=version)
    if not isinstance(spec, ExperimentSpec):  # for the type checker: its kind was asked for
        raise UnknownSpecError(f"there is no Experiment {key!r}")
    status = transition(spec, Action.PROMOTE)
    loaded = load_files(settings.specs, check=compile_spec)
    before = {one.path: _text(one.path) for one in loaded}
    made = promotion(spec, variant, loaded, before)
    try:
        evidence = judge(spec, variant, _results(settings, spec), metric)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--metric") from error
    if evidence.objections and not force:
        raise LifecycleError(_refusal(spec, variant, evidence))
    publication = None
    if not files_only:
        completed = spec.model_copy(update={"status": status})
        publication = propose(now, [completed, *_published(now, made.targets)])
    diffs = {path: _diff(path, before[path], text) for path, text in made.texts.items()}
    if not as_json:
        _show(spec, variant, evidence, made, diffs, publication)
    writing = not dry_run
    if writing and asking and not typer.confirm("Do it?", default=False, err=True):
        errors.print("nothing was changed")
        raise typer.Exit(1)
    if writing:
        with _written(made.texts, before):
            if publication is not None and publication.proposed:
                reason = f"variant {variant}: {why}" if why else f"variant {variant}"
                entries = publication.entries(
                    at=format_time(int(time.time() * 1000)),
                    who=who or lifecycle.me(),
                    action=str(Action.PROMOTE),
                    why=reason,
                )
                asyncio.run(store.publish(publication, list(entries)))
    if as_json:
        out.print_json(
            json.dumps(
                {
                    "experiment": spec.key,
                    "version": spec.version,
                    "variant": variant,
                    "done": writing,
                    "findings": evidence.findings,
                    "objections": evidence.objections,
                    "files": [{"path": str(path), "diff": diff} for path, diff in diffs.items()],
                    "notes": made.notes,
                    "specs": [] if publication is None else lifecycle.told(publication),
                }
            )
        )
    elif writing:
        for path in made.texts:
            out.print(f"[green]written[/] {path}", highlight=False, soft_wrap=True)
        if publication is not None and publication.proposed:
            names = ", ".join(one.spec.meta.label for one in publication.proposed)
            out.print(f"[green]published[/] {names}", highlight=False)


def _results(settings: Settings, spec: ExperimentSpec) -> Results | None:
    """The latest results of the version; None where there are none."""
    topic = Names(settings.prefix).topic("results")
    records = asyncio.run(read_all(kafka_client(settings), [topic]))[topic]
    wanted = f"{spec.key}|{spec.version}".encode()
    values = [record.value for record in records if record.key == wanted]
    if not values or values[-1] is None:
        return None
    return msgspec.json.decode(values[-1], type=Results)


def _refusal(spec: ExperimentSpec, variant: str, evidence: Evidence) -> str:
    lines = "\n".join(f"- {one}" for one in evidence.objections)
    return (
        f"the results of {spec.meta.label} do not support promoting {variant!r}:\n{lines}\n"
        "Let it run on, or promote it all the same by --force --why REASON"
    )


def _published(now: Published, targets: Sequence[Spec]) -> list[Spec]:
    """Those of the targets that the topic says: the files are only underneath it."""
    return [spec for spec in targets if SpecName.of(spec) in now.specs.said]


def _text(path: Path) -> str:
    """As it is, line ends and byte order mark included."""
    return path.read_bytes().decode("utf-8")


@contextmanager
def _written(texts: Mapping[Path, str], before: Mapping[Path, str]) -> Iterator[None]:
    """The files with their new texts; with the old ones again where what follows fails."""
    try:
        for path, text in texts.items():
            path.write_bytes(text.encode())
        yield
    except BaseException:
        for path in texts:
            path.write_bytes(before[path].encode())
        raise


def _diff(path: Path, before: str, after: str) -> str:
    return "".join(
        difflib.unified_diff(
            before.splitlines(keepends=True),
            after.splitlines(keepends=True),
            f"a/{path.as_posix()}",
            f"b/{path.as_posix()}",
        )
    )


def _show(
    spec: ExperimentSpec,
    variant: str,
    evidence: Evidence,
    made: Promotion,
    diffs: Mapping[Path, Any],
    publication: Publication | None,
) -> None:
    out.print(f"[bold]{spec.meta.label}[/], variant {variant}", highlight=False)
    for one in evidence.findings:
        out.print(f"[green]✓[/] {one}", highlight=False)
    for one in evidence.objections:
        out.print(f"[red]✗[/] {one}", highlight=False)
    for note in made.notes:
        out.print(f"({note})", highlight=False, markup=False)
    for diff in diffs.values():
        out.print(Syntax(diff, "diff", background_color="default"))
    if publication is not None:
        lifecycle.show_publication(publication, lifecycle.told(publication))
