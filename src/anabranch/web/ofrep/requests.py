"""What tells one request from others: its id, and the trace it belongs to.

Whoever asks may send both, as ``x-request-id`` and ``traceparent``; every answer has the id, and
every line logged meanwhile has both.
"""

from __future__ import annotations

import os
import re
from bisect import bisect_left
from collections.abc import Iterable
from typing import Any, Final

from anabranch.events.records import Headers
from anabranch.events.tracing import NO_TRACE, traced
from anabranch.web.metrics.registry import Distribution

__all__ = ["SECONDS", "RequestInfo", "Took"]

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 1.0, 5.0)
"""Upper bounds of the classes that requests are counted in by how long they took."""

_ID: Final = re.compile(rb"[!-~]{1,128}")


class RequestInfo:
    """Of one request.

    Args:
        method: Of HTTP.
        path: What is asked for.
        headers: All, names in lower case.

    Attributes:
        id: The caller's, where it is 1 to 128 visible characters of ASCII, else one of ours.
        trace: The caller's headers of W3C trace context, where they are of the standard's form.
        client: Who asks, once that is known.
    """

    __slots__ = ("_method", "_path", "client", "id", "trace")

    def __init__(self, method: str, path: str, headers: Iterable[tuple[bytes, bytes]]) -> None:
        self._method = method
        self._path = path
        self.client: str | None = None
        given = parent = state = None
        for name, value in headers:
            if name == b"x-request-id":
                given = value
            elif name == b"traceparent":
                parent = value
            elif name == b"tracestate":
                state = value
        valid = given is not None and _ID.fullmatch(given)
        self.id: bytes = given if given is not None and valid else os.urandom(16).hex().encode()
        self.trace: Headers = NO_TRACE if parent is None else traced(parent, state)

    def __call__(self) -> dict[str, Any]:
        """Fields of log lines."""
        fields: dict[str, Any] = {
            "request_id": self.id.decode(),
            "method": self._method,
            "path": self._path,
        }
        if self.client is not None:
            fields["client"] = self.client
        if self.trace:
            _, trace_id, span_id, _ = self.trace[0][1].decode().split("-", 3)
            fields["trace_id"], fields["span_id"] = trace_id, span_id
        return fields


class Took:
    """How long requests of one endpoint took."""

    __slots__ = ("_counts", "_sum")

    def __init__(self) -> None:
        self._counts = [0] * (len(SECONDS) + 1)
        self._sum = 0.0

    def add(self, seconds: float) -> None:
        """One more."""
        self._counts[bisect_left(SECONDS, seconds)] += 1
        self._sum += seconds

    @property
    def distribution(self) -> Distribution:
        """All of them."""
        return Distribution(SECONDS, tuple(self._counts), self._sum)
