"""A validator of JSON Schema 2020-12, of the keywords that our schemas have and of no others."""

from __future__ import annotations

from typing import Any

_TYPES: dict[str, Any] = {
    "object": dict, "array": list, "string": str, "boolean": bool, "null": type(None),
    "number": (int, float), "integer": int,
}  # fmt: skip
_SAID = {"$schema", "$defs", "title", "description", "default", "format", "discriminator"}
"""Keywords that say something and check nothing."""


def errors(  # noqa: PLR0915 - one case a keyword
    schema: Any, value: Any, root: Any = None, path: str = "$"
) -> list[str]:
    """What is wrong with the value, each with its path."""
    root = schema if root is None else root
    if schema is True:
        return []
    found: list[str] = []

    def inner(part: Any, one: Any = value, where: str = path) -> list[str]:
        return errors(part, one, root, where)

    for keyword, wanted in schema.items():
        match keyword:
            case "$ref":
                name = wanted.removeprefix("#/$defs/")
                found += inner(root["$defs"][name])
            case "type":
                kinds = [wanted] if isinstance(wanted, str) else wanted
                if not any(_is(value, kind) for kind in kinds):
                    found.append(f"{path}: {value!r:.40} is no {wanted}")
            case "const":
                if value != wanted:
                    found.append(f"{path}: {value!r:.40} is not {wanted!r}")
            case "enum":
                if value not in wanted:
                    found.append(f"{path}: {value!r:.40} is none of {wanted}")
            case "minimum":
                if _number(value) and value < wanted:
                    found.append(f"{path}: {value} is below {wanted}")
            case "maximum":
                if _number(value) and value > wanted:
                    found.append(f"{path}: {value} is above {wanted}")
            case "exclusiveMinimum":
                if _number(value) and value <= wanted:
                    found.append(f"{path}: {value} is not above {wanted}")
            case "minLength":
                if isinstance(value, str) and len(value) < wanted:
                    found.append(f"{path}: is too short")
            case "minItems":
                if isinstance(value, list) and len(value) < wanted:
                    found.append(f"{path}: has too few items")
            case "required":
                if isinstance(value, dict):
                    found += [f"{path}: lacks {name}" for name in wanted if name not in value]
            case "properties":
                for name, part in wanted.items():
                    if isinstance(value, dict) and name in value:
                        found += inner(part, value[name], f"{path}.{name}")
            case "additionalProperties":
                known = schema.get("properties", {})
                for name in value if isinstance(value, dict) else ():
                    if name not in known and wanted is False:
                        found.append(f"{path}: does not know {name}")
                    elif name not in known:
                        found += inner(wanted, value[name], f"{path}.{name}")
            case "items":
                for i, item in enumerate(value if isinstance(value, list) else ()):
                    found += inner(wanted, item, f"{path}[{i}]")
            case "anyOf" | "oneOf":
                results = [inner(part) for part in wanted]
                fitting = sum(not result for result in results)
                if fitting == 0:
                    found += min(results, key=len)
                elif keyword == "oneOf" and fitting > 1:
                    found.append(f"{path}: fits {fitting} of oneOf")
            case "allOf":
                found += [problem for part in wanted for problem in inner(part)]
            case "if":
                if not inner(wanted):
                    found += inner(schema["then"])
            case "then":
                pass
            case _ if keyword not in _SAID:
                raise NotImplementedError(f"{path}: {keyword}")
    return found


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is(value: Any, kind: str) -> bool:
    if isinstance(value, bool):
        return kind == "boolean"
    if kind == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[kind])
