"""Ids of what the assign stage puts out: the same context always gives the same ids.

So consumers that read at least once can drop repeats, and a replay can be compared.
"""

from __future__ import annotations

from binascii import hexlify
from functools import lru_cache

from mmh3 import mmh3_x64_128_digest

__all__ = ["alert_id", "context_name", "exposure_id", "output_hash", "output_ids"]


def context_name(source: str, event_id: str) -> bytes:
    """What names a context, made once for all its outputs: ``LENGTH SOURCE ID``.

    The source's length in bytes comes first, so that no two contexts share a name.

    Args:
        source: The context's CloudEvents source.
        event_id: The context's CloudEvents id.
    """
    return _begin(source) + event_id.encode()


@lru_cache(maxsize=1024)
def _begin(source: str) -> bytes:
    encoded = source.encode()
    return b"%d %b " % (len(encoded), encoded)


def output_hash(context: bytes, run: bytes) -> bytes:
    """What the ids of a context's assignment and exposure end with: 32 hexadecimal digits.

    The hash is murmur3 x64 128 of ``CONTEXT RUN``. Both share it, so that they can be told to
    belong together: ``assignment-HASH`` and ``exposure-HASH``.

    Args:
        context: From :func:`context_name`.
        run: ``experiment@version``, in which there is no space.
    """
    return hexlify(mmh3_x64_128_digest(context + b" " + run))


def output_ids(context: bytes, run: bytes) -> tuple[bytes, bytes]:
    """Ids of the assignment and of the exposure, see :func:`output_hash`."""
    hashed = output_hash(context, run)
    return b"assignment-" + hashed, b"exposure-" + hashed


def alert_id(*parts: object) -> str:
    """``alert-`` and 32 hexadecimal digits: the same for the same parts, see :func:`_of_parts`."""
    return "alert-" + _of_parts(parts)


def exposure_id(*parts: object) -> str:
    """``exposure-`` and 32 hexadecimal digits, of an exposure that comes from no context."""
    return "exposure-" + _of_parts(parts)


def _of_parts(parts: tuple[object, ...]) -> str:
    """The hash is murmur3 x64 128 of the parts, each after its length in bytes and a colon."""
    texts = [str(part).encode() for part in parts]
    name = b"".join(b"%d:%b" % (len(text), text) for text in texts)
    return hexlify(mmh3_x64_128_digest(name)).decode()
