"""What becomes of specs once they are written: published, held, changed, retired. Pure.

``states`` is the machine of an experiment's states; ``wire`` how specs travel; ``fold`` which of
them hold; ``changes`` and ``publication`` what publishing would change; ``operations`` what
people do; ``audit`` who did it; ``breach`` what a guardrail does.
"""

from anabranch.lifecycle.audit import AuditEntry, decode_audit, encode_audit
from anabranch.lifecycle.breach import pause_for
from anabranch.lifecycle.changes import Difference, Impact, differences, impact
from anabranch.lifecycle.fold import Refusal, Specs, fold
from anabranch.lifecycle.operations import acted, find, versions
from anabranch.lifecycle.publication import Proposed, Publication, Published, held, propose
from anabranch.lifecycle.states import Action, legal, transition
from anabranch.lifecycle.wire import (
    DIGEST_HEADER,
    SpecName,
    SpecRecord,
    decode_spec,
    encode_spec,
)

__all__ = [
    "DIGEST_HEADER",
    "Action",
    "AuditEntry",
    "Difference",
    "Impact",
    "Proposed",
    "Publication",
    "Published",
    "Refusal",
    "SpecName",
    "SpecRecord",
    "Specs",
    "acted",
    "decode_audit",
    "decode_spec",
    "differences",
    "encode_audit",
    "encode_spec",
    "find",
    "fold",
    "held",
    "impact",
    "legal",
    "pause_for",
    "propose",
    "transition",
    "versions",
]
