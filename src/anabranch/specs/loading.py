"""Loads specs from files: YAML, JSON and Python."""

from __future__ import annotations

import hashlib
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from os import PathLike
from pathlib import Path
from types import ModuleType
from typing import Final

from pydantic import ValidationError

from anabranch.errors import (
    AnabranchError,
    DuplicateSpecError,
    SpecError,
    SpecLoadError,
    SpecValidationError,
)
from anabranch.specs.catalog import Catalog
from anabranch.specs.documents import kind_of, parse_document
from anabranch.specs.explain import Path as FieldPath
from anabranch.specs.explain import problems, title
from anabranch.specs.marked import Marked, read_json, read_yaml
from anabranch.specs.spec import Spec

__all__ = ["LoadedSpec", "gather", "load_files", "load_specs", "scan_files", "specs_of_text"]

SUFFIXES: Final = (".yaml", ".yml", ".json", ".py")

Check = Callable[[Spec], object]
"""Looks at one spec and raises an AnabranchError where something is wrong with it."""


@dataclass(frozen=True, slots=True)
class LoadedSpec:
    """A spec and where it came from."""

    spec: Spec
    path: Path
    document: Marked | None = field(default=None, compare=False, repr=False)
    """What was read, which knows the line of each field."""

    @property
    def line(self) -> int | None:
        """Where it begins, from 1; None for Python."""
        return self.line_of(())

    def line_of(self, path: FieldPath) -> int | None:
        """Line of a field, or of the nearest part of its path that is written; None for Python."""
        return None if self.document is None else self.document.line(path)

    @property
    def place(self) -> str:
        line = self.line
        return f"{self.path}" if line is None else f"{self.path}:{line}"


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
    catalog, errors = gather(load_files(*paths, check=check))
    _raise(errors)
    return catalog


def load_files(*paths: str | PathLike[str], check: Check | None = None) -> list[LoadedSpec]:
    """The specs of files and folders and where each came from, in order of files.

    In folders, hidden files and folders and ``__pycache__`` are passed over.

    Raises:
        SpecLoadError, SpecValidationError: as :func:`load_specs`; of several things that are wrong
            the first gives the error's type, and the message has them all.
    """
    found, errors = scan_files(*paths, check=check)
    _raise(errors)
    return found


def scan_files(
    *paths: str | PathLike[str], check: Check | None = None
) -> tuple[list[LoadedSpec], list[SpecError]]:
    """As :func:`load_files`: what is right, and what would be raised, one for each spec."""
    found: list[LoadedSpec] = []
    errors: list[SpecError] = []
    for path in map(Path, paths):
        try:
            files = _files_of(path)
        except SpecLoadError as error:
            errors.append(error)
            continue
        before = len(found) + len(errors)
        for file in files:
            for one in _load(file):
                if isinstance(one, SpecError):
                    errors.append(one)
                elif (wrong := _checked(one, check)) is not None:
                    errors.append(wrong)
                else:
                    found.append(one)
        if len(found) + len(errors) == before:
            where = f"put {', '.join(SUFFIXES)} files there"
            errors.append(
                SpecLoadError(
                    f"{path} holds no specs: {where}"
                    if path.is_dir()
                    else f"{path} holds no specs at its top level"
                )
            )
    return found, errors


def gather(loaded: Iterable[LoadedSpec]) -> tuple[Catalog, list[DuplicateSpecError]]:
    """The specs as a catalog, and what is there twice and was left out."""
    catalog = Catalog()
    errors: list[DuplicateSpecError] = []
    seen: dict[tuple[str, str, str], LoadedSpec] = {}
    for one in loaded:
        spec = one.spec
        first = seen.setdefault((spec.kind, spec.key, spec.version), one)
        if first is not one:
            errors.append(
                DuplicateSpecError(
                    f"{spec.kind} {spec.key} {spec.version} is in {first.place} and in "
                    f"{one.place}: give the changed one a new version, or take one away"
                )
            )
            continue
        try:
            catalog.add(spec)
        except DuplicateSpecError as error:
            errors.append(DuplicateSpecError(f"{one.place}: {error}"))
    return catalog, errors


def _raise(errors: Sequence[SpecError]) -> None:
    if len(errors) == 1:
        raise errors[0]
    if errors:
        raise type(errors[0])("\n".join(map(str, errors))) from errors[0]


def _files_of(path: Path) -> Iterable[Path]:
    if path.is_dir():
        return _spec_files(path)
    if not path.is_file():
        raise SpecLoadError(f"{path} is not there: name a spec file or a folder of them")
    if path.suffix not in SUFFIXES:
        raise SpecLoadError(f"{path} is no spec file: those end in {', '.join(SUFFIXES)}")
    return [path]


def _checked(loaded: LoadedSpec, check: Check | None) -> SpecValidationError | None:
    """What the check finds wrong."""
    if check is None:
        return None
    try:
        check(loaded.spec)
    except AnabranchError as error:
        wrong = SpecValidationError(
            f"{loaded.place}: {loaded.spec.kind} {loaded.spec.meta.label}: {error}"
        )
        wrong.__cause__ = error
        return wrong
    return None


def _spec_files(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        parts = path.relative_to(folder).parts
        if any(part.startswith(".") or part == "__pycache__" for part in parts):
            continue
        if path.suffix in SUFFIXES and path.is_file():
            yield path


def _load(path: Path) -> Iterator[LoadedSpec | SpecError]:
    """Each spec, or what is wrong with it; what is wrong with the whole file ends it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        yield SpecLoadError(f"{path} cannot be read: {error}")
        return
    try:
        if path.suffix == ".py":
            for spec in _python_specs(path, text):
                yield LoadedSpec(spec, path)
            return
        read = read_json if path.suffix == ".json" else read_yaml
        for document in read(text, path):
            try:
                yield LoadedSpec(_parse(document, path), path, document)
            except SpecError as error:
                yield error
    except SpecError as error:
        yield error
    except RecursionError:
        yield SpecLoadError(f"{path} is nested too deeply: flatten it")


def specs_of_text(text: str, path: Path) -> list[Spec]:
    """The specs of a file's text, whatever the file itself holds; Python is run.

    Raises:
        SpecLoadError, SpecValidationError: As :func:`load_specs`, of the first that is wrong.
    """
    if path.suffix == ".py":
        return _python_specs(path, text)
    read = read_json if path.suffix == ".json" else read_yaml
    return [_parse(document, path) for document in read(text, path)]


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
