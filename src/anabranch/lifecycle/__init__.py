"""What becomes of specs once they are written: how they travel and which of them hold. Pure."""

from anabranch.lifecycle.fold import Refusal, Specs, fold
from anabranch.lifecycle.wire import (
    DIGEST_HEADER,
    SpecName,
    SpecRecord,
    decode_spec,
    encode_spec,
)

__all__ = [
    "DIGEST_HEADER",
    "Refusal",
    "SpecName",
    "SpecRecord",
    "Specs",
    "decode_spec",
    "encode_spec",
    "fold",
]
