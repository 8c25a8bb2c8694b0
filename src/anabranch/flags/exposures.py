"""The exposure that using a flag is, as an application publishes it."""

from __future__ import annotations

from typing import Final, Protocol

import msgspec

from anabranch.assignment import Evaluation
from anabranch.events.cloudevents import HeaderMaker, time_header
from anabranch.events.decoding import EXPOSURE
from anabranch.events.ids import exposure_id
from anabranch.events.models import ExposureData
from anabranch.events.records import Headers
from anabranch.events.tracing import NO_TRACE

__all__ = ["DAY", "SOURCE", "ExposureEvent", "Use", "exposure_event"]

DAY: Final = 24 * 60 * 60 * 1000
SOURCE: Final = "anabranch/evaluation"
"""CloudEvents source of exposures by evaluation."""

_encode = msgspec.json.Encoder().encode
_headers = HeaderMaker(EXPOSURE, SOURCE)


class Use(Protocol):
    """Told of every flag that is used, so that the use can be made known as an exposure."""

    def __call__(
        self, found: Evaluation, now: int, trace: Headers, segments: dict[str, str], /
    ) -> None:
        """Take note of a use.

        Args:
            found: What was used.
            now: Milliseconds since the epoch.
            trace: Headers of the trace that the use belongs to.
            segments: Those of the experiment that the context belongs to.
        """


class ExposureEvent(msgspec.Struct, frozen=True, gc=False):
    """A record for the topic ``exposures``: a binary-mode CloudEvent keyed by unit.

    Attributes:
        id: The same for the same unit, variant and run throughout a period.
        time: Event time, milliseconds since the epoch.
    """

    id: str
    key: bytes
    value: bytes
    headers: Headers
    time: int


def exposure_event(
    found: Evaluation,
    time: int,
    *,
    period_ms: int = DAY,
    trace: Headers = NO_TRACE,
    segments: dict[str, str] | None = None,
) -> ExposureEvent | None:
    """The exposure of whoever was enrolled; None where nobody was.

    Its id depends on nothing but run, unit, variant and the period that the time lies in. So all
    processes that serve a unit give one id, and a record sent again can be told for a repeat.

    Args:
        found: The evaluation that was used.
        time: When, milliseconds since the epoch.
        period_ms: How long an exposure of a unit to a variant is told once.
        trace: Headers of the trace that the use belongs to.
        segments: Those of the experiment that the context belongs to.
    """
    unit = found.unit
    if unit is None or not found.enrolled:
        return None
    variant = found.variant.id
    data = ExposureData(
        found.experiment,
        found.version,
        variant,
        unit,
        found.reason,
        found.digest,
        segments or msgspec.UNSET,
    )
    event_id = exposure_id(
        found.experiment, found.version, unit, variant, time // max(1, period_ms)
    )
    return ExposureEvent(
        event_id,
        unit.encode(),
        _encode(data),
        [*_headers.make(event_id.encode(), time_header(time)), *trace],
        time,
    )
