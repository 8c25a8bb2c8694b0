"""JSON merge patches (RFC 7396) that can be taken back exactly.

A merge patch alone has no inverse: it cannot say that something was null, nor what a removed member
was, nor in which order members stood. So applying one also gives an :class:`Undo`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from anabranch.errors import OverrideError
from anabranch.specs.explain import Path, spell

__all__ = ["ABSENT", "Undo", "merge", "merged", "touched", "unmerge"]


class _Absent:
    def __repr__(self) -> str:
        return "nothing"


ABSENT: Final = _Absent()
"""Stands for a member that is not there; None is JSON's null."""


@dataclass(frozen=True, slots=True)
class Replaced:
    """A value that a patch put in the place of another, either of them perhaps absent."""

    before: Any
    after: Any


@dataclass(frozen=True, slots=True)
class Inside:
    """What a patch did to an object's members, and the order they had if that may be lost."""

    members: Mapping[str, Undo] = field(default_factory=dict)
    order: tuple[str, ...] | None = None


Undo = Replaced | Inside
"""What takes a patch back: by member of the objects that it went into."""


def merged(target: Any, patch: Any) -> Any:
    """``MergePatch(target, patch)`` of RFC 7396, section 2."""
    return merge(target, patch)[0]


def merge(target: Any, patch: Any) -> tuple[Any, Undo]:
    """As :func:`merged`, with what takes it back.

    Neither argument is changed. The result shares the target's unchanged parts and nothing of the
    patch.
    """
    if not isinstance(patch, Mapping):
        result = _copy(patch)
        return result, Replaced(target, result)
    if not isinstance(target, Mapping):
        result = _without_nulls(patch)
        return result, Replaced(target, result)
    result = dict(target)
    members: dict[str, Undo] = {}
    removed = False
    for key, wanted in patch.items():
        before = result.get(key, ABSENT)
        if wanted is None:
            if before is not ABSENT:
                del result[key]
                removed = True
                members[key] = Replaced(before, ABSENT)
        elif before is ABSENT:
            result[key] = _without_nulls(wanted)
            members[key] = Replaced(ABSENT, result[key])
        else:
            result[key], members[key] = merge(before, wanted)
    return result, Inside(members, tuple(target) if removed else None)


def unmerge(patched: Any, undo: Undo) -> Any:
    """What the patch was applied to: ``unmerge(*merge(target, patch)) == target``, order included.

    Members that the patch did not touch may have changed meanwhile; they stay as they are.

    Raises:
        OverrideError: what the patch put there has changed, so there is nothing exact to return to.
    """
    return _unmerge(patched, undo, ())


def _unmerge(patched: Any, undo: Undo, path: Path) -> Any:
    if isinstance(undo, Replaced):
        if not same(patched, undo.after):
            raise OverrideError(
                f"{spell(path) or 'the target'} is {patched!r:.60} now, and the override had made "
                f"it {undo.after!r:.60}: revert what was applied later first"
            )
        return undo.before
    if not isinstance(patched, Mapping):
        raise OverrideError(
            f"{spell(path) or 'the target'} is {patched!r:.60} now and no object any more: revert "
            "what was applied later first"
        )
    result = dict(patched)
    for key, inner in undo.members.items():
        before = _unmerge(result.get(key, ABSENT), inner, (*path, key))
        if before is ABSENT:
            del result[key]
        else:
            result[key] = before
    if undo.order is None:
        return result
    ordered = {key: result[key] for key in undo.order if key in result}
    return {**ordered, **result}


def touched(patch: Any) -> Iterator[Path]:
    """Paths at which a patch sets or removes something, in its order.

    An empty object is one: it makes an object of whatever is there. Two patches get into each
    other's way where a path of one begins with, or is, a path of the other.
    """
    if isinstance(patch, Mapping) and patch:
        for key, inner in patch.items():
            for rest in touched(inner):
                yield (key, *rest)
    else:
        yield ()


def same(one: Any, other: Any) -> bool:
    """Whether two values are the same JSON: unlike ``==``, true is not 1."""
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)


def _without_nulls(patch: Any) -> Any:
    """What a patch gives where nothing was: members that are null are not set."""
    if isinstance(patch, Mapping):
        return {key: _without_nulls(value) for key, value in patch.items() if value is not None}
    return _copy(patch)


def _copy(value: Any) -> Any:
    """Lists are taken whole, the nulls in them included (RFC 7396, section 1)."""
    if isinstance(value, Mapping):
        return {key: _copy(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_copy(inner) for inner in value]
    return value
