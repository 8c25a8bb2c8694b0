"""Answers as JSON: what does not depend on the unit is encoded once."""

from __future__ import annotations

from typing import Final

import msgspec

from anabranch.assignment import Evaluation
from anabranch.flags.answers import Reason, fixed_metadata, reason_of, value_of
from anabranch.specs import ExperimentSpec

__all__ = ["Encoder"]

_MOST: Final = 100_000
_encode = msgspec.json.Encoder().encode


class Encoder:
    """Encodes answers of evaluations; see :func:`~anabranch.flags.answer_of`."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, str, str, bool], tuple[Reason, bytes]] = {}

    def encode(self, spec: ExperimentSpec, found: Evaluation) -> tuple[Reason, bytes]:
        """The reason, and the flag as OFREP's ``evaluationSuccess``."""
        name = spec.digest, found.variant.id, found.reason, found.enrolled
        reason, body = self._made.get(name) or self._make(name, spec, found)
        if found.unit is not None:
            body += b',"unit":' + _encode(found.unit)
        if found.detail:
            body += b',"detail":' + _encode("; ".join(found.detail))
        return reason, body + b"}}"

    def _make(
        self, name: tuple[str, str, str, bool], spec: ExperimentSpec, found: Evaluation
    ) -> tuple[Reason, bytes]:
        reason = reason_of(spec, found)
        metadata = fixed_metadata(found)
        metadata["enrolled"] = found.enrolled
        body = _encode(
            {
                "key": spec.key,
                "reason": reason,
                "variant": found.variant.id,
                "value": value_of(found.variant),
                "metadata": metadata,
            }
        )
        if len(self._made) >= _MOST:  # of specs long superseded
            self._made.clear()
        made = self._made[name] = reason, body[:-2]
        return made
