"""``anabranch create``: an experiment, telemetry or a policy, by questions or by flags."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any, TypeVar

import typer

from anabranch.authoring import forms
from anabranch.authoring.drafts import with_overrides
from anabranch.cli import options
from anabranch.cli.drafting import Output, create, given_by
from anabranch.specs import ExperimentSpec, PolicySpec, Stability, TelemetrySpec

app = typer.Typer(add_completion=False, no_args_is_help=True)
Part = TypeVar("Part")


class Format(StrEnum):
    """What file is written."""

    PY = "py"
    YAML = "yaml"
    JSON = "json"


class Allocation(StrEnum):
    """How units come to their variants."""

    RANDOM = "random"
    STICKY = "sticky"
    TARGETED = "targeted"


From = Annotated[
    Path | None,
    typer.Option(
        "--from",
        exists=True,
        dir_okay=False,
        help="Answers: a spec, or a part of one, in YAML, JSON or Python; flags go before it",
    ),
]
Key = Annotated[str | None, typer.Option("--key", help="Key, unique within the kind")]
Version = Annotated[str | None, typer.Option("--version", help="Version; 1.0.0 when not given")]
Title = Annotated[str | None, typer.Option("--title", help="What people call it")]
Description = Annotated[str | None, typer.Option("--description", help="What it is for")]
Domain = Annotated[str | None, typer.Option("--domain", help="Part of the business")]
Owners = Annotated[list[str] | None, typer.Option("--owner", help="Who is responsible; repeatable")]
Tags = Annotated[list[str] | None, typer.Option("--tag", help="To find it by; repeatable")]
Stable = Annotated[Stability | None, typer.Option("--stability", help="How far to rely on it")]
Folder = Annotated[
    Path | None,
    typer.Option("--dir", file_okay=False, help="Specs folder (ANABRANCH_SPECS, else ./specs)"),
]
File = Annotated[
    Path | None, typer.Option("--file", dir_okay=False, help="File to write; made of the key")
]
Form = Annotated[
    Format | None, typer.Option("--format", help="py when neither this nor --file says")
]
Yes = Annotated[bool, typer.Option("--yes", help="Ask nothing: what is not given is left out")]
Force = Annotated[bool, typer.Option("--force", help="Overwrite the file")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Only show it")]


@app.callback()
def group() -> None:
    """Write a spec: by questions on a terminal, by flags, or from a file of answers.

    What flags and --from say is not asked. Elsewhere than on a terminal, and with --yes or --json,
    nothing is asked, and a flag that is missing is named (exit code 2).
    """


@app.command()
def experiment(
    *,
    source: From = None,
    key: Key = None,
    version: Version = None,
    title: Title = None,
    description: Description = None,
    domain: Domain = None,
    owner: Owners = None,
    tag: Tags = None,
    stability: Stable = None,
    variant: Annotated[
        list[str] | None,
        typer.Option("--variant", metavar=forms.FORMS["variant"], help="A variant; repeatable"),
    ] = None,
    control: Annotated[
        str | None, typer.Option("--control", help="Id of the control; the first when not given")
    ] = None,
    override: Annotated[
        list[str] | None,
        typer.Option(
            "--override", metavar=forms.FORMS["override"], help="What it changes; repeatable"
        ),
    ] = None,
    allocation: Annotated[
        Allocation | None, typer.Option("--allocation", help="random when not given")
    ] = None,
    salt: Annotated[
        str | None, typer.Option("--salt", help="Of the split; the key when not given")
    ] = None,
    attribute: Annotated[
        str | None, typer.Option("--attribute", help="Sticky: userId, sessionId, organizationId")
    ] = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar=forms.FORMS["rule"], help="Targeted: in order; repeatable"),
    ] = None,
    fallback: Annotated[
        str | None, typer.Option("--fallback", help="Targeted: control or random")
    ] = None,
    metric: Annotated[
        list[str] | None,
        typer.Option(
            "--metric", metavar=forms.FORMS["metric"], help="A success metric; repeatable"
        ),
    ] = None,
    unit: Annotated[
        list[str] | None,
        typer.Option("--unit", help="Identity that units are told apart by; in order, repeatable"),
    ] = None,
    coverage: Annotated[
        float | None, typer.Option("--coverage", help="Share of eligible units, 0 to 1")
    ] = None,
    start: Annotated[
        str | None, typer.Option("--start", metavar="TIME", help="Takes traffic from; RFC 3339")
    ] = None,
    end: Annotated[
        str | None, typer.Option("--end", metavar="TIME", help="Takes none from then; RFC 3339")
    ] = None,
    status: Annotated[
        str | None, typer.Option("--status", help="draft or running; running when not given")
    ] = None,
    preview_context: Annotated[
        str | None,
        typer.Option("--preview-context", metavar="JSON", help="Attributes and flags to preview"),
    ] = None,
    directory: Folder = None,
    file: File = None,
    form: Form = None,
    yes: Yes = False,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """An experiment: variants, who gets which, what success is measured by.

    Shows the spec, its lints and what 10,000 made-up units would get, and writes one file.
    """
    given = _identity(key, version, title, description, domain, owner, tag, stability)
    given |= _given(controlVariant=control, unit=unit, coverage=coverage, status=status)
    schedule = _given(start=start, end=end)
    if schedule:
        given["schedule"] = schedule
    if variant:
        given["variants"] = _parts("--variant", forms.variant, variant)
    if metric:
        given["successMetrics"] = _parts("--metric", forms.metric, metric)
    kind = allocation or (Allocation.TARGETED if rule else None)
    split = _given(
        type=None if kind is None else kind.value, salt=salt, attribute=attribute, fallback=fallback
    )
    if rule:
        split["rules"] = _parts("--rule", forms.targeting_rule, rule)
    if split:
        given["allocation"] = split
    overrides = _parts("--override", forms.override, override or ())

    def complete(document: dict[str, Any]) -> dict[str, Any]:
        try:
            return with_overrides(document, overrides) if overrides else document
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--override") from error

    create(
        ExperimentSpec.kind,
        given_by(ExperimentSpec.kind, source, given),
        Output(directory, file, _suffix(form), yes, force, dry_run, as_json),
        complete=complete,
        preview_context=preview_context,
    )


@app.command()
def telemetry(
    *,
    source: From = None,
    key: Key = None,
    version: Version = None,
    title: Title = None,
    description: Description = None,
    domain: Domain = None,
    owner: Owners = None,
    tag: Tags = None,
    stability: Stable = None,
    event: Annotated[
        list[str] | None,
        typer.Option("--event", metavar=forms.FORMS["event"], help="An event; repeatable"),
    ] = None,
    directory: Folder = None,
    file: File = None,
    form: Form = None,
    yes: Yes = False,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """Telemetry: the events that may be sent, their properties and how they are protected."""
    given = _identity(key, version, title, description, domain, owner, tag, stability)
    if event:
        given["events"] = _parts("--event", forms.event, event)
    create(
        TelemetrySpec.kind,
        given_by(TelemetrySpec.kind, source, given),
        Output(directory, file, _suffix(form), yes, force, dry_run, as_json),
    )


@app.command()
def policy(
    *,
    source: From = None,
    key: Key = None,
    version: Version = None,
    title: Title = None,
    description: Description = None,
    domain: Domain = None,
    owner: Owners = None,
    tag: Tags = None,
    stability: Stable = None,
    rule: Annotated[
        list[str] | None,
        typer.Option("--rule", metavar=forms.FORMS["policy rule"], help="In order; repeatable"),
    ] = None,
    consent: Annotated[
        list[str] | None,
        typer.Option("--consent", metavar=forms.FORMS["consent"], help="A consent; repeatable"),
    ] = None,
    directory: Folder = None,
    file: File = None,
    form: Form = None,
    yes: Yes = False,
    force: Force = False,
    dry_run: DryRun = False,
    as_json: options.AsJson = False,
) -> None:
    """A policy: who may do what; targeting rules ask for the action experiment_targeting."""
    given = _identity(key, version, title, description, domain, owner, tag, stability)
    if rule:
        given["rules"] = _parts("--rule", forms.policy_rule, rule)
    if consent:
        given["consents"] = _parts("--consent", forms.consent, consent)
    create(
        PolicySpec.kind,
        given_by(PolicySpec.kind, source, given),
        Output(directory, file, _suffix(form), yes, force, dry_run, as_json),
    )


def _identity(
    key: str | None,
    version: str | None,
    title: str | None,
    description: str | None,
    domain: str | None,
    owners: list[str] | None,
    tags: list[str] | None,
    stability: Stability | None,
) -> dict[str, Any]:
    meta = _given(
        key=key,
        version=version,
        title=title,
        description=description,
        domain=domain,
        owners=owners,
        tags=tags,
        stability=None if stability is None else stability.value,
    )
    return {"meta": meta} if meta else {}


def _given(**values: Any) -> dict[str, Any]:
    """What was said; typer gives None or an empty list for what was not."""
    return {name: value for name, value in values.items() if value is not None and value != []}


def _parts(flag: str, read: Callable[[str], Part], lines: Sequence[str]) -> list[Part]:
    found: list[Part] = []
    for line in lines:
        try:
            found.append(read(line))
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint=flag) from error
    return found


def _suffix(form: Format | None) -> str | None:
    return None if form is None else f".{form.value}"
