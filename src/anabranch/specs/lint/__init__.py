"""Lint: what is valid and still unwise. Rules are pure; git, results and time come in as facts."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from anabranch.specs.catalog import Catalog
from anabranch.specs.experiment import ExperimentSpec, Status
from anabranch.specs.lint import allocation, measuring, practices
from anabranch.specs.lint.ignores import Ignore, read_ignores
from anabranch.specs.lint.rule import (
    RULES,
    Facts,
    Finding,
    Found,
    Rule,
    Severity,
    SpecId,
    World,
    rule,
)
from anabranch.specs.lint.sarif import sarif
from anabranch.specs.loading import LoadedSpec

__all__ = [
    "RULES",
    "Facts",
    "Finding",
    "Ignore",
    "Rule",
    "Severity",
    "SpecId",
    "World",
    "lint",
    "lint_catalog",
    "read_ignores",
    "sarif",
]

_OF_RULES = (allocation, measuring, practices)  # importing them fills RULES


@rule("AB901", Severity.ERROR)
def ignored_without_reason(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """An ignore comment gives no code, one that is no rule's, or no reason.

    Write `# anabranch: ignore AB110 -- internal tool, everybody may see it`.
    """
    del spec, world  # found in the files' text, see lint
    yield from ()


@rule("AB902", Severity.WARNING)
def ignores_nothing(spec: ExperimentSpec, world: World) -> Iterator[Found]:
    """An ignore comment silences nothing.

    What it was for is mended, or it stands at the wrong line: above the field that the finding
    names, behind it, or above the whole spec. Take it away.
    """
    del spec, world  # found in the files' text, see lint
    yield from ()


def lint_catalog(catalog: Catalog, facts: Facts | None = None) -> list[Finding]:
    """Everything the rules find in experiments that are not retired, in order of experiments."""
    world = World(catalog, facts or Facts())
    return [
        Finding(one, (spec.kind, spec.key, spec.version), found.path, found.message)
        for spec in catalog.experiments
        if spec.status is not Status.RETIRED
        for one in sorted(RULES.values(), key=lambda r: r.code)
        for found in one.check(spec, world)
    ]


def lint(
    files: Iterable[LoadedSpec], facts: Facts | None = None, texts: Mapping[str, str] | None = None
) -> list[Finding]:
    """As :func:`lint_catalog`, with file and line, less what comments say to ignore.

    Args:
        files: Specs and where they come from.
        facts: What the specs do not say.
        texts: Text of the files by path, for their ignore comments.
    """
    loaded = list(files)
    by_name = {(one.spec.kind, one.spec.key, one.spec.version): one for one in loaded}
    found = [
        Finding(
            one.rule,
            one.spec,
            one.path,
            one.message,
            str(by_name[one.spec].path),
            by_name[one.spec].line_of(one.path),
        )
        for one in lint_catalog(Catalog.of(one.spec for one in loaded), facts)
    ]
    if not texts:
        return found
    comments = {path: list(read_ignores(text)) for path, text in texts.items()}
    used: set[tuple[str, int]] = set()
    kept: list[Finding] = []
    for finding in found:
        start = by_name[finding.spec].line
        said = [
            ignore
            for ignore in comments.get(finding.file or "", ())
            if ignore.reason
            and finding.rule.code in ignore.codes
            and (finding.line is None or _is_about(ignore, finding.line, start))
        ]
        used |= {(finding.file or "", ignore.line) for ignore in said}
        if not said:
            kept.append(finding)
    for path, ignores in comments.items():
        at = next((one for one in loaded if str(one.path) == path), None)
        if at is not None:
            kept += _about_comments(at, ignores, used)
    return kept


def _is_about(ignore: Ignore, line: int, start: int | None) -> bool:
    """The comment's lines, or the whole spec where they reach the spec's first line."""
    return ignore.line <= line <= ignore.last or (
        start is not None and ignore.line <= start == ignore.last
    )


def _about_comments(
    at: LoadedSpec, ignores: Iterable[Ignore], used: set[tuple[str, int]]
) -> Iterator[Finding]:
    path, name = str(at.path), (at.spec.kind, at.spec.key, at.spec.version)
    for ignore in ignores:
        unknown = [code for code in ignore.codes if code not in RULES]
        if not ignore.codes:
            message = "an ignore comment names no code: write `ignore AB110 -- why`"
        elif unknown:
            message = f"an ignore comment names {', '.join(unknown)}, which no rule has"
        elif not ignore.reason:
            message = f"ignores {', '.join(ignore.codes)} without a reason: add `-- why`"
        elif (path, ignore.line) not in used:
            message = f"ignores {', '.join(ignore.codes)}, and there is nothing to ignore"
            yield Finding(RULES["AB902"], name, (), message, path, ignore.line)
            continue
        else:
            continue
        yield Finding(RULES["AB901"], name, (), message, path, ignore.line)
