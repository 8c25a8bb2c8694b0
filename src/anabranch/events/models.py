"""What travels, as typed structures: the data of each topic's records.

Decoding validates types and names the field that is wrong (msgspec). Names on the wire are
camelCase. Unknown fields are ignored, so that producers may add their own.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from anabranch.assignment import Reason


class _Wire(msgspec.Struct, rename="camel", omit_defaults=True):
    """Base: camelCase on the wire, defaults left out."""


# -- in ---------------------------------------------------------------------------------------


class ContextData(_Wire):
    """Data of ``anabranch.context.v1``: ask for assignments, of one experiment or of all running.

    Attributes:
        exposure: False assigns without exposing: a prefetch is not an exposure.
    """

    experiment: str | None = None
    version: str | int | None = None
    user_id: str | None = None
    organization_id: str | None = None
    session_id: str | None = None
    attributes: dict[str, Any] = {}
    flags: list[str] = []
    exposure: bool = True


class ExposureData(msgspec.Struct, rename="camel"):
    """Data of ``anabranch.exposure.v1``; applications may publish their own.

    Attributes:
        version: Normalised by the reader: 1 and "1.0.0" are the same.
        unit: ``user:123``, ``organization:acme`` or ``session:abc``.
        segments: Attribute to value, of the experiment's segments: those of the unit's first
            exposure hold. A value that the spec does not name counts as ``other``.
    """

    experiment: str
    version: str | int
    variant: str
    unit: str
    reason: str | None = None
    digest: str | None = None
    segments: dict[str, str] | msgspec.UnsetType = msgspec.UNSET


class TelemetryData(_Wire):
    """Data of ``anabranch.telemetry.v1``: something a unit did."""

    name: str
    version: str | int
    user_id: str | None = None
    organization_id: str | None = None
    session_id: str | None = None
    properties: dict[str, Any] = {}


# -- between stages ---------------------------------------------------------------------------


class Claim(_Wire):
    """A variant on its way to what its unit was given first; topic ``claims``.

    It goes where the names of a unit are remembered, from the assign stage to itself: ``look``, at
    the unit's other name, for what that was given; ``settle``, at the unit, which is then assigned;
    ``note``, at the other name, to remember what the unit got. Keyed by the name it goes to.

    Attributes:
        variant: What an evaluation gives now; of a note, what the unit got.
        reason: Why.
        other: The other name of the person, such as the session of a user; None where there is
            none.
        held: What the other name was given; None where nothing is known of it.
        id: The context's CloudEvents id.
        source: The context's CloudEvents source.
        time: The context's event time, milliseconds since the epoch.
        exposure: Whether the unit is shown the variant.
        segments: Of the context, as its exposure will tell them.
    """

    step: Literal["look", "settle", "note"]
    experiment: str
    version: str
    unit: str
    variant: str
    reason: Reason
    id: str
    source: str
    time: int
    other: str | None = None
    held: str | None = None
    exposure: bool = True
    segments: dict[str, str] | None = None


class Observation(_Wire):
    """A checked, redacted telemetry event of one unit; topic ``observations``, keyed by unit.

    Attributes:
        id: The event's CloudEvents id.
        source: The event's CloudEvents source; source and id together are unique.
        version: Canonical, "1.0.0".
        time: Event time, milliseconds since the epoch.
    """

    id: str
    source: str
    name: str
    version: str
    unit: str
    time: int
    properties: dict[str, Any] = {}


class MetricDelta(_Wire):
    """Change of one metric's cumulative moments over units.

    Attributes:
        converted: Units with at least one event, more or fewer by this.
        events: Events counted.
        sum: Exact decimal: change of the sum of the values.
        sum_squares: Exact decimal: change of the sum over units of (unit's total) squared.
        event_squares: Exact decimal: change of the sum over events of the value squared.
        bins: DDSketch bin to count, for quantile metrics.
        capped: Exact decimal: change of the sum over units of the total within its bounds, for
            winsorized metrics; their ``sum_squares`` is of that total.
        beside: Exact decimal: change of the sum of the second total, a ratio's denominator or
            what units did before their exposure.
        beside_squares: Exact decimal: change of the sum over units of (the second total) squared.
        cross: Exact decimal: change of the sum over units of the product of both totals.
        pairs: Of quantiles over events: bin to pairs of a unit's events of which it is the higher.
        others: Of quantiles over events: bin to how many others its events' units have.
        excluded: Units left out of the metric, for what they did before their first exposure.
    """

    converted: int = 0
    events: int = 0
    sum: str = "0"
    sum_squares: str = "0"
    event_squares: str = "0"
    bins: dict[str, int] = {}
    capped: str = "0"
    beside: str = "0"
    beside_squares: str = "0"
    cross: str = "0"
    pairs: dict[str, int] = {}
    others: dict[str, int] = {}
    excluded: int = 0


class VariantDelta(_Wire):
    """Change of one variant: units enrolled, units crossed over, metrics by name."""

    units: int = 0
    crossovers: int = 0
    metrics: dict[str, MetricDelta] = {}


class WindowMetricDelta(_Wire):
    """Change of one metric in one window.

    Attributes:
        units: Distinct units with an event in it.
        beside: Exact decimal: change of the sum of a ratio's denominator.
    """

    units: int = 0
    events: int = 0
    sum: str = "0"
    bins: dict[str, int] = {}
    beside: str = "0"


class WindowDelta(_Wire):
    """Change of one window of one variant; ``start``, ``size`` and ``end`` in milliseconds.

    Attributes:
        end: Of a day of a time zone; that of others is ``start`` plus ``size``.
    """

    start: int
    size: int
    variant: str
    exposures: int = 0
    metrics: dict[str, WindowMetricDelta] = {}
    end: int | None = None


class Delta(_Wire):
    """What one attributed batch changes in one experiment run; topic ``deltas``.

    Keyed by experiment. All sums are exact, so that grouping and order do not matter.

    Attributes:
        source: The attribute stage's partition that made it.
        watermark: That partition's watermark, milliseconds since the epoch.
        as_of: Greatest event time counted in it.
        format: Layout of this structure, raised when it changes. 2 has second totals or bounds,
            3 pairs of events, 4 units left out, and 5 segments, which a reader of less would miss.
        segments: By attribute and value, what the variants' units of that segment change by.
    """

    experiment: str
    version: str
    source: int
    watermark: int
    as_of: int
    variants: dict[str, VariantDelta] = {}
    windows: list[WindowDelta] = []
    format: int = 1
    segments: dict[str, dict[str, dict[str, VariantDelta]]] = {}


# -- out --------------------------------------------------------------------------------------


class AssignmentData(_Wire):
    """Data of ``anabranch.assignment.v1``; topic ``assignments``, keyed ``unit|experiment``.

    Attributes:
        reason: Why this variant: control, random, sticky, targeted.
        digest: Content digest of the spec that decided.
        overrides: The variant's overrides, as the spec has them.
    """

    experiment: str
    version: str
    digest: str
    variant: str
    unit: str
    reason: str
    overrides: list[dict[str, Any]] = []


class Window(_Wire):
    """Bounds of a window; RFC 3339 in UTC, end exclusive; ``size`` like ``1m``, ``1h``, ``1d``."""

    start: str
    end: str
    size: str


class MetricWindow(msgspec.Struct, rename="camel"):
    """Value of ``metric-windows``; keyed ``experiment|version|variant|metric|size|start``.

    Attributes:
        metric: A metric's name, or ``$exposures`` for units first exposed in the window.
        aggregation: The metric's aggregation, or ``exposures``.
        units: Distinct units with an event in the window.
        events: Events in the window.
        sum: Sum of the values of the window's events.
        value: What the aggregation comes to over the window's events; null when there are none.
        revision: 0 until the window closes, then one more with every change after that.
        final: The watermark has passed the window's end and the allowed lateness.
    """

    experiment: str
    version: str
    variant: str
    metric: str
    aggregation: str
    window: Window
    units: int
    events: int
    sum: float
    value: float | None
    revision: int
    final: bool


class VariantResult(_Wire, omit_defaults=False):
    """Units of one arm; crossovers are units that also saw another arm, excluded from units."""

    id: str
    units: int
    crossovers: int


class SampleRatio(_Wire, omit_defaults=False):
    """Sample ratio mismatch: p-values of the units against the expected shares.

    Attributes:
        p_value: Chi-square, valid for one look at a planned size.
        sequential_p_value: Valid at whatever moment one stops, for any number of looks.
    """

    p_value: float | None
    expected: dict[str, float]
    sequential_p_value: float | None = None


class Bounds(_Wire, omit_defaults=False):
    """A confidence interval."""

    low: float
    high: float


class Lift(_Wire, omit_defaults=False):
    """Intervals of the relative lift; null while control's mean is not told from zero."""

    fixed: Bounds | None
    sequential: Bounds | None


class MetricVariantResult(_Wire):
    """One metric of one arm. ``mean`` is per unit, ``event_mean`` per event.

    ``value`` is the aggregation's own value (a quantile, a mean, a count); null without data.

    Attributes:
        units: Units of the arm, less those that are ``excluded``.
        excluded: Units left out of the metric, for what they did before their first exposure. There
            where the metric leaves such units out.
        mean: Of a winsorized metric, of the units' totals within their bounds.
        denominator: Of a ratio: what ``sum`` is over. Not there for others.
        steps: Of a funnel: the units that took each step, in order. Not there for others.
        interval: Of ``mean``, of a ratio of ``value``: 95 %, valid for any number of looks. Not
            there with too little data, nor for quantiles.
        probability_best: Bayesian, with a flat prior: a view, no rule for stopping. Not there with
            too little data, nor for quantiles.
    """

    id: str
    units: int
    events: int
    converted: int
    rate: float | None
    sum: float
    mean: float | None
    event_mean: float | None
    value: float | None
    denominator: float | None = None
    steps: list[int] | None = None
    interval: Bounds | None = None
    probability_best: float | None = None
    excluded: int | msgspec.UnsetType = msgspec.UNSET


class Adjustment(_Wire, omit_defaults=False):
    """How a covariate changed a comparison (CUPED).

    Attributes:
        theta: Slope of the metric on what units did before.
        difference: What it would be without.
        variance_reduction: Share of the variance that is gone, between 0 and 1.
    """

    theta: float
    difference: float
    variance_reduction: float


class Interval(_Wire, omit_defaults=False):
    """A confidence interval of a difference and its two-sided p-value."""

    low: float
    high: float
    p_value: float


class Comparison(_Wire, omit_defaults=False):
    """A variant against control.

    Both intervals are null where there is too little data.

    Attributes:
        fixed: Valid for one look at a planned size only.
        sequential: Valid for any number of looks.
        adjustment: Of a metric with a covariate: the difference, lift and intervals are adjusted.
            Not there for others.
        lift: Intervals of ``relative_lift``. Not there for quantiles.
    """

    variant: str
    control: str
    difference: float | None
    relative_lift: float | None
    fixed: Interval | None
    sequential: Interval | None = None
    adjustment: Adjustment | msgspec.UnsetType = msgspec.UNSET
    lift: Lift | msgspec.UnsetType = msgspec.UNSET


class MetricResult(_Wire, omit_defaults=False):
    """One metric over all arms.

    Attributes:
        per: Of a quantile over units, ``unit``. Not there for others.
    """

    name: str
    aggregation: str
    variants: list[MetricVariantResult]
    comparisons: list[Comparison]
    per: str | msgspec.UnsetType = msgspec.UNSET


class Breach(_Wire):
    """Something that the figures breach at this moment; kinds are those of alerts.

    Attributes:
        metric: The guardrail that is harmed.
        variant: Who harms it.
    """

    kind: str
    metric: str | None = None
    variant: str | None = None


class SegmentName(_Wire):
    """Which part of a run's units: those whose attribute had that value at their first exposure."""

    attribute: str
    value: str


class Results(_Wire, omit_defaults=False):
    """Value of ``results``, keyed ``experiment|version``: one run's cumulative results.

    Also the value of ``segments``, keyed ``experiment|version|attribute|value``: the same of a part
    of the run's units. Crossovers are counted for the whole run only.

    Attributes:
        segment: Of which segment; not there in ``results``.
        as_of: RFC 3339; the greatest event time counted.
        breaches: Guardrails that are harmed and units in other shares than planned, by these
            figures alone; not there where there are none.
    """

    experiment: str
    version: str
    digest: str
    as_of: str
    control: str
    variants: list[VariantResult]
    srm: SampleRatio
    metrics: list[MetricResult]
    breaches: list[Breach] | msgspec.UnsetType = msgspec.UNSET
    segment: SegmentName | msgspec.UnsetType = msgspec.UNSET


class EventCounts(_Wire):
    """Telemetry of one event within one hour, as one batch of the gate saw it.

    Attributes:
        event: Name of the event; empty for all records together.
        version: Its version; empty where the event is.
        start: Where the hour begins, by the records' timestamps, milliseconds since the epoch.
        seen: Records that came.
        refused: Of them, those that went to the dead letters, by error; those whose event could not
            be told are counted with the empty event.
    """

    event: str
    version: str
    start: int
    seen: int = 0
    refused: dict[str, int] = msgspec.field(default_factory=dict)


class TelemetryCounts(_Wire):
    """Value of ``telemetry-counts``: what one batch of the gate saw and refused.

    Attributes:
        until: The greatest timestamp of the batch, milliseconds since the epoch.
        anomalies: Of events that have to be seen more often before their anomalies are told.
    """

    until: int
    events: list[EventCounts]
    anomalies: list[Anomaly]


class Alert(_Wire, omit_defaults=False):
    """Value of ``alerts``, keyed by experiment, or by event where no experiment is meant.

    Told once when something begins, again when it is twice as bad, and once when it ends.

    Attributes:
        id: The same for the same alert, however often it is delivered.
        kind: See docs/guardrails.md.
        state: ``raised``, ``changed`` or ``resolved``.
        at: RFC 3339; how far the figures reach, in event time.
        since: RFC 3339; when it was raised.
        message: The evidence in words.
        evidence: The figures that led to it.
        action: ``alert``; ``pause`` where the spec says so, of one that was just raised.
        metric: Of which metric.
        variant: Of which variant.
        event: Of which telemetry event.
    """

    id: str
    kind: str
    state: str
    at: str
    since: str
    message: str
    evidence: dict[str, Any]
    action: str = "alert"
    experiment: str | msgspec.UnsetType = msgspec.UNSET
    version: str | msgspec.UnsetType = msgspec.UNSET
    metric: str | msgspec.UnsetType = msgspec.UNSET
    variant: str | msgspec.UnsetType = msgspec.UNSET
    event: str | msgspec.UnsetType = msgspec.UNSET


class Anomaly(_Wire, omit_defaults=False):
    """Value of ``alerts`` that tells of one event beyond its spec's thresholds, keyed by its name.

    Attributes:
        kind: ``anomaly``.
        event: Name of the telemetry event.
        metric: Which of its properties.
        value: What it was.
        min: The least that is allowed.
        max: The most.
        time: RFC 3339; event time.
    """

    event: str
    version: str
    metric: str
    value: float
    min: float | None
    max: float | None
    time: str
    event_id: str
    event_source: str
    kind: Literal["anomaly"] = "anomaly"
