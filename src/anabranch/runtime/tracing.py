"""Whether and where this process sends its spans, by OpenTelemetry's own environment variables.

On is who installs the extra ``tracing`` and sets ``OTEL_EXPORTER_OTLP_ENDPOINT`` (or
``…_TRACES_ENDPOINT``), or ``OTEL_TRACES_EXPORTER`` to ``otlp`` or ``console``. Sampling, limits,
the exporter's queue and the resource are the SDK's business and read from its variables. A provider
that is there already, as under ``opentelemetry-instrument``, is used as it is.

Source: OpenTelemetry, "Environment Variable Specification".
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any, Final

from anabranch.engine.tracing import NO_SPANS, Spans
from anabranch.errors import SettingsError
from anabranch.settings import Settings
from anabranch.topology import Names

if TYPE_CHECKING:
    from opentelemetry.sdk.trace.export import SpanExporter
    from opentelemetry.trace import Tracer

    from anabranch.runtime.spans import RequestSpans

__all__ = ["Tracing", "tracing", "wanted_exporter"]

log = logging.getLogger(__name__)

_ENDPOINTS: Final = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
_PROTOCOLS: Final = ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
_LINKS: Final = "OTEL_SPAN_LINK_COUNT_LIMIT"
_MOST: Final = 128
_FLUSH_SECONDS: Final = 3.0
"""A collector that is away must not hold the end up for longer."""


class Tracing:
    """Makes spans; of nothing where there is no tracer.

    Args:
        tracer: OpenTelemetry's; None is off.
        most: Records of a batch that have spans at most.
    """

    def __init__(self, tracer: Tracer | None = None, *, most: int = _MOST) -> None:
        self.tracer = tracer
        self._most = most

    def requests(self) -> RequestSpans | None:
        """For an HTTP service; None where there is no tracer."""
        if self.tracer is None:
            return None
        from anabranch.runtime.spans import RequestSpans  # noqa: PLC0415 - an optional extra

        return RequestSpans(self.tracer)

    def spans(self, settings: Settings) -> Spans:
        """For the stages of a prefix."""
        if self.tracer is None:
            return NO_SPANS
        from anabranch.runtime.spans import BatchSpans  # noqa: PLC0415 - an optional extra

        system = "anabranch" if settings.bootstrap is None else "kafka"
        return BatchSpans(self.tracer, Names(settings.prefix), most=self._most, system=system)


def wanted_exporter(environ: Mapping[str, str]) -> str | None:
    """``otlp`` or ``console``; None where no spans are wanted.

    Raises:
        SettingsError: Another exporter or protocol is asked for.
    """
    if environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true":
        return None
    given = environ.get("OTEL_TRACES_EXPORTER", "").strip().lower()
    found = given or ("otlp" if any(environ.get(name) for name in _ENDPOINTS) else "none")
    if found == "none":
        return None
    if found not in {"otlp", "console"}:
        raise SettingsError(
            f"OTEL_TRACES_EXPORTER is {found!r}: choose otlp, console or none; a collector hands "
            "spans on to whatever else there is"
        )
    if found == "otlp":
        protocol = next((environ[name] for name in _PROTOCOLS if environ.get(name)), None)
        if protocol not in {None, "http/protobuf"}:
            raise SettingsError(
                f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}: set it to http/protobuf, which "
                "collectors take at port 4318"
            )
    return found


@asynccontextmanager
async def tracing(service: str) -> AsyncIterator[Tracing]:
    """Tracing of this process for the time of an ``async with``; the last spans go out at its end.

    Args:
        service: The resource's ``service.name`` where ``OTEL_SERVICE_NAME`` gives none.

    Raises:
        SettingsError: The environment asks for what there is not.
    """
    wanted = wanted_exporter(os.environ)
    if wanted is None:
        yield Tracing()
        return
    try:
        provider, exporter = _provider(service, wanted)
    except ImportError:
        log.warning(
            "the environment asks for traces, and what sends them is not installed: "
            "pip install 'anabranch[tracing]'"
        )
        yield Tracing()
        return
    log.info("traces go out by %s", wanted if exporter else "the provider that is there")
    try:
        tracer = provider.get_tracer("anabranch", _version())
        yield Tracing(tracer, most=_most(os.environ))
    finally:
        if exporter is not None:
            await asyncio.to_thread(_end, provider, exporter)


def _provider(service: str, wanted: str) -> tuple[Any, SpanExporter | None]:
    """The provider, and its exporter where it is ours to end.

    Raises:
        ImportError: The extra is not installed.
    """
    from opentelemetry import trace  # noqa: PLC0415 - an optional extra
    from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
    from opentelemetry.sdk.trace import TracerProvider  # noqa: PLC0415
    from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415

    there = trace.get_tracer_provider()
    if isinstance(there, TracerProvider):
        return there, None
    resource = Resource.create({"service.version": _version()})
    if resource.attributes.get("service.name", "").startswith("unknown_service"):
        resource = resource.merge(Resource({"service.name": service}))
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    exporter = _exporter(wanted)
    provider.add_span_processor(BatchSpanProcessor(exporter))
    return provider, exporter


def _exporter(wanted: str) -> SpanExporter:
    if wanted == "console":
        import sys  # noqa: PLC0415

        from opentelemetry.sdk.trace.export import ConsoleSpanExporter  # noqa: PLC0415

        return ConsoleSpanExporter(out=sys.stderr)
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415
        OTLPSpanExporter,
    )

    return OTLPSpanExporter()


def _end(provider: Any, exporter: SpanExporter) -> None:
    """Send what is left; an exporter that is still trying after a while is told to give up."""
    enough = threading.Timer(_FLUSH_SECONDS, exporter.shutdown)
    enough.start()
    try:
        provider.force_flush()
        provider.shutdown()
    finally:
        enough.cancel()


def _most(environ: Mapping[str, str]) -> int:
    given = environ.get(_LINKS, "").strip()
    if given and not given.isdigit():
        raise SettingsError(f"{_LINKS} is {given!r}: give a whole number, or leave it out")
    return int(given) if given else _MOST


def _version() -> str:
    try:
        return version("anabranch")
    except PackageNotFoundError:
        return "unknown"
