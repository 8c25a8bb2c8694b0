"""Content digests: two specs that say the same have the same digest, however they are written."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

__all__ = ["digest"]


def digest(document: Mapping[str, Any]) -> str:
    """First 16 hexadecimal characters of the SHA-256 of the document's canonical JSON.

    Keys are sorted and nothing is padded. Documents leave defaults out, so a new optional field
    does not change the digest of specs written before it.
    """
    text = json.dumps(
        document, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]
