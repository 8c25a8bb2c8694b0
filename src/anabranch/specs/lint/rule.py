"""What a lint rule is, what it may look at, and what it finds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from functools import cached_property
from inspect import cleandoc
from typing import Any, Final

from anabranch.specs.catalog import Catalog
from anabranch.specs.experiment import ExperimentSpec
from anabranch.specs.explain import Path, spell
from anabranch.specs.spec import Spec

__all__ = ["RULES", "Facts", "Finding", "Found", "Rule", "Severity", "SpecId", "World", "rule"]

SpecId = tuple[str, str, str]
"""Kind, key and version."""


@dataclass(frozen=True, slots=True)
class Found:
    """Where in the spec, and what is wrong there together with what to do."""

    path: Path
    message: str


class Severity(StrEnum):
    """How bad it is: an error fails the command."""

    ERROR = "error"
    WARNING = "warning"
    INFO = "info"


def _reads_nothing(source: str) -> tuple[tuple[str, ...], ...]:
    del source
    return ()


@dataclass(frozen=True)
class Facts:
    """What the specs do not say themselves. Rules that need what is not given find nothing.

    Attributes:
        now: The time.
        before: The specs as they were, in git or published, by kind, key and version.
        published: Content digests of published specs, where no more than that is known.
        born: When each spec was first there.
        results: The latest results of each run, by key and version of the experiment, in the
            shape of the ``results`` topic.
        paths: The paths that an expression's text reads, like ``("attributes", "plan")``.
        constant: The truth of an expression that reads nothing; None of any other.
        longest: How long an experiment may run.
        most_rules: How many targeting rules are few.
    """

    now: datetime | None = None
    before: Mapping[SpecId, Spec] = field(default_factory=dict)
    published: Mapping[SpecId, str] = field(default_factory=dict)
    born: Mapping[SpecId, datetime] = field(default_factory=dict)
    results: Mapping[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    paths: Callable[[str], Iterable[tuple[str, ...]]] = _reads_nothing
    constant: Callable[[str], bool | None] = lambda _: None
    longest: timedelta = timedelta(days=42)
    most_rules: int = 5


@dataclass(frozen=True)
class World:
    """Everything a rule may look at beside the experiment."""

    catalog: Catalog
    facts: Facts

    @cached_property
    def by_salt(self) -> Mapping[tuple[str, str], Sequence[ExperimentSpec]]:
        """Running experiments by hash and salt, the default salt included."""
        found: dict[tuple[str, str], list[ExperimentSpec]] = {}
        for spec in self.catalog.running():
            salt = spec.allocation.salt
            name = (spec.allocation.hash, spec.key if salt is None else salt)
            found.setdefault(name, []).append(spec)
        return found


Check = Callable[[ExperimentSpec, World], Iterator[Found]]


@dataclass(frozen=True)
class Rule:
    """One rule.

    Attributes:
        code: ``AB`` and three digits; never given to another rule.
        title: What is wrong, in a few words: first line of the check's docstring.
        why: Why it matters and what to do: the rest of the docstring.
        practice: The number of the best practice that it is about.
    """

    code: str
    severity: Severity
    check: Check
    practice: int | None = None

    @property
    def name(self) -> str:
        """For people and SARIF: ``changed-without-version``."""
        return self.check.__name__.strip("_").replace("_", "-")

    @property
    def title(self) -> str:
        return cleandoc(self.check.__doc__ or "").split("\n\n", 1)[0].replace("\n", " ")

    @property
    def why(self) -> str:
        return cleandoc(self.check.__doc__ or "").split("\n\n", 1)[1]


RULES: Final[dict[str, Rule]] = {}
"""Every rule by its code, in order of the codes once all modules of rules are imported."""


def rule(code: str, severity: Severity, *, practice: int | None = None) -> Callable[[Check], Check]:
    """Make a function a rule; its docstring is its documentation."""

    def add(check: Check) -> Check:
        if code in RULES:
            raise ValueError(f"{code} is {RULES[code].name} already: take another code")
        RULES[code] = Rule(code, severity, check, practice)
        return check

    return add


@dataclass(frozen=True)
class Finding:
    """What a rule found.

    Attributes:
        spec: Kind, key and version.
        path: Within the spec.
        place: File and line from 1, where known.
    """

    rule: Rule
    spec: SpecId
    path: Path
    message: str
    file: str | None = None
    line: int | None = None

    @property
    def place(self) -> str:
        return ":".join(str(part) for part in (self.file, self.line) if part is not None)

    def __str__(self) -> str:
        kind, key, version = self.spec
        where = f"{spell(self.path)}: " if self.path else ""
        place = f"{self.place}: " if self.place else ""
        head = f"{place}{self.rule.code} {self.rule.severity}"
        return f"{head}: {kind} {key} {version}: {where}{self.message}"

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        kind, key, version = self.spec
        return {
            "code": self.rule.code,
            "name": self.rule.name,
            "severity": str(self.rule.severity),
            "kind": kind,
            "key": key,
            "version": version,
            "path": spell(self.path),
            "message": self.message,
            "file": self.file,
            "line": self.line,
        }
