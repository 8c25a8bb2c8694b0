"""Versions of specs: one canonical spelling, ordered as semantic versions (semver.org, 2.0.0)."""

from __future__ import annotations

from functools import lru_cache

from semver import Version

from anabranch.errors import SpecValidationError

__all__ = ["normalize_version", "spellings", "version_key"]


@lru_cache(maxsize=4096)
def _normalize(version: str) -> str:
    text = version.strip()
    try:
        parsed = Version.parse(text, optional_minor_and_patch=True)
    except ValueError:
        raise SpecValidationError(
            f"version {version!r} is not a semantic version: write 1, '1.2' or '1.2.0'"
        ) from None
    if parsed.build is not None:
        raise SpecValidationError(
            f"version {version!r} has build metadata, which does not take part in the order of "
            f"versions: drop '+{parsed.build}'"
        )
    return str(parsed)


def normalize_version(version: int | str) -> str:
    """The canonical spelling: 1, "1" and "1.0" are "1.0.0"; "1.2" is "1.2.0".

    Raises:
        SpecValidationError: it is not a semantic version, or carries build metadata.
    """
    if isinstance(version, str):
        return _normalize(version)
    if isinstance(version, bool) or not isinstance(version, int):
        raise SpecValidationError(
            f"version {version!r} is neither a whole number nor text: put it in quotes, as in "
            f"'{version}'"
        )
    return _normalize(str(version))


@lru_cache(maxsize=4096)
def version_key(version: str) -> Version:
    """Something that sorts as semantic versions do: "1.10.0" after "1.9.0", "2.0.0-rc.1" before 2.

    Raises:
        SpecValidationError: as :func:`normalize_version`.
    """
    return Version.parse(_normalize(version))


def spellings(version: str) -> list[int | str]:
    """How events may write the canonical version, so that most need no normalising."""
    found: list[int | str] = [version]
    if version.endswith(".0"):
        found.append(version.removesuffix(".0"))
        if version.endswith(".0.0"):
            major = version.removesuffix(".0.0")
            found.append(major)
            if major.isdigit():
                found.append(int(major))
    return found
