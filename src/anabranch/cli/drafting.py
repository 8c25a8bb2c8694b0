"""What ``anabranch create`` does once it knows what was given: ask, check, show, write."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import typer
import yaml
from rich.syntax import Syntax

from anabranch.authoring.drafts import file_name, merged, missing, problems, spec_of
from anabranch.authoring.preview import Preview, preview
from anabranch.authoring.workspace import modeline
from anabranch.cli.console import errors, out, table
from anabranch.cli.lint import expression_constant, expression_paths
from anabranch.cli.wizard.asker import Asker, TerminalAsker
from anabranch.errors import SpecError, SpecLoadError, SpecReferenceError
from anabranch.settings import load_settings
from anabranch.specs import (
    Catalog,
    ExperimentSpec,
    PolicySpec,
    Spec,
    TargetedAllocation,
    TelemetrySpec,
)
from anabranch.specs.lint import Facts, Finding, lint_catalog
from anabranch.specs.loading import gather, load_files, scan_files
from anabranch.specs.writing import FORMATS, write

Ask = Callable[[Asker, Mapping[str, Any], Catalog], dict[str, Any]]
Complete = Callable[[dict[str, Any]], dict[str, Any]]

_LANGUAGE: Final = {".py": "python", ".yaml": "yaml", ".json": "json"}
_SCHEMA: Final = ".schemas/specs.schema.json"


@dataclass(frozen=True, slots=True)
class Output:
    """Where the spec goes, and how.

    Attributes:
        directory: The specs folder; that of the settings, else ``specs``, when not given.
        file: The file; made of the key when not given.
        suffix: Its format; as the file says, else ``.py``, when not given.
        yes: Ask nothing.
        force: Overwrite the file.
        dry_run: Write nothing.
        as_json: Tell what was done as JSON; asks nothing.
    """

    directory: Path | None
    file: Path | None
    suffix: str | None
    yes: bool
    force: bool
    dry_run: bool
    as_json: bool

    @property
    def asks(self) -> bool:
        """Whether there is somebody to ask."""
        return not (self.yes or self.as_json) and sys.stdin.isatty() and sys.stdout.isatty()

    @property
    def folder(self) -> Path:
        if self.directory is not None:
            return self.directory
        specs = load_settings().specs
        if specs is None:
            return Path("specs")
        return specs.parent if specs.is_file() else specs

    def path(self, spec: Spec) -> Path:
        """The file to write.

        Raises:
            BadParameter: Its suffix is not that of the format, or is none of a spec.
        """
        if self.file is None:
            return self.folder / file_name(spec, self.suffix or ".py")
        given = ".yaml" if self.file.suffix == ".yml" else self.file.suffix
        if given not in FORMATS or self.suffix not in {None, given}:
            wanted = self.suffix or ", ".join(FORMATS)
            raise typer.BadParameter(f"{self.file} does not end in {wanted}", param_hint="--file")
        return self.file


def given_by(kind: str, source: Path | None, flags: Mapping[str, Any]) -> dict[str, Any]:
    """The document that flags and a file of answers give; flags go before the file.

    Raises:
        SpecLoadError: The file holds no object, or not exactly one spec of that kind.
    """
    return merged({} if source is None else _answers(kind, source), flags)


def _answers(kind: str, source: Path) -> dict[str, Any]:
    if source.suffix == ".py":
        found = [one.spec.document for one in load_files(source) if one.spec.kind == kind]
    else:
        try:
            read = yaml.safe_load_all(source.read_text(encoding="utf-8-sig"))
            documents = [one for one in read if isinstance(one, dict)]
        except yaml.YAMLError as error:
            raise SpecLoadError(f"{source} is neither YAML nor JSON: {error}") from error
        found = [one for one in documents if one.get("kind", kind) == kind]
    if len(found) != 1:
        raise SpecLoadError(f"{source} holds {len(found)} of kind {kind}, and one is wanted")
    return {name: value for name, value in found[0].items() if name != "kind"}


def create(
    kind: str,
    document: dict[str, Any],
    output: Output,
    *,
    complete: Complete = dict,
    preview_context: str | None = None,
) -> None:
    """Make a spec of a document, asking for what it lacks, show it and write it.

    Args:
        kind: Of the spec.
        document: What is known.
        output: Where it goes.
        complete: Adds what needs the answers, before the spec is made.
        preview_context: Attributes and flags of the preview's units, as JSON.

    Raises:
        SpecError: The spec is wrong, there already, or refers to what is not there.
        SettingsError: Questions cannot be asked.
    """
    folder = output.folder
    catalog = _catalog(folder)
    context = _context(preview_context)
    asker = TerminalAsker() if output.asks else None
    if asker is not None:
        document = _ask(kind)(asker, document, catalog)
    lacking = missing(kind, document)
    if lacking:
        raise typer.BadParameter("; ".join(f"{one.flag} is missing: {one.what}" for one in lacking))
    document = complete(document)
    try:
        spec = spec_of(kind, document, catalog)
    except SpecError:
        if asker is not None:  # the answers are not to be lost
            errors.print("what was answered, for --from:")
            errors.print(yaml.safe_dump(document, sort_keys=False), markup=False, highlight=False)
        raise
    if asker is not None and context is None and _targets(spec):
        given = asker.text(
            "Attributes and flags that every unit of the preview carries, as JSON like "
            '{"attributes": {"plan": "pro"}} (empty: none)',
            check=_context_check,
        )
        context = _context(given or None)
    path = output.path(spec)
    extended, wrong = problems(spec, _without(catalog, path, spec))
    if wrong and not output.asks:
        raise SpecReferenceError("\n".join(wrong))
    now = datetime.now(UTC)
    found = list(_lints(spec, extended, now))
    tried = (
        asyncio.run(preview(spec, extended, now, context=context))
        if isinstance(spec, ExperimentSpec) and not wrong
        else None
    )
    text = _text(spec, path)
    if not output.as_json:
        _show(path, text, found, tried, wrong)
    written = not output.dry_run and _may_write(path, output, wrong=bool(wrong))
    if written:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode())
    if output.as_json:
        told = {
            "file": str(path),
            "written": written,
            "spec": spec.document,
            "lints": [one.as_dict() for one in found],
            "preview": None if tried is None else tried.as_dict(),
        }
        out.print_json(json.dumps(told))
    elif written:
        out.print(f"[green]written[/] {path}", highlight=False, soft_wrap=True)
    elif not output.dry_run:
        errors.print("nothing was written")
        raise typer.Exit(1)


def _ask(kind: str) -> Ask:
    from anabranch.cli.wizard.experiment import ask_experiment  # noqa: PLC0415 - only to ask
    from anabranch.cli.wizard.policy import ask_policy  # noqa: PLC0415
    from anabranch.cli.wizard.telemetry import ask_telemetry  # noqa: PLC0415

    return {
        ExperimentSpec.kind: ask_experiment,
        TelemetrySpec.kind: ask_telemetry,
        PolicySpec.kind: ask_policy,
    }[kind]


def _catalog(folder: Path) -> Catalog:
    """The specs found in the folder; what is broken is told of and left out."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return Catalog()
    loaded, broken = scan_files(folder)
    catalog, twice = gather(loaded)
    for error in [*(broken if loaded else ()), *twice]:
        errors.print(f"left out: {error}", style="yellow", markup=False, highlight=False)
    return catalog


def _without(catalog: Catalog, path: Path, spec: Spec) -> Catalog:
    """The catalog less what the file holds that is to be overwritten."""
    if not path.exists():
        return catalog
    try:
        there = {(one.spec.kind, one.spec.key, one.spec.version) for one in load_files(path)}
    except SpecError:  # it is asked about before it is overwritten
        return catalog
    if (spec.kind, spec.key, spec.version) not in there:
        return catalog
    return Catalog.of(one for one in catalog if (one.kind, one.key, one.version) not in there)


def _context(given: str | None) -> dict[str, Any] | None:
    if given is None:
        return None
    try:
        found = json.loads(given)
    except json.JSONDecodeError as error:
        raise typer.BadParameter(f"is not JSON: {error}", param_hint="--preview-context") from error
    if not isinstance(found, dict) or set(found) - {"attributes", "flags"}:
        raise typer.BadParameter(
            'is an object like {"attributes": {"plan": "pro"}, "flags": ["beta"]}',
            param_hint="--preview-context",
        )
    return found


def _context_check(given: str) -> str | None:
    try:
        _context(given or None)
    except typer.BadParameter as error:
        return error.message
    return None


def _targets(spec: Spec) -> bool:
    return isinstance(spec, ExperimentSpec) and isinstance(spec.allocation, TargetedAllocation)


def _lints(spec: Spec, catalog: Catalog, now: datetime) -> Iterator[Finding]:
    facts = Facts(now=now, paths=expression_paths, constant=expression_constant)
    for one in lint_catalog(catalog, facts):
        if one.spec == (spec.kind, spec.key, spec.version):
            yield one


def _text(spec: Spec, path: Path) -> str:
    """The file's text; YAML begins with its schema where the folder has one."""
    suffix = ".yaml" if path.suffix == ".yml" else path.suffix
    text = write(spec, suffix)
    if suffix != ".yaml":
        return text
    for folder in (path.parent, *path.parent.parents):
        if (folder / _SCHEMA).is_file():
            return modeline(Path(os.path.relpath(folder / _SCHEMA, path.parent)).as_posix()) + text
    return text


def _may_write(path: Path, output: Output, *, wrong: bool) -> bool:
    if path.exists() and not output.force:
        if not output.asks:
            raise typer.BadParameter(f"{path} is there: overwrite it by --force, or give --file")
        return typer.confirm(f"{path} is there: overwrite it?", default=False)
    if not output.asks:
        return True
    question = f"Write {path} all the same?" if wrong else f"Write {path}?"
    return typer.confirm(question, default=not wrong)


# -- showing ----------------------------------------------------------------------------------


def _show(
    path: Path, text: str, found: list[Finding], tried: Preview | None, wrong: list[str]
) -> None:
    suffix = ".yaml" if path.suffix == ".yml" else path.suffix
    out.rule(str(path), align="left")
    out.print(Syntax(text, _LANGUAGE[suffix], background_color="default", word_wrap=True))
    out.rule("lints", align="left")
    if found:
        listed = table("code", "severity", "field", "what")
        listed.columns[-1].no_wrap = False
        listed.columns[-1].overflow = "fold"
        for one in found:
            told = one.as_dict()
            listed.add_row(one.rule.code, told["severity"], told["path"], one.message)
        out.print(listed)
    else:
        out.print("no findings")
    if tried is not None:
        _show_preview(tried)
    for problem in wrong:
        errors.print("[bold red]error:[/] ", end="")
        errors.print(problem, markup=False, highlight=False)


def _show_preview(tried: Preview) -> None:
    out.rule("preview", align="left")
    by_weight = ("by weight",) if tried.expected else ()
    listed = table("variant", figures=("units", "share", *by_weight))
    for variant, units in tried.variants.items():
        share = units / tried.enrolled if tried.enrolled else 0
        expected = (f"{tried.expected[variant]:.2%}",) if tried.expected else ()
        listed.add_row(variant, f"{units:,}", f"{share:.2%}", *expected)
    out.print(listed)
    out.print(f"of {tried.units:,} made-up units {tried.enrolled:,} take part", highlight=False)
    for reason, units in tried.left_out.items():
        out.print(f"{units:,} do not: {reason}", highlight=False, markup=False)
    for note in tried.notes:
        out.print(f"({note})", highlight=False, markup=False)
