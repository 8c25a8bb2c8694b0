"""The provider: an evaluation context in, a variant's value with its reason out.

Source: OpenFeature specification 0.8, sections 1.4 (flag evaluation) and 2.2 (resolution).
"""
# ruff: noqa: ARG002 - the interface hands over defaults, which clients give themselves

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import (
    FlagNotFoundError,
    GeneralError,
    InvalidContextError,
    TargetingKeyMissingError,
    TypeMismatchError,
)
from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType
from openfeature.provider import AbstractProvider, Metadata

from anabranch.assignment import PolicyChecker
from anabranch.assignment.segments import segments_of
from anabranch.errors import EventSchemaError
from anabranch.events.tracing import NO_TRACE
from anabranch.flags import answer_of, context_of
from anabranch.flags.exposures import Use
from anabranch.runtime import LiveCatalog
from anabranch.runtime.flags import LiveFlags
from anabranch.specs import Catalog, Identity
from anabranch.specs.explain import nearest

__all__ = ["AnabranchProvider", "Use"]

_Kinds = tuple[type, ...]
_KINDS: Final[dict[str, _Kinds]] = {
    "boolean": (bool,),
    "string": (str,),
    "integer": (int,),
    "float": (float, int),
    "object": (dict, list),
}


class AnabranchProvider(AbstractProvider):
    """Evaluates in this process.

    The flag's key is the experiment's. Its value is the variant's id, or what the variant's
    ``metadata`` has as ``value``. Each evaluation is a use.

    The synchronous methods cannot wait: with a policy checker that has to, they raise GeneralError
    (the client gives the default), and the asynchronous ones are the ones to call.

    Args:
        specs: The specs, or those that are kept up to date from their topic.
        use: Told of each use; an :class:`~anabranch.runtime.exposures.ExposureQueue` has such a
            method. Without it nobody learns of the exposure.
        policy_checker: Decides policies of targeting rules; the specs' own policies when not given.
        targeting_key: The identity that a targeting key stands for.
        clock: Milliseconds since the epoch.

    Raises:
        FlagNotFoundError: No such experiment runs or is paused.
        TargetingKeyMissingError: The context has none of the experiment's identities.
        InvalidContextError: A field of the context is of the wrong type.
        TypeMismatchError: The variant's value is of another type than the one asked for.
    """

    def __init__(
        self,
        specs: Catalog | LiveCatalog,
        *,
        use: Use | None = None,
        policy_checker: PolicyChecker | None = None,
        targeting_key: Identity = "userId",
        clock: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        super().__init__()
        live = specs if isinstance(specs, LiveCatalog) else LiveCatalog(specs)
        self._flags = LiveFlags(live, policy_checker)
        self._use = use
        self._targeting_key = targeting_key
        self._clock = clock

    def get_metadata(self) -> Metadata:
        return Metadata("anabranch")

    # -- by type ------------------------------------------------------------------------------

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return self._at_once("boolean", flag_key, evaluation_context)

    async def resolve_boolean_details_async(
        self,
        flag_key: str,
        default_value: bool,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        return await self._resolve("boolean", flag_key, evaluation_context)

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return self._at_once("string", flag_key, evaluation_context)

    async def resolve_string_details_async(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        return await self._resolve("string", flag_key, evaluation_context)

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return self._at_once("integer", flag_key, evaluation_context)

    async def resolve_integer_details_async(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        return await self._resolve("integer", flag_key, evaluation_context)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return self._at_once("float", flag_key, evaluation_context)

    async def resolve_float_details_async(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        return await self._resolve("float", flag_key, evaluation_context)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return self._at_once("object", flag_key, evaluation_context)

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: Sequence[FlagValueType] | Mapping[str, FlagValueType],
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[Sequence[FlagValueType] | Mapping[str, FlagValueType]]:
        return await self._resolve("object", flag_key, evaluation_context)

    # -- all of them --------------------------------------------------------------------------

    def _at_once(
        self, kind: str, key: str, given: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        """Only policies ever wait; whatever else there is comes at the first step."""
        resolving = self._resolve(kind, key, given)
        try:
            resolving.send(None)
        except StopIteration as done:
            found: FlagResolutionDetails[Any] = done.value
            return found
        finally:
            resolving.close()
        raise GeneralError(
            f"{key}: its policy has to be waited for: call get_{kind}_details_async instead"
        )

    async def _resolve(
        self, kind: str, key: str, given: EvaluationContext | None
    ) -> FlagResolutionDetails[Any]:
        spec = self._flags.find(key)
        if spec is None:
            raise FlagNotFoundError(f"no flag {key}: {nearest(key, list(self._flags.keys()))}")
        now = self._clock()
        try:
            context = context_of(_fields(given), key, targeting_key=self._targeting_key)
        except EventSchemaError as error:
            raise InvalidContextError(str(error)) from None
        found = await self._flags.evaluate(spec, context, now)
        answer = answer_of(spec, found)
        if answer is None:
            wanted = " or ".join(spec.unit)
            raise TargetingKeyMissingError(f"context: {key} is run on {wanted}, and has none")
        if not _is(answer.value, kind):
            raise TypeMismatchError(
                f"{key}: {answer.variant} is {answer.value!r}, which is no {kind}"
            )
        if self._use is not None:
            self._use(found, now, NO_TRACE, segments_of(spec.segments, context.attributes))
        value = float(answer.value) if kind == "float" else answer.value
        return FlagResolutionDetails(
            value, reason=answer.reason, variant=answer.variant, flag_metadata=answer.metadata
        )


def _fields(given: EvaluationContext | None) -> dict[str, Any]:
    if given is None:
        return {}
    key = {} if given.targeting_key is None else {"targetingKey": given.targeting_key}
    return {**given.attributes, **key}


def _is(value: object, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    return isinstance(value, _KINDS[kind])
