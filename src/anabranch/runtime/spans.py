"""Spans of batches, of their sampled records and of requests, by OpenTelemetry's conventions.

A batch is one span of kind CONSUMER, ``process contexts``, that links the traces its records come
from. A record whose sender sampled its trace gets a span of its own in that trace, of the same
name, and what comes of the record carries that span's context: so whoever consumes an assignment
joins the application's trace. Others carry on what they came with, and cost no span.

Source: OpenTelemetry semantic conventions 1.36, messaging spans, "Batch receiving", and Kafka.
Keys are left out: they are names of people.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from opentelemetry.context import Context
from opentelemetry.trace import (
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
    Tracer,
    format_span_id,
    format_trace_id,
    set_span_in_context,
)
from opentelemetry.trace.span import TraceState

from anabranch.assignment import Evaluation
from anabranch.engine.tracing import BatchSpan, TracedRecord
from anabranch.events.tracing import SAMPLED, traced
from anabranch.processors.protocol import Headers, Record
from anabranch.topology import Names

__all__ = ["BatchSpans", "RequestSpan", "RequestSpans"]

_SAMPLED_DIGITS: Final = frozenset(bytes([digit]) for digit in b"13579bdf")
"""Last digit of the flags of a trace that is sampled; see ``SAMPLED``."""

_PARENTS: Final = frozenset({"traceparent", "ce_traceparent"})
_CARRIED: Final = frozenset({"traceparent", "tracestate"})


class BatchSpans:
    """Makes the spans of all stages (the engine's ``Spans``).

    Args:
        tracer: Makes spans.
        names: Gives groups their names.
        most: Records of a batch that are linked, and that have spans of their own, at most.
        system: What the messages travel on.
    """

    def __init__(
        self, tracer: Tracer, names: Names, *, most: int = 128, system: str = "kafka"
    ) -> None:
        self._tracer = tracer
        self._names = names
        self._most = most
        self._system = system

    def begin(
        self, stage: str, partition: int, records: Mapping[str, Sequence[Record]]
    ) -> BatchSpan:
        there = {source: some for source, some in records.items() if some}
        name = f"process {','.join(there)}"
        common: dict[str, Any] = {
            "messaging.system": self._system,
            "messaging.operation.name": "process",
            "messaging.operation.type": "process",
            "messaging.destination.partition.id": str(partition),
            "messaging.consumer.group.name": self._names.group(stage),
            "anabranch.stage": stage,
        }
        found = self._sampled(there)
        batch = self._tracer.start_span(
            name,
            context=Context(),
            kind=SpanKind.CONSUMER,
            links=[Link(parent) for _, _, parent in found],
            attributes={
                **common,
                "messaging.destination.name": ",".join(r[0].topic for r in there.values()),
                "messaging.batch.message_count": sum(map(len, there.values())),
            },
        )
        back = [Link(batch.get_span_context())]
        given = dict(records)
        own: list[tuple[Span, TracedRecord]] = []
        for source, at, parent in found:
            record = records[source][at]
            span = self._tracer.start_span(
                f"process {source}",
                context=set_span_in_context(NonRecordingSpan(parent), Context()),
                kind=SpanKind.CONSUMER,
                links=back,
                attributes={
                    **common,
                    "messaging.destination.name": record.topic,
                    "messaging.kafka.offset": record.offset,
                },
            )
            if not span.is_recording():  # the sampler's last word: the trace goes on as it came
                continue
            renewed = TracedRecord(record, _renewed(record.headers, span.get_span_context()))
            own.append((span, renewed))
            some = given[source]
            if not isinstance(some, list) or some is records[source]:
                given[source] = some = list(some)
            some[at] = renewed
        return _BatchSpan(batch, own, given)

    def _sampled(
        self, records: Mapping[str, Sequence[Record]]
    ) -> list[tuple[str, int, SpanContext]]:
        """Source, place in the batch and trace of the first records whose traces are sampled."""
        found: list[tuple[str, int, SpanContext]] = []
        for source, some in records.items():
            for at, record in enumerate(some):
                headers = record.headers
                if not headers or not _may_be_sampled(headers):
                    continue
                parent = _parent(headers)
                if parent is None or not parent.trace_flags & SAMPLED:
                    continue
                found.append((source, at, parent))
                if len(found) >= self._most:
                    return found
        return found


class _BatchSpan:
    __slots__ = ("_open", "_own", "_span", "ids", "records")

    def __init__(
        self,
        span: Span,
        own: list[tuple[Span, TracedRecord]],
        records: Mapping[str, Sequence[Record]],
    ) -> None:
        self._span = span
        self._own = own
        self._open = True
        self.records = records
        context = span.get_span_context()
        self.ids: tuple[str, str] | None = (
            format_trace_id(context.trace_id),
            format_span_id(context.span_id),
        )

    def processed(self) -> None:
        self._span.add_event("processed")

    def committed(self, dead_letters: int) -> None:
        self._span.set_attribute("anabranch.dead_letters", dead_letters)
        for span, record in self._own:
            if record.refused is not None:
                _tell_error(span, record.refused)
                span.set_attribute("anabranch.outcome", "dead letter")
                span.end()
        self._own = [(span, record) for span, record in self._own if record.refused is None]
        self._close("committed")

    def failed(self, error: BaseException) -> None:
        if not self._open:
            return
        for span in (self._span, *(span for span, _ in self._own)):
            _tell_error(span, error)
        self._span.record_exception(error)
        self._close("failed")

    def end(self) -> None:
        self._close("dropped")

    def _close(self, outcome: str) -> None:
        if not self._open:
            return
        self._open = False
        for span in (*(span for span, _ in self._own), self._span):
            span.set_attribute("anabranch.outcome", outcome)
            span.end()


def _tell_error(span: Span, error: BaseException) -> None:
    span.set_status(StatusCode.ERROR, str(error))
    span.set_attribute("error.type", type(error).__name__)


class RequestSpans:
    """Makes the spans of an HTTP service: kind SERVER, a child of the caller's.

    Source: OpenTelemetry semantic conventions 1.36, HTTP server spans and feature flags. Who is
    evaluated is left out.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer

    def begin(self, method: str, route: str, trace: Headers) -> RequestSpan:
        """A request begins.

        Args:
            method: Of HTTP.
            route: The path, with ``{key}`` for what differs.
            trace: The caller's headers.
        """
        parent = _parent(trace) if trace else None
        context = Context()
        if parent is not None:
            context = set_span_in_context(NonRecordingSpan(parent), context)
        span = self._tracer.start_span(
            f"{method} {route}",
            context=context,
            kind=SpanKind.SERVER,
            attributes={"http.request.method": method, "http.route": route},
        )
        return RequestSpan(span, trace)


class RequestSpan:
    """Of one request.

    Attributes:
        trace: Headers of what comes of it.
    """

    __slots__ = ("_span", "trace")

    def __init__(self, span: Span, trace: Headers) -> None:
        self._span = span
        self.trace = _headers_of(span.get_span_context()) if span.is_recording() else trace

    def evaluated(self, found: Evaluation, reason: str) -> None:
        """A flag was asked for, and this is the answer."""
        self._span.add_event(
            "feature_flag.evaluation",
            {
                "feature_flag.key": found.experiment,
                "feature_flag.provider.name": "anabranch",
                "feature_flag.result.variant": found.variant.id,
                "feature_flag.result.reason": reason.lower(),
                "feature_flag.version": found.version,
            },
        )

    def end(self, status: int) -> None:
        """It was answered."""
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_attribute("error.type", str(status))
            self._span.set_status(StatusCode.ERROR)
        self._span.end()


def _headers_of(context: SpanContext) -> Headers:
    """The headers that name a span."""
    parent = (
        f"00-{format_trace_id(context.trace_id)}-{format_span_id(context.span_id)}"
        f"-{context.trace_flags:02x}"
    )
    headers = [("traceparent", parent.encode())]
    if context.trace_state:
        headers.append(("tracestate", context.trace_state.to_header().encode()))
    return headers


def _renewed(headers: Headers, context: SpanContext) -> Headers:
    """The headers of a record, with the trace context of its span."""
    return [*(one for one in headers if one[0] not in _CARRIED), *_headers_of(context)]


def _may_be_sampled(headers: Headers) -> bool:
    """Looked at before a trace is read as a whole: of most records this is all that is done."""
    for name, value in headers:
        if name in _PARENTS and value and value[54:55] in _SAMPLED_DIGITS:
            return True
    return False


def _parent(headers: Headers) -> SpanContext | None:
    parent = state = None
    for name, value in headers:
        if name == "traceparent":
            parent = value
        elif name == "tracestate":
            state = value
        elif name == "ce_traceparent" and parent is None:
            parent = value
        elif name == "ce_tracestate" and state is None:
            state = value
    if parent is None or not (checked := traced(parent, state)):
        return None
    _, trace_id, span_id, flags = checked[0][1].decode().split("-")[:4]
    vendors = [value.decode() for _, value in checked[1:]]
    return SpanContext(
        int(trace_id, 16),
        int(span_id, 16),
        is_remote=True,
        trace_flags=TraceFlags(int(flags, 16)),
        trace_state=TraceState.from_header(vendors),
    )
