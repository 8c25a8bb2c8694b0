"""From an OpenFeature evaluation context to the context of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from anabranch.assignment import ExperimentContext
from anabranch.assignment.context import IDENTITIES
from anabranch.errors import EventSchemaError
from anabranch.specs import Identity

__all__ = ["TARGETING_KEY", "context_of"]

TARGETING_KEY: Final = "targetingKey"
_OWN: Final = {TARGETING_KEY, "attributes", "flags", *IDENTITIES}


def context_of(
    given: Mapping[str, Any], experiment: str | None = None, *, targeting_key: Identity = "userId"
) -> ExperimentContext:
    """The context that experiments are evaluated in.

    ``userId``, ``organizationId`` and ``sessionId`` are identities. ``targetingKey`` stands for one
    of them, unless that one is given by its own name. ``flags`` is a list of strings. What is left
    are attributes, and so is what an object ``attributes`` holds, which comes first.

    Args:
        given: The evaluation context, as JSON has it.
        experiment: The one that is asked for; None where every running one is meant.
        targeting_key: The identity that ``targetingKey`` stands for.

    Raises:
        EventSchemaError: A field is of the wrong type.
    """
    attributes = {name: value for name, value in given.items() if name not in _OWN}
    nested = given.get("attributes")
    if nested is not None:
        if not isinstance(nested, Mapping):
            raise EventSchemaError(f"context: attributes must be an object, not {nested!r}")
        attributes.update(nested)
    flags = given.get("flags")
    if flags is not None and not (
        isinstance(flags, (list, tuple)) and all(isinstance(flag, str) for flag in flags)
    ):
        raise EventSchemaError(f"context: flags must be a list of strings, not {flags!r}")
    found = {name: given.get(name) for name in IDENTITIES}
    key = given.get(TARGETING_KEY)
    if key is not None and not isinstance(key, str):
        raise EventSchemaError(
            f"context: targetingKey must be text, not {key!r}: write {str(key)!r}"
        )
    if not found[targeting_key]:
        found[targeting_key] = key
    return ExperimentContext(
        experiment=experiment,
        user_id=found["userId"],
        organization_id=found["organizationId"],
        session_id=found["sessionId"],
        attributes=attributes,
        flags=flags,
    )
