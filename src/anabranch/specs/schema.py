"""JSON Schemas of the spec kinds, for editors: JSON Schema 2020-12, with what each field means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, get_args

from pydantic import AliasChoices, BaseModel
from pydantic.alias_generators import to_camel
from pydantic.json_schema import GenerateJsonSchema

from anabranch.errors import SpecLoadError
from anabranch.specs.describe import field_texts, model_text
from anabranch.specs.documents import KINDS
from anabranch.specs.explain import nearest

__all__ = ["DIALECT", "json_schema", "models_of"]

DIALECT: Final = GenerateJsonSchema.schema_dialect


def json_schema(kind: str | None = None) -> dict[str, Any]:
    """The schema of a document of that kind; without one, of any spec file's content.

    Fields have their camelCase names and the older spellings of ``key``. What is valid by the
    schema may still be refused for what only the models see, such as variants that are not there.

    Raises:
        SpecLoadError: there is no such kind.
    """
    if kind is None:
        return _any_kind()
    if kind not in KINDS:
        raise SpecLoadError(f"there is no kind {kind!r}: {nearest(kind, KINDS)}")
    model = KINDS[kind]
    schema = model.model_json_schema(mode="validation", by_alias=True)
    definitions: dict[str, Any] = schema.get("$defs", {})
    for part in models_of(model):
        _describe(schema if part is model else definitions[part.__name__], part)
    properties = {"kind": {"const": kind, "description": "What this document is."}}
    schema["properties"] = {**properties, **schema["properties"]}
    schema["required"] = ["kind", *schema.get("required", ())]
    return {"$schema": DIALECT, "title": kind, **schema, "title": kind}  # noqa: F601 - first


def _any_kind() -> dict[str, Any]:
    """One document, or a list of them, each by its kind."""
    definitions: dict[str, Any] = {}
    for kind in KINDS:
        schema = json_schema(kind)
        definitions |= schema.pop("$defs", {})
        del schema["$schema"]
        definitions[f"{kind}Document"] = schema
    document = {
        "type": "object",
        "required": ["kind"],
        "properties": {"kind": {"enum": list(KINDS)}},
        "allOf": [
            {
                "if": {"properties": {"kind": {"const": kind}}, "required": ["kind"]},
                "then": {"$ref": f"#/$defs/{kind}Document"},
            }
            for kind in KINDS
        ],
    }
    return {
        "$schema": DIALECT,
        "title": "Specs of anabranch",
        "anyOf": [
            {"$ref": "#/$defs/Document"},
            {"type": "array", "items": {"$ref": "#/$defs/Document"}},
        ],
        "$defs": {"Document": document, **definitions},
    }


def models_of(model: type[BaseModel]) -> list[type[BaseModel]]:
    """The model and every model inside it, each once, in order of first use."""
    found: dict[type[BaseModel], None] = {}

    def walk(part: type[BaseModel]) -> None:
        if part not in found:
            found[part] = None
            for info in part.model_fields.values():
                for inner in _models_in(info.annotation):
                    walk(inner)

    walk(model)
    return list(found)


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _describe(schema: dict[str, Any], model: type[BaseModel]) -> None:
    """Puts the texts in, and fields under the names that people write first."""
    texts = field_texts(model)
    schema["description"] = model_text(model)
    given: Mapping[str, Any] = schema.get("properties", {})
    properties: dict[str, Any] = {}
    required: list[str] = []
    either: list[dict[str, Any]] = []
    for name, info in model.model_fields.items():
        choices = _spellings(name, info.validation_alias)
        found = next(given[one] for one in (*choices, name) if one in given)
        found.pop("title", None)
        told = {**found, "description": texts.get(name, "")}
        if told.get("default", ...) is None:  # null is the same as leaving it out
            del told["default"]
        for older in choices:
            properties[older] = told
        if info.is_required() and len(choices) == 1:
            required.append(choices[0])
        elif info.is_required():
            either.append({"anyOf": [{"required": [one]} for one in choices]})
    schema["properties"] = properties
    schema.pop("required", None)
    if required:
        schema["required"] = required
    if either:
        schema["allOf"] = either


def _spellings(name: str, alias: Any) -> list[str]:
    """Names in files, camelCase first; snake_case, which the models take too, is left out."""
    choices = (
        [one for one in alias.choices if isinstance(one, str)]
        if isinstance(alias, AliasChoices)
        else []
    )
    camel = to_camel(name)
    return choices if choices and name.endswith("_") else list(dict.fromkeys([camel, *choices]))
