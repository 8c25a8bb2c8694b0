"""Success metrics: which event, how it adds up, and what is done about noise."""

from __future__ import annotations

from functools import cached_property
from typing import Literal, Self

from pydantic import AliasChoices, Field, model_validator

from anabranch.specs.base import SpecModel
from anabranch.specs.explain import wrong
from anabranch.specs.fields import Amount, Key, Name, Seconds, Version
from anabranch.specs.health import Guardrail
from anabranch.specs.meta import duplicates

__all__ = [
    "Aggregation",
    "Covariate",
    "Denominator",
    "SuccessMetric",
    "TelemetryEventRef",
    "Winsorize",
]

Aggregation = Literal[
    "count", "avg", "sum", "unique", "ratio", "funnel", "p50", "p75", "p90", "p95", "p99"
]
"""How a metric's events add up; pNN is a quantile, over events or over units."""


class TelemetryEventRef(SpecModel):
    """A reference to an event that a TelemetrySpec declares; its version is the event's own."""

    key: Key = Field(validation_alias=AliasChoices("key", "name"))
    """The event's key; ``name`` is the older spelling."""
    version: Version
    """The event's own version, not that of its TelemetrySpec."""

    @property
    def label(self) -> str:
        return f"{self.key} {self.version}"


class Denominator(SpecModel):
    """What a ratio is over: occurrences of an event, or the sum of one of its properties."""

    telemetry_event: TelemetryEventRef
    """The event that the ratio is over."""
    property: str | None = None
    """Numeric property to add up; occurrences are counted when not given."""


class Winsorize(SpecModel):
    """Bounds of a unit's total, beyond which it counts as the bound.

    So a few extreme units do not drown the rest. To be chosen before the data are seen.
    """

    lower: Amount | None = None
    """Least total of a unit; not above 0, which is the total of a unit that did nothing."""
    upper: Amount | None = None
    """Greatest total of a unit; not below 0."""

    @model_validator(mode="after")
    def _bounds_hold_zero(self) -> Self:
        if self.lower is None and self.upper is None:
            raise wrong((), "has neither bound: give lower, upper or both")
        if self.lower is not None and self.lower > 0:
            raise wrong(
                ("lower",), f"is {self.lower}: units that did nothing have 0, so give 0 or less"
            )
        if self.upper is not None and self.upper < 0:
            raise wrong(
                ("upper",), f"is {self.upper}: units that did nothing have 0, so give 0 or more"
            )
        return self


class Covariate(SpecModel):
    """What a unit did before its first exposure, to take out what it would have done anyway.

    Deng, Xu, Kohavi and Walker, "Improving the sensitivity of online controlled experiments by
    utilizing pre-experiment data" (CUPED), WSDM 2013.
    """

    window: Seconds
    """How long before first exposure the metric's event is looked at, in seconds. What a unit did
    is remembered for the deduplication horizon, 7 days unless set otherwise."""


class SuccessMetric(SpecModel):
    """An outcome: a telemetry event and how its occurrences add up per variant."""

    name: Name
    """What people call it; unique within the experiment."""
    telemetry_event: TelemetryEventRef
    """The event that is measured."""
    aggregation: Aggregation
    """How its occurrences add up: count, avg, sum, unique, ratio, funnel, or p50 to p99."""
    per: Literal["event", "unit"] = "event"
    """What a quantile is over: the events' values, or the units' totals; a unit that did nothing
    has a total of 0."""
    property: str | None = None
    """Numeric property of the event that avg, sum and quantiles aggregate; inferred where the
    event has only one. A ratio and a quantile per unit count occurrences when it is not given."""
    denominator: Denominator | None = None
    """What a ratio is over; its own event and property are the numerator."""
    steps: tuple[TelemetryEventRef, ...] = ()
    """Of a funnel, the events that have to follow its own, in order."""
    winsorize: Winsorize | None = None
    """Bounds of a unit's total; for count, sum and avg."""
    covariate: Covariate | None = None
    """Adjusts for what units did before; for count, sum, avg and unique."""
    exclude_prior: bool = False
    """Whether units that had the event before their first exposure are left out of the metric, as
    far back as units are remembered; for count, sum, avg and unique. They are counted."""
    target: Amount | None = None
    """The value hoped for."""
    direction: Literal["increase", "decrease"] = "increase"
    """Which way is better."""
    guardrail: Guardrail | None = None
    """Makes it a metric that no variant may harm; ``{}`` tolerates none and raises an alert."""
    window: Seconds | None = None
    """Attribution window after the unit's first exposure, in seconds; no end when not given."""
    after: Seconds | None = None
    """How long after first exposure attribution begins, in seconds; at once when not given. With
    ``unique`` and a window it is retention: units that came back in days 1 to 7."""

    @cached_property
    def needs_property(self) -> bool:
        """Whether the aggregation is over a value rather than over occurrences or units."""
        if self.aggregation == "ratio" or self.per == "unit":
            return self.property is not None
        return self.aggregation not in {"count", "unique", "funnel"}

    @model_validator(mode="after")
    def _property_has_a_use(self) -> Self:
        if self.property is not None and not self.needs_property:
            raise wrong(
                ("property",),
                f"{self.aggregation} counts occurrences, not values: leave property out, or "
                "aggregate by sum, avg or a quantile",
            )
        return self

    @model_validator(mode="after")
    def _units_have_quantiles(self) -> Self:
        if self.per == "unit" and not self.aggregation.startswith("p"):
            raise wrong(
                ("per",),
                f"unit has no use in {self.aggregation}: only quantiles are over events or over "
                "units, and all else is compared over units anyway; leave per out",
            )
        return self

    @model_validator(mode="after")
    def _window_is_not_empty(self) -> Self:
        if self.after is not None and self.window is not None and self.after >= self.window:
            raise wrong(
                ("after",),
                f"is {self.after} s, and the window ends {self.window} s after first exposure: "
                "nothing lies between; both are counted from first exposure",
            )
        return self

    @model_validator(mode="after")
    def _steps_are_a_funnel(self) -> Self:
        if self.aggregation != "funnel":
            if self.steps:
                raise wrong(
                    ("steps",),
                    f"have no use in {self.aggregation}: leave them out, or aggregate by funnel",
                )
            return self
        if not self.steps:
            raise wrong(
                ("steps",), "are missing: name the events that follow the funnel's own, in order"
            )
        for twice in duplicates(ref.label for ref in (self.telemetry_event, *self.steps)):
            raise wrong(("steps",), f"hold {twice} twice: each step is an event of its own")
        return self

    @model_validator(mode="after")
    def _parts_fit_the_aggregation(self) -> Self:
        if self.aggregation == "ratio" and self.denominator is None:
            raise wrong(("denominator",), "is missing: a ratio needs the event that it is over")
        if self.aggregation != "ratio" and self.denominator is not None:
            raise wrong(
                ("denominator",),
                f"has no use in {self.aggregation}: leave it out, or aggregate by ratio",
            )
        for name, part, fits in (
            ("winsorize", self.winsorize, ("count", "sum", "avg")),
            ("covariate", self.covariate, ("count", "sum", "avg", "unique")),
        ):
            if part is not None and self.aggregation not in fits:
                raise wrong((name,), f"does not fit {self.aggregation}: it fits {', '.join(fits)}")
        return self

    @model_validator(mode="after")
    def _prior_can_be_excluded(self) -> Self:
        fits = ("count", "sum", "avg", "unique")
        if self.exclude_prior and self.aggregation not in fits:
            raise wrong(
                ("excludePrior",), f"does not fit {self.aggregation}: it fits {', '.join(fits)}"
            )
        if self.exclude_prior and self.covariate is not None:
            raise wrong(
                ("excludePrior",),
                "has no use beside a covariate: of the units that are left none did anything "
                "before; leave one of them out",
            )
        return self
