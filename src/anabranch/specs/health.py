"""What must hold while an experiment runs, and what is done when it does not."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, PlainValidator

from anabranch.specs.base import SpecModel
from anabranch.specs.fields import Seconds

__all__ = ["Guardrail", "Health", "OnBreach", "Tolerance"]

OnBreach = Literal["alert", "pause"]
"""What is done about a breach: an alert alone, or an alert and a pause."""


def _tolerance(value: Any) -> int | float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e308:
        raise ValueError(f"must be a number that is not negative, but is {value!r}")
    return value


Tolerance = Annotated[
    int | float, PlainValidator(_tolerance, json_schema_input_type=Annotated[float, Field(ge=0)])
]
"""A finite number that is not negative."""


class Guardrail(SpecModel):
    """A metric that no variant may harm: each is held against control by the sequential test."""

    tolerance: Tolerance = 0
    """How much worse than control a variant may be, as a difference in the metric's own unit."""
    on_breach: OnBreach | None = None
    """What is done about harm, alert or pause; as the experiment has it when not given."""


class Health(SpecModel):
    """When an experiment's telemetry counts as ill."""

    silence: Seconds = 3600
    """A metric is silent when exposures went on for so long without an event of it, in event time.
    """
