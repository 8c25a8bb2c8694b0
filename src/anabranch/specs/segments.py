"""By which attributes of contexts the results are told apart, besides as a whole."""

from __future__ import annotations

from typing import Final, Self

from pydantic import Field, model_validator

from anabranch.specs.base import SpecModel
from anabranch.specs.explain import wrong
from anabranch.specs.fields import Name
from anabranch.specs.meta import duplicates

__all__ = ["MOST_VALUES", "OTHER", "Segment"]

OTHER: Final = "other"
"""The segment of units whose attribute has none of the values, or is not there."""

MOST_VALUES: Final = 50
"""Of all segments of an experiment together."""


class Segment(SpecModel):
    """An attribute, and the values of it that results are told for, each by itself.

    The values are named beforehand: so there are never more than that many, and nobody finds, among
    very many, the one in which chance helped. All other units are told as ``other``.
    """

    attribute: Name
    """The attribute of the context; numbers and booleans are compared as JSON writes them."""
    values: tuple[Name, ...] = Field(min_length=1)
    """Its values that are told apart; at most 50 over all segments of an experiment."""

    @model_validator(mode="after")
    def _values_differ(self) -> Self:
        for twice in duplicates(self.values):
            raise wrong(("values",), f"hold {twice!r} twice: give each value once")
        if OTHER in self.values:
            raise wrong(
                ("values",),
                f"hold {OTHER!r}, which stands for the units with none of them: leave it out",
            )
        return self
