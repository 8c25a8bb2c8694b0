"""What every spec says about itself, and how specs refer to each other."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated, Any

from pydantic import AliasChoices, BeforeValidator, Field

from anabranch.specs.base import SpecModel
from anabranch.specs.fields import Key, Version

__all__ = ["Meta", "Ref", "Stability"]


class Stability(StrEnum):
    """How far a spec may be relied on."""

    IDEA = "idea"
    IN_CREATION = "in_creation"
    EXPERIMENTAL = "experimental"
    BETA = "beta"
    STABLE = "stable"
    DEPRECATED = "deprecated"


def _stability(value: Any) -> Any:
    """Accepts ``Experimental`` and ``InCreation`` as the document's StabilityEnum has them."""
    if not isinstance(value, str):
        return value
    folded = value.replace("_", "").replace("-", "").casefold()
    return next((s for s in Stability if s.value.replace("_", "") == folded), value)


class Meta(SpecModel):
    """Identity, ownership and description of a spec."""

    key: Key = Field(validation_alias=AliasChoices("key", "name"))
    """Unique within its kind together with the version; ``name`` is the older spelling."""
    version: Version
    """Semantic version, "1.0.0"; 1 and "1.2" are accepted."""
    title: str = ""
    """What people call it."""
    description: str = ""
    """What it is for."""
    domain: str = ""
    """The part of the business it belongs to, like ``onboarding``."""
    owners: tuple[str, ...] = ()
    """Who is responsible: people or teams."""
    tags: tuple[str, ...] = ()
    """Words to find it by."""
    stability: Annotated[Stability, BeforeValidator(_stability)] = Stability.EXPERIMENTAL
    """How far it may be relied on: idea, in_creation, experimental, beta, stable or deprecated."""
    doc_id: tuple[str, ...] = ()
    """Identifiers of documents about it."""

    @property
    def label(self) -> str:
        """Key and version for messages: ``sigil.onboarding.split_form 1.0.0``."""
        return f"{self.key} {self.version}"


class Ref(SpecModel):
    """A reference to another spec; without a version the latest is meant."""

    key: Key = Field(validation_alias=AliasChoices("key", "name"))
    """The spec's key; ``name`` is the older spelling."""
    version: Version | None = None
    """Its version; the latest when not given."""

    @property
    def label(self) -> str:
        return self.key if self.version is None else f"{self.key} {self.version}"


def duplicates(names: Iterable[str]) -> list[str]:
    """Names that occur more than once, each once, in order."""
    seen: set[str] = set()
    twice: dict[str, None] = {}
    for name in names:
        if name in seen:
            twice[name] = None
        seen.add(name)
    return list(twice)
