"""Deltas: what the attribute stage tells the aggregate stage, written and read."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import InvalidOperation
from operator import itemgetter
from typing import Final

import msgspec

from anabranch.errors import EmptyEventError, EventSchemaError, MalformedEventError
from anabranch.events.models import (
    Delta,
    MetricDelta,
    VariantDelta,
    WindowDelta,
    WindowMetricDelta,
)
from anabranch.events.problems import explain
from anabranch.metrics.changes import RunChanges, VariantChanges
from anabranch.metrics.exact import from_text, text
from anabranch.metrics.moments import Moments
from anabranch.metrics.plan import RunPlan
from anabranch.metrics.windows import window_bounds
from anabranch.processors.protocol import Record

__all__ = ["FORMAT", "WINDOWS_PER_DELTA", "deltas_of", "empty_delta", "moments_of", "read_delta"]

FORMAT: Final = 5
"""The newest layout of deltas that is read here."""

WINDOWS_PER_DELTA: Final = 500
"""A batch that touches more windows of a run is told in several deltas, to bound their size."""

_decode = msgspec.json.Decoder(Delta).decode

# -- writing ----------------------------------------------------------------------------------


def deltas_of(
    run: RunPlan, change: RunChanges, told: list[int] | None, partition: int, reached: int
) -> list[Delta]:
    """What has changed as deltas; none if nothing has. Changes that cancel out are left away."""
    variants = {
        name: told_of
        for name, of_variant in change.variants.items()
        if (told_of := _variant(of_variant)) is not None
    }
    segments: dict[str, dict[str, dict[str, VariantDelta]]] = {}
    for (attribute, value, name), of_variant in sorted(change.segments.items(), key=itemgetter(0)):
        told_of = _variant(of_variant)
        if told_of is not None:
            segments.setdefault(attribute, {}).setdefault(value, {})[name] = told_of
    windows = _windows(change)
    as_of = change.as_of
    if told is not None and (as_of is None or as_of < told[0]):
        as_of = told[0]
    if as_of is None or not (variants or windows or segments or told is None or as_of > told[0]):
        return []
    first = empty_delta(run, partition, reached, as_of)
    first.variants = variants
    first.windows = windows[:WINDOWS_PER_DELTA]
    first.segments = segments
    made = [first]
    for at in range(WINDOWS_PER_DELTA, len(windows), WINDOWS_PER_DELTA):
        more = empty_delta(run, partition, reached, as_of)
        more.windows = windows[at : at + WINDOWS_PER_DELTA]
        made.append(more)
    return made


def _variant(change: VariantChanges) -> VariantDelta | None:
    """What an arm changes by; None if it does not."""
    metrics = {
        metric: MetricDelta(
            converted=moments.converted,
            events=moments.events,
            sum=text(moments.sum),
            sum_squares=text(moments.sum_squares),
            event_squares=text(moments.event_squares),
            bins=moments.bins,
            capped=text(moments.capped),
            beside=text(moments.beside),
            beside_squares=text(moments.beside_squares),
            cross=text(moments.cross),
            pairs=moments.pairs,
            others=moments.others,
            excluded=moments.excluded,
        )
        for metric, moments in change.moments.items()
        if moments
    }
    if not (metrics or change.units or change.crossovers):
        return None
    return VariantDelta(units=change.units, crossovers=change.crossovers, metrics=metrics)


def _format(run: RunPlan) -> int:
    """The least that a reader has to know of."""
    for number, needed in (
        (5, run.segments),
        (4, run.excluding),
        (3, run.paired),
        (2, run.extended),
    ):
        if needed:
            return number
    return 1


def _windows(change: RunChanges) -> list[WindowDelta]:
    found = []
    for (size, start, variant), window in sorted(change.windows.items(), key=itemgetter(0)):
        metrics = {
            metric: WindowMetricDelta(
                units=cell.units,
                events=cell.events,
                sum=text(cell.sum),
                bins=cell.bins,
                beside=text(cell.beside),
            )
            for metric, cell in window.cells.items()
            if cell
        }
        if metrics or window.exposures:
            found.append(
                WindowDelta(
                    start=start,
                    size=int(size),
                    variant=variant,
                    exposures=window.exposures,
                    metrics=metrics,
                    end=None if type(size) is int else window_bounds(start, size)[1],
                )
            )
    return found


def empty_delta(run: RunPlan, partition: int, reached: int, as_of: int) -> Delta:
    """A delta that tells the time, and nothing else yet."""
    return Delta(
        experiment=run.experiment,
        version=run.version,
        source=partition,
        watermark=reached,
        as_of=as_of,
        format=_format(run),
    )


# -- reading ----------------------------------------------------------------------------------


def read_delta(record: Record) -> Delta:
    """The delta of a record, checked so far that applying it cannot fail half-way.

    Raises:
        InvalidEventError: It is none, or of a newer format.
    """
    if record.value is None:
        raise EmptyEventError("a delta without a value: topic deltas is not compacted")
    try:
        delta = _decode(record.value)
    except msgspec.ValidationError as error:
        raise EventSchemaError(explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(f"not JSON: {error}") from None
    if delta.format > FORMAT:
        raise EventSchemaError(
            f"the delta has format {delta.format}, and this program reads up to {FORMAT}: "
            "upgrade the aggregate stage before the attribute stage"
        )
    for variant in _all_variants(delta):
        for metric in variant.metrics.values():
            for number in (
                metric.sum,
                metric.sum_squares,
                metric.event_squares,
                metric.capped,
                metric.beside,
                metric.beside_squares,
                metric.cross,
            ):
                _check_number(number)
    for window in delta.windows:
        if window.size <= 0:
            raise EventSchemaError(f"the delta has a window of size {window.size}")
        if window.end is not None and window.end <= window.start:
            raise EventSchemaError(
                f"the delta has a window that begins at {window.start} and ends at {window.end}"
            )
        for cell in window.metrics.values():
            _check_number(cell.sum)
            _check_number(cell.beside)
    return delta


def _all_variants(delta: Delta) -> Iterator[VariantDelta]:
    """Of the whole run, then of its segments."""
    yield from delta.variants.values()
    for values in delta.segments.values():
        for variants in values.values():
            yield from variants.values()


def _check_number(digits: str) -> None:
    try:
        finite = from_text(digits).is_finite()
    except (InvalidOperation, ArithmeticError):
        finite = False
    if not finite or "e" in digits.lower():
        raise EventSchemaError(f"the delta has {digits!r} for a sum: plain decimal digits belong")


def moments_of(delta: MetricDelta) -> Moments:
    """A metric's change, to be added up."""
    return Moments(
        delta.converted,
        delta.events,
        from_text(delta.sum),
        from_text(delta.sum_squares),
        from_text(delta.event_squares),
        dict(delta.bins),
        from_text(delta.capped),
        from_text(delta.beside),
        from_text(delta.beside_squares),
        from_text(delta.cross),
        dict(delta.pairs),
        dict(delta.others),
        delta.excluded,
    )
