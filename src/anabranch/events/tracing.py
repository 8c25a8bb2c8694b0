"""W3C trace context as plain data: taken from a record's headers, carried to what comes of it.

Sources: W3C Trace Context, level 1, 3.2 and 3.3; CloudEvents' distributed tracing extension, which
puts the same two attributes into an event (``ce_traceparent`` on Kafka). The record's own headers,
which its last sender wrote, come before the event's, which its creator did.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from anabranch.events.records import Headers

__all__ = ["NO_TRACE", "SAMPLED", "trace_of", "traced"]

NO_TRACE: Final[tuple[tuple[str, bytes], ...]] = ()
"""Of a record that belongs to no trace."""

SAMPLED: Final = 0x01
"""Bit of the last two digits: the sender records the trace."""

_PARENT: Final = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}(?:-[!-~]*)?"
)
_STATE: Final = re.compile(rb"[ -~]{1,512}")
_MOST: Final = 256


def trace_of(found: Mapping[str, bytes | None]) -> Headers:
    """The headers ``traceparent`` and ``tracestate`` to carry on, out of all headers by name.

    What is not of the standard's form is left out: a trace is never a reason to refuse an event.
    """
    parent = found.get("traceparent")
    if parent is not None:
        return traced(parent, found.get("tracestate"))
    parent = found.get("ce_traceparent")
    if parent is not None:
        return traced(parent, found.get("ce_tracestate"))
    return NO_TRACE


def traced(parent: bytes, state: bytes | None = None) -> Headers:
    """The headers of a trace; none where ``parent`` is not of the standard's form."""
    if len(parent) > _MOST or _PARENT.fullmatch(parent) is None:
        return NO_TRACE
    if parent.startswith(b"00") and len(parent) != 55:
        return NO_TRACE
    if state is None or _STATE.fullmatch(state) is None:
        return (("traceparent", parent),)
    return (("traceparent", parent), ("tracestate", state))
