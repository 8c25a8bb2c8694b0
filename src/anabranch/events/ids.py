"""Ids of what the assign stage puts out: the same context always gives the same ids.

So consumers that read at least once can drop repeats, and a replay can be compared.
"""

from __future__ import annotations

from mmh3 import mmh3_x64_128_digest

__all__ = ["output_id"]


def output_id(kind: bytes, source: str, event_id: str, run: bytes) -> bytes:
    """32 hexadecimal digits: murmur3 x64 128 of kind, source, id and run, a line each.

    Args:
        kind: ``assignment`` or ``exposure``.
        source: The context's CloudEvents source.
        event_id: The context's CloudEvents id.
        run: ``experiment@version``.
    """
    text = b"%s\n%s\n%s\n%s" % (kind, source.encode(), event_id.encode(), run)
    return mmh3_x64_128_digest(text).hex().encode()
