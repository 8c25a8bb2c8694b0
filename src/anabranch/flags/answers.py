"""What an evaluation comes to as a flag: value, variant, reason, metadata.

Source of the reasons: OpenFeature specification, types, "resolution reason".
"""

from __future__ import annotations

from typing import Any, Final, Literal

import msgspec

from anabranch.assignment import Evaluation
from anabranch.specs import ExperimentSpec, Status, TargetedAllocation, Variant

__all__ = ["VALUE", "Answer", "Reason", "answer_of", "reason_of", "value_of"]

Reason = Literal["TARGETING_MATCH", "SPLIT", "STATIC", "DEFAULT", "DISABLED"]
"""Why, in OpenFeature's words. An error is no answer but a problem of its own."""

VALUE: Final = "value"
"""Name in a variant's metadata of what the flag's value is, instead of the variant's id."""

_encode = msgspec.json.Encoder().encode


class Answer(msgspec.Struct, frozen=True, gc=False):
    """A flag's value for one context.

    Attributes:
        metadata: Booleans, strings and numbers, as OpenFeature allows: ``version`` and ``digest``
            of the spec, ``enrolled``, ``unit``, ``detail`` where there is something to tell,
            ``overrides`` as JSON text, and what else the variant's metadata has of these types.
    """

    key: str
    value: Any
    variant: str
    reason: Reason
    metadata: dict[str, bool | str | int | float]


def answer_of(spec: ExperimentSpec, found: Evaluation) -> Answer | None:
    """The answer; None where the experiment runs and the context has none of its identities."""
    if found.unit is None and spec.status is Status.RUNNING:
        return None
    variant = found.variant
    metadata = fixed_metadata(found)
    metadata["enrolled"] = found.enrolled
    if found.unit is not None:
        metadata["unit"] = found.unit
    if found.detail:
        metadata["detail"] = "; ".join(found.detail)
    return Answer(spec.key, value_of(variant), variant.id, reason_of(spec, found), metadata)


def value_of(variant: Variant) -> Any:
    """What the metadata's ``value`` says, else the variant's id."""
    value = variant.metadata.get(VALUE)
    return variant.id if value is None else value


def fixed_metadata(found: Evaluation) -> dict[str, bool | str | int | float]:
    """The metadata that is the same for everybody with the variant."""
    metadata: dict[str, bool | str | int | float] = {
        name: value
        for name, value in found.variant.metadata.items()
        if name != VALUE and isinstance(value, (bool, str, int, float))
    }
    metadata["version"] = found.version
    metadata["digest"] = found.digest
    overrides = [
        override.model_dump(mode="json", by_alias=True, exclude_defaults=True)
        for override in found.variant.overrides
    ]
    if overrides:
        metadata["overrides"] = _encode(overrides).decode()
    return metadata


def reason_of(spec: ExperimentSpec, found: Evaluation) -> Reason:
    """A rule or a forced unit is a targeting match, a draw among several variants a split.

    Static is what everybody gets however they are drawn, default what is left: nobody's rule
    matched, or the unit is outside coverage, schedule and the like. An experiment that does not run
    is disabled.
    """
    if found.reason in {"targeted", "forced"}:
        return "TARGETING_MATCH"
    if spec.status is not Status.RUNNING:
        return "DISABLED"
    if not found.enrolled or found.reason == "control":
        return "DEFAULT"
    if sum(variant.weight > 0 for variant in spec.variants) == 1:
        return "DEFAULT" if isinstance(spec.allocation, TargetedAllocation) else "STATIC"
    return "SPLIT"
