"""Specs as commands take them: loaded, expressions compiled, references checked."""

from __future__ import annotations

from pathlib import Path

from anabranch.assignment import compile_spec
from anabranch.errors import SettingsError
from anabranch.specs import Catalog, load_specs


def checked_catalog(path: Path | None) -> Catalog:
    """The catalog of a file or folder.

    Raises:
        SettingsError: No path was given.
        SpecError: A spec is wrong, or a reference does not hold.
    """
    if path is None:
        raise SettingsError("no specs are named: give --specs PATH or set ANABRANCH_SPECS")
    return load_specs(path, check=compile_spec).check()
