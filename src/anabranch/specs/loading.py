"""Loads specs from files: YAML, JSON and Python."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Final

from pydantic import ValidationError

from anabranch.errors import AnabranchError, DuplicateSpecError, SpecLoadError, SpecValidationError
from anabranch.specs.catalog import Catalog
from anabranch.specs.documents import kind_of, parse_document
from anabranch.specs.explain import Path as FieldPath
from anabranch.specs.explain import problems, title
from anabranch.specs.marked import Marked, read_json, read_yaml
from anabranch.specs.spec import Spec

__all__ = ["LoadedSpec", "load_files", "load_specs"]

SUFFIXES: Final = (".yaml", ".yml", ".json", ".py")

Check = Callable[[Spec], object]
"""Looks at one spec and raises an AnabranchError where something is wrong with it."""


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A spec and where it came from; ``line`` from 1, None for Python."""

    spec: Spec
    path: Path
    line: int | None = None
    document: Marked | None = field(default=None, compare=False, repr=False)
    """What was read, which knows the line of each field."""

    def line_of(self, path: FieldPath) -> int | None:
        """Line of a field, or of the nearest part of its path that is written; None for Python."""
        return self.line if self.document is None else self.document.line(path)

    @property
    def place(self) -> str:
        return f"{self.path}" if self.line is None else f"{self.path}:{self.line}"


def load_specs(*paths: str | PathLike[str], check: Check | None = None) -> Catalog:
    """The specs of files and folders, as a catalog. References are not checked.

    Args:
        paths: Files, or folders that are searched to their depth.
        check: Called with every spec, for what the models cannot see, such as expressions.

    Raises:
        SpecLoadError: a file cannot be read, or is no spec file, or there is none.
        SpecValidationError: a spec is wrong; the message has file, line and path of the field.
        DuplicateSpecError: two specs have the same key and version; the message has both files.
    """
    catalog = Catalog()
    seen: dict[tuple[str, str, str], LoadedSpec] = {}
    for loaded in load_files(*paths, check=check):
        spec = loaded.spec
        name = (spec.kind, spec.key, spec.version)
        if name in seen:
            raise DuplicateSpecError(
                f"{spec.kind} {spec.key} {spec.version} is in {seen[name].place} and in "
                f"{loaded.place}: give the changed one a new version, or take one away"
            )
        seen[name] = loaded
        try:
            catalog.add(spec)
        except DuplicateSpecError as error:
            raise DuplicateSpecError(f"{loaded.place}: {error}") from error
    return catalog


def load_files(*paths: str | PathLike[str], check: Check | None = None) -> list[LoadedSpec]:
    """The specs of files and folders and where each came from, in order of files.

    In folders, hidden files and folders and ``__pycache__`` are passed over.

    Raises:
        SpecLoadError, SpecValidationError: as :func:`load_specs`.
    """
    found: list[LoadedSpec] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = [one for file in _spec_files(path) for one in _load(file)]
            if not inside:
                raise SpecLoadError(f"{path} holds no specs: put {', '.join(SUFFIXES)} files there")
            found += inside
        elif path.is_file():
            if path.suffix not in SUFFIXES:
                raise SpecLoadError(f"{path} is no spec file: those end in {', '.join(SUFFIXES)}")
            inside = list(_load(path))
            if not inside:
                raise SpecLoadError(f"{path} holds no specs at its top level")
            found += inside
        else:
            raise SpecLoadError(f"{path} is not there: name a spec file or a folder of them")
    if check is not None:
        for loaded in found:
            try:
                check(loaded.spec)
            except AnabranchError as error:
                raise SpecValidationError(
                    f"{loaded.place}: {loaded.spec.kind} {loaded.spec.meta.label}: {error}"
                ) from error
    return found


def _spec_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") or part == "__pycache__" for part in parts):
            continue
        if path.suffix in SUFFIXES and path.is_file():
            yield path


def _load(path: Path) -> Iterator[LoadedSpec]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecLoadError(f"{path} cannot be read: {error}") from error
    if path.suffix == ".py":
        for spec in _python_specs(path, text):
            yield LoadedSpec(spec, path)
        return
    read = read_json if path.suffix == ".json" else read_yaml
    for document in read(text, path):
        yield LoadedSpec(_parse(document, path), path, document.line(), document)


def _parse(document: Marked, path: Path) -> Spec:
    try:
        return parse_document(document.data)
    except SpecLoadError as error:
        raise SpecLoadError(f"{path}:{document.line(('kind',))}: {error}") from error
    except SpecValidationError as error:
        if not isinstance(error.__cause__, ValidationError):
            raise SpecValidationError(f"{path}:{document.line()}: {error}") from error
        model = kind_of(document.data)
        name = title(model, document.data)
        raise SpecValidationError(
            "\n".join(
                f"{path}:{document.line(problem.path)}: {name}: {problem}"
                for problem in problems(model, error.__cause__)
            )
        ) from error


def _python_specs(path: Path, text: str) -> list[Spec]:
    """Specs bound to names at the module's top level, each once, in order."""
    name = f"_anabranch_specs_{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}"
    module = ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and pydantic look their module up by its name
    try:
        exec(compile(text, str(path), "exec"), module.__dict__)  # noqa: S102 - it is a Python file
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        what = (
            str(error) if isinstance(error, AnabranchError) else f"{type(error).__name__}: {error}"
        )
        kind = SpecValidationError if isinstance(error, SpecValidationError) else SpecLoadError
        raise kind(f"{path}:{_line_of(error, path)}: {what}") from error
    found = {id(value): value for value in vars(module).values() if isinstance(value, Spec)}
    return list(found.values())


def _line_of(error: BaseException, path: Path) -> int:
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == str(path)]
    return (lines[-1] if lines else None) or 1
