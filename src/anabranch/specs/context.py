"""What targeting expressions may look at: the attributes and flags that applications send."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from anabranch.specs.base import SpecModel
from anabranch.specs.fields import Name
from anabranch.specs.spec import Spec

__all__ = ["ContextAttribute", "ContextSpec"]


class ContextAttribute(SpecModel):
    """One attribute of a context."""

    type: Literal["string", "number", "boolean", "list", "object"] = "string"
    """What its value is."""
    required: bool = False
    """Whether every context carries it."""
    pii: bool = False
    """Whether it is personal data."""
    description: str = ""
    """What it means."""


class ContextSpec(Spec):
    """A context schema: what applications send about who asks.

    It is for people and for ``anabranch lint``, which finds expressions that read something no
    schema declares. Contexts on the stream are not held against it.
    """

    kind: ClassVar[str] = "Context"

    attributes: dict[Name, ContextAttribute] = Field(default_factory=dict)
    """Attribute's name to what it is."""
    flags: tuple[str, ...] = ()
    """Flags that contexts may carry."""
