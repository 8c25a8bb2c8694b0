"""``anabranch lint``: what is valid and still unwise?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.text import Text

from anabranch.assignment import compile_expression, compile_spec
from anabranch.assignment.expressions import constant, paths
from anabranch.cli.console import out, table
from anabranch.cli.git import Checkout
from anabranch.errors import SettingsError, SpecError
from anabranch.specs import LoadedSpec, load_files
from anabranch.specs.lint import RULES, Facts, Finding, Severity, SpecId, sarif
from anabranch.specs.lint import lint as find
from anabranch.specs.loading import SUFFIXES

_COLOURS = {Severity.ERROR: "bold red", Severity.WARNING: "yellow", Severity.INFO: "dim"}


class Format(StrEnum):
    """How findings are written."""

    TABLE = "table"
    JSON = "json"
    SARIF = "sarif"


def lint(
    paths: Annotated[list[Path], typer.Argument(exists=True, help="Spec files or folders")],
    *,
    since: Annotated[
        str | None,
        typer.Option("--since", metavar="GITREF", help="Compare with the specs there: AB101"),
    ] = None,
    published: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="`anabranch list --json`: AB101"),
    ] = None,
    results: Annotated[
        Path | None,
        typer.Option(exists=True, dir_okay=False, help="`anabranch replay --json`: AB112"),
    ] = None,
    longest: Annotated[
        int, typer.Option(min=1, metavar="DAYS", help="How long an experiment may run: AB102")
    ] = 42,
    ignore: Annotated[
        list[str] | None, typer.Option("--ignore", metavar="CODE", help="Leave out; repeatable")
    ] = None,
    form: Annotated[Format, typer.Option("--format", help="How to write it")] = Format.TABLE,
) -> None:
    """Find what is valid and still unwise in experiments; docs/lints.md explains each code.

    Ends with 1 if there is an error, warnings do not fail it.
    """
    loaded = load_files(*paths, check=compile_spec)
    left_out = _codes(ignore or ())
    checkout = Checkout.of(paths[0])
    facts = Facts(
        now=datetime.now(UTC),
        before={} if since is None else _before(checkout, since, paths),
        published={} if published is None else _published(published, loaded),
        born={} if checkout is None else _born(checkout, loaded),
        results={} if results is None else _results(results),
        paths=expression_paths,
        constant=expression_constant,
        longest=timedelta(days=longest),
    )
    texts = {
        str(one.path): one.path.read_text(encoding="utf-8-sig")
        for one in loaded
        if one.path.suffix != ".json"
    }
    found = [one for one in find(loaded, facts, texts) if one.rule.code not in left_out]
    if form is Format.SARIF:
        typer.echo(json.dumps(sarif(found, version("anabranch")), indent=2))
    elif form is Format.JSON:
        typer.echo(json.dumps([one.as_dict() for one in found], indent=2))
    else:
        _show(found, len(loaded))
    if any(one.rule.severity is Severity.ERROR for one in found):
        raise typer.Exit(1)


@cache
def expression_constant(source: str) -> bool | None:
    """The truth of an expression that reads nothing; None of any other."""
    return constant(compile_expression(source))


@cache
def expression_paths(source: str) -> tuple[tuple[str, ...], ...]:
    """The paths that an expression reads."""
    return paths(compile_expression(source))


def _codes(given: Sequence[str]) -> set[str]:
    for code in given:
        if code not in RULES:
            raise SettingsError(f"no rule has the code {code!r}: docs/lints.md lists them")
    return set(given)


# -- facts ------------------------------------------------------------------------------------


def _before(checkout: Checkout | None, ref: str, given: Sequence[Path]) -> dict[SpecId, Any]:
    if checkout is None:
        raise SettingsError(f"--since {ref}: {given[0]} is in no git repository")
    with checkout.at(ref, given) as places:
        held = [one for one in places if one.is_file() or any(_spec_files(one))]
        try:
            return {_id(one): one.spec for place in held for one in load_files(place)}
        except SpecError as error:
            raise SettingsError(f"--since {ref}: the specs there do not load: {error}") from error


def _spec_files(folder: Path) -> Iterator[Path]:
    return (one for one in folder.rglob("*") if one.suffix in SUFFIXES)


def _born(checkout: Checkout, loaded: Sequence[LoadedSpec]) -> dict[SpecId, datetime]:
    dates = checkout.first_commits({one.path for one in loaded})
    return {_id(one): dates[one.path] for one in loaded if one.path in dates}


def _published(file: Path, loaded: Sequence[LoadedSpec]) -> dict[SpecId, str]:
    """Digests by spec; a status that was changed by an action alone is no change of the spec."""
    rows = _read(file)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise SettingsError(f"{file} is no list of specs: write it with `anabranch list --json`")
    ours = {_id(one): one.spec for one in loaded}
    found: dict[SpecId, str] = {}
    for row in rows:
        name = (str(row.get("kind")), str(row.get("key")), str(row.get("version")))
        spec, digest, status = ours.get(name), row.get("digest"), row.get("status")
        if spec is None or not isinstance(digest, str):
            continue
        same = status is not None and spec.model_copy(update={"status": status}).digest == digest
        found[name] = spec.digest if same else digest
    return found


def _results(file: Path) -> dict[tuple[str, str], Mapping[str, Any]]:
    given = _read(file)
    rows = given if isinstance(given, list) else [given]
    if not all(isinstance(row, dict) and "experiment" in row for row in rows):
        raise SettingsError(f"{file} holds no results: write it with `anabranch replay --json`")
    return {(str(row["experiment"]), str(row.get("version"))): row for row in rows}


def _read(file: Path) -> Any:
    """JSON, or JSON Lines."""
    text = file.read_text(encoding="utf-8")
    try:
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return [json.loads(line) for line in text.splitlines() if line.strip()]
    except json.JSONDecodeError as error:
        raise SettingsError(f"{file}:{error.lineno} is not JSON: {error.msg}") from error


def _id(one: LoadedSpec) -> SpecId:
    return one.spec.kind, one.spec.key, one.spec.version


# -- showing ----------------------------------------------------------------------------------


def _show(found: Sequence[Finding], specs: int) -> None:
    if found:
        listed = table("place", "code", "severity", "experiment", "field", "what")
        listed.columns[-1].no_wrap = False
        listed.columns[-1].overflow = "fold"
        for one in found:
            told = one.as_dict()
            listed.add_row(
                one.place,
                one.rule.code,
                Text(told["severity"], style=_COLOURS[one.rule.severity]),
                f"{told['key']} {told['version']}",
                told["path"],
                one.message,
            )
        out.print(listed)
    counts = dict.fromkeys(Severity, 0)
    for one in found:
        counts[one.rule.severity] += 1
    summary = ", ".join(
        f"{n} {severity}{'' if n == 1 or severity is Severity.INFO else 's'}"
        for severity, n in counts.items()
    )
    out.print(f"{specs} specs: {summary}", highlight=False)
