"""Ids of what the assign stage puts out: the same context always gives the same ids.

So consumers that read at least once can drop repeats, and a replay can be compared.
"""

from __future__ import annotations

from mmh3 import mmh3_x64_128_digest

__all__ = ["context_name", "output_ids"]


def context_name(source: str, event_id: str) -> bytes:
    """What names a context, made once for all its outputs: ``LENGTH SOURCE ID``.

    The source's length in bytes comes first, so that no two contexts share a name.

    Args:
        source: The context's CloudEvents source.
        event_id: The context's CloudEvents id.
    """
    encoded = source.encode()
    return b"%d %b %b" % (len(encoded), encoded, event_id.encode())


def output_ids(context: bytes, run: bytes) -> tuple[bytes, bytes]:
    """Ids of the assignment and of the exposure, ``assignment-HASH`` and ``exposure-HASH``.

    The hash is murmur3 x64 128 of ``CONTEXT RUN``, as 32 hexadecimal digits; both share it, so
    that they can be told to belong together.

    Args:
        context: From :func:`context_name`.
        run: ``experiment@version``, in which there is no space.
    """
    hashed = mmh3_x64_128_digest(b"%b %b" % (context, run)).hex().encode()
    return b"assignment-" + hashed, b"exposure-" + hashed
