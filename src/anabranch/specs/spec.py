"""Base of whole specs: identity, document and digest."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

from anabranch.specs.base import SpecModel, canonical
from anabranch.specs.digest import digest
from anabranch.specs.meta import Meta

__all__ = ["Spec"]


class Spec(SpecModel):
    """Base of whole specs. ``kind`` is what a YAML or JSON file calls it."""

    kind: ClassVar[str]

    meta: Meta
    """Which spec it is, and who owns it."""

    @property
    def key(self) -> str:
        return self.meta.key

    @property
    def version(self) -> str:
        return self.meta.version

    @property
    def document(self) -> dict[str, Any]:
        """The spec as a JSON or YAML file would hold it, ``kind`` included, defaults left out."""
        return {"kind": type(self).kind, **canonical(self)}

    @cached_property
    def digest(self) -> str:
        """Content digest of :attr:`document`, 16 hexadecimal characters."""
        return digest(self.document)

    def __hash__(self) -> int:
        return hash(self.digest)
