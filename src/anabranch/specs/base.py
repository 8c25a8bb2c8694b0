"""What every part of a spec has in common: spelling, strictness, errors, canonical form."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import Enum
from functools import cache
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

from anabranch.errors import SpecValidationError
from anabranch.specs.explain import explain

if TYPE_CHECKING:
    from pydantic._internal._model_construction import ModelMetaclass
else:
    ModelMetaclass = type(BaseModel)

__all__ = ["SpecModel", "canonical"]


class _SpecMetaclass(ModelMetaclass):
    """Construction in Python raises our own error; nested validation still collects pydantic's."""

    if not TYPE_CHECKING:

        def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
            try:
                return super().__call__(*args, **kwargs)
            except ValidationError as error:
                raise SpecValidationError(explain(self, error, kwargs)) from error


class SpecModel(BaseModel, metaclass=_SpecMetaclass):
    """Base of all parts: frozen, unknown fields refused, snake_case or camelCase on input.

    Constructing and ``model_validate`` raise :class:`SpecValidationError`.
    """

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        alias_generator=to_camel,
        populate_by_name=True,
    )

    not_yet: ClassVar[Mapping[str, str]] = {}
    """Fields to come, with a hint; they are refused rather than accepted and ignored."""
    null_counts: ClassVar[frozenset[str]] = frozenset()
    """Optional fields where null says something that leaving them out does not."""

    @property
    def always_told(self) -> frozenset[str]:
        """Fields that documents hold although they have their default."""
        return self.null_counts & self.model_fields_set

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Self:
        try:
            return super().model_validate(obj, **options)
        except ValidationError as error:
            raise SpecValidationError(explain(cls, error, obj)) from error

    @classmethod
    def model_validate_json(cls, json_data: str | bytes | bytearray, **options: Any) -> Self:
        try:
            return super().model_validate_json(json_data, **options)
        except ValidationError as error:
            raise SpecValidationError(explain(cls, error, None)) from error

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with some fields replaced, validated like any other; nothing cached is kept."""
        del deep  # everything inside is frozen
        fields = {name: getattr(self, name) for name in self.model_fields_set}
        return type(self).model_validate({**fields, **(update or {})})


_NO_DEFAULT: Final = object()


@cache
def _spelled(model: type[SpecModel]) -> list[tuple[str, str, Any]]:
    """Field, how documents spell it, and its default; none for a tag, so that it is always told."""
    return [
        (
            name,
            field.serialization_alias or to_camel(name),
            _NO_DEFAULT
            if name == "type" or field.is_required()
            else field.get_default(call_default_factory=True),
        )
        for name, field in model.model_fields.items()
    ]


def canonical(value: Any) -> Any:
    """The value as JSON has it: camelCase, defaults left out, whole floats as integers.

    Equal specs give equal values, however they were written.
    """
    if isinstance(value, SpecModel):
        found: dict[str, Any] = {}
        told = value.always_told
        for name, spelling, default in _spelled(type(value)):
            inner = getattr(value, name)
            if inner == default and name not in told:
                continue
            found[spelling] = canonical(inner)
        for name, inner in (value.model_extra or {}).items():
            found[name] = canonical(inner)
        return found
    if isinstance(value, Mapping):
        return {str(key): canonical(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [canonical(inner) for inner in value]
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value
