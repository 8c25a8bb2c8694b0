"""Turns pydantic's validation errors into messages for the people who write specs.

Each line names the field's path as JSON and YAML spell it, what is wrong, and what to do.
"""

from __future__ import annotations

import types
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import AliasChoices, BaseModel, ValidationError
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo
    from pydantic_core import ErrorDetails

__all__ = ["Problem", "explain", "nearest", "problems", "wrong"]

Path = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong with a spec: where (path from its root) and what."""

    path: Path
    message: str

    def __str__(self) -> str:
        return f"{spell(self.path)}: {self.message}" if self.path else self.message


def spell(path: Path) -> str:
    """A path as people write it: ``allocation.rules[0].variantId``."""
    text = ""
    for step in path:
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


def nearest(wrong: str, known: Iterable[str]) -> str:
    """A remedy: the nearest known names, or what names there are."""
    names = sorted(set(known))
    close = get_close_matches(wrong, names, n=3, cutoff=0.6)
    if close:
        return f"did you mean {' or '.join(repr(name) for name in close)}?"
    if not names:
        return "there are none"
    shown = ", ".join(repr(name) for name in names[:12])
    return f"there are {shown}" + (" and more" if len(names) > 12 else "")


def wrong(path: Path, message: str) -> PydanticCustomError:
    """What a model's own check raises: the message and the path from that model to the field."""
    return PydanticCustomError("spec", "{message}", {"message": message, "path": path})


def problems(model: type[BaseModel], error: ValidationError) -> list[Problem]:
    """What is wrong, one entry for each thing."""
    found: dict[Problem, None] = {}
    followers: list[Problem] = []
    for detail in error.errors(include_url=False):
        path, owners = _locate(model, detail)
        if detail["type"] == "spec":
            context = detail["ctx"]
            found[Problem(path + context["path"], context["message"])] = None
            continue
        problem = Problem(path, _message(detail, path, owners))
        found[problem] = None
        if detail["type"] in {"too_short", "string_type"}:
            followers.append(problem)
    # A list whose only item is wrong is also said to be too short, and an object that is wrong
    # to be no text: what is wrong inside is the cause.
    for problem in followers:
        depth = len(problem.path)
        if any(len(p.path) > depth and p.path[:depth] == problem.path for p in found):
            del found[problem]
    return list(found)


def explain(model: type[BaseModel], error: ValidationError, data: Any) -> str:
    """The whole message: which spec, then each problem with its path and remedy."""
    found = problems(model, error)
    name = title(model, data)
    if len(found) == 1:
        return f"{name}: {found[0]}"
    return f"{name} has {len(found)} problems:\n" + "\n".join(f"  - {one}" for one in found)


def title(model: type[BaseModel], data: Any) -> str:
    """What to call a spec that may be broken: its kind and, where it can be told, its key."""
    kind = str(getattr(model, "kind", model.__name__))
    meta = data.get("meta") if isinstance(data, Mapping) else None
    if isinstance(meta, Mapping):
        key, version = meta.get("key", meta.get("name")), meta.get("version")
    else:
        key, version = getattr(meta, "key", None), getattr(meta, "version", None)
    if not isinstance(key, str):
        return kind
    return f"{kind} {key}" + (f" {version}" if isinstance(version, (int, str)) else "")


# -- finding the place ------------------------------------------------------------------------


def _locate(model: type[BaseModel], detail: ErrorDetails) -> tuple[Path, list[type[BaseModel]]]:
    """Path in the input's own terms, and the models that hold its last step.

    pydantic's location also holds the tags of unions, which are no part of what was written.
    """
    path: list[str | int] = []
    here: list[Any] = [model]
    owners: list[type[BaseModel]] = []
    location = detail["loc"]
    for position, step in enumerate(location):
        options = list(_flatten(here))
        inside: list[Any] = []
        shown: str | int = step
        for option in options:
            if isinstance(option, type) and issubclass(option, BaseModel):
                field = _field(option, step)
                if field is not None:
                    name, info = field
                    # As it is spelled in files: the older `name` of a `key` stays as written.
                    shown = to_camel(name) if to_camel(str(step)) == to_camel(name) else step
                    inside.append(info.annotation)
            elif isinstance(step, int) and get_origin(option) in {tuple, list}:
                inside.append(get_args(option)[0])
            elif isinstance(step, str) and get_origin(option) in {dict, Mapping}:
                inside.append(get_args(option)[1])
        models = [o for o in options if isinstance(o, type) and issubclass(o, BaseModel)]
        if inside:
            path.append(shown)
            owners, here = models, inside
        elif position == len(location) - 1 and detail["type"] == "extra_forbidden":
            path.append(step)
            owners = models
        else:
            here = [m for m in models if step in {m.__name__, _tag(m)}] or options
    return tuple(path), owners


def _flatten(annotations: Iterable[Any]) -> Iterator[Any]:
    for annotation in annotations:
        if get_origin(annotation) is Annotated:
            yield from _flatten([get_args(annotation)[0]])
        elif get_origin(annotation) in {Union, types.UnionType}:
            yield from _flatten(get_args(annotation))
        else:
            yield annotation


def _field(model: type[BaseModel], step: str | int) -> tuple[str, FieldInfo] | None:
    for name, info in model.model_fields.items():
        if step in spellings(name, info):
            return name, info
    return None


def spellings(name: str, info: FieldInfo) -> tuple[str, ...]:
    """Every name under which the field is accepted, the canonical one of files first."""
    names = [to_camel(name), name]
    if isinstance(info.validation_alias, AliasChoices):
        names += [choice for choice in info.validation_alias.choices if isinstance(choice, str)]
    return tuple(dict.fromkeys(names))


def _tag(model: type[BaseModel]) -> str | None:
    info = model.model_fields.get("type")
    if info is not None and get_origin(info.annotation) is Literal:
        return str(get_args(info.annotation)[0])
    return None


# -- saying it --------------------------------------------------------------------------------


def _message(detail: ErrorDetails, path: Path, owners: list[type[BaseModel]]) -> str:
    kind = detail["type"]
    given = detail.get("input")
    if kind == "extra_forbidden":
        return _unknown_field(str(path[-1]), owners)
    if kind == "missing":
        return "is missing: add it"
    if kind == "value_error":
        return detail["msg"].removeprefix("Value error, ")
    message = detail["msg"][0].lower() + detail["msg"][1:]
    if kind in {"model_type", "model_attributes_type", "dict_type"}:
        message = "must be an object"
    elif kind in {"tuple_type", "list_type"}:
        message = "must be a list"
    elif kind == "too_short":
        return f"needs at least {detail['ctx']['min_length']}, has {detail['ctx']['actual_length']}"
    elif kind == "union_tag_not_found":
        message = "must say its 'type'"
    elif kind == "union_tag_invalid":
        context = detail.get("ctx", {})
        tags = [tag.strip("' ") for tag in str(context.get("expected_tags", "")).split(",")]
        wrong = str(context.get("tag", ""))
        return f"there is no type {wrong!r}: {nearest(wrong, tags)}"
    return f"{message}, not {_short(given)}"


def _unknown_field(name: str, owners: list[type[BaseModel]]) -> str:
    for owner in owners:
        found = _field(owner, name)
        if found is not None:
            wanted = " or ".join(repr(s) for s in spellings(*found))
            return f"is given twice: keep one of {wanted}"
        later: Mapping[str, str] = getattr(owner, "not_yet", {})
        if name in later:
            return f"is not supported yet: {later[name]}"
    known = {to_camel(field) for owner in owners for field in owner.model_fields}
    return f"unknown field: {nearest(to_camel(name) if '_' in name else name, known)}"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else text[:57] + "..."
