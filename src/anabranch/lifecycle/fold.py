"""The specs that hold, folded from files and the records of the specs topic.

A record holds if it is right by itself and if all references hold with it; else it is refused and
what held before stays. A spec may come before those it names, since partitions are read side by
side: one that is refused for its references waits and is tried again with every later change.

What the files say lies underneath: taking back a record lets the file's spec hold again. So a log
says the same before and after compaction, as long as the last record of each key is a good one.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from operator import attrgetter

from anabranch.errors import SpecError
from anabranch.events.records import Record
from anabranch.lifecycle.wire import SpecName, decode_spec
from anabranch.specs import Catalog, Spec

__all__ = ["Change", "Refusal", "Specs", "fold"]


@dataclass(frozen=True, slots=True)
class Change:
    """What a good record says; ``when`` orders it among those of other partitions."""

    name: SpecName
    spec: Spec | None
    record: Record
    when: int


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that does not hold, and why.

    Attributes:
        waits: It is right by itself, and holds as soon as its references do.
    """

    record: Record
    error: SpecError
    waits: bool = False

    @property
    def place(self) -> str:
        """Where the record is: ``topic[partition]@offset``."""
        return f"{self.record.topic}[{self.record.partition}]@{self.record.offset}"

    @property
    def key(self) -> str:
        return (self.record.key or b"").decode("utf-8", "backslashreplace")

    def __str__(self) -> str:
        return f"{self.place} {self.key}: {self.error}"


@dataclass(frozen=True)
class Specs:
    """What holds, and what does not.

    Attributes:
        files: The specs of files, which hold where the topic says nothing else.
        said: What the topic says, as far as it holds.
        last: Each name's last accepted record, a taking back included.
        waiting: The last change of each name, where its references do not hold.
        refused: What does not hold, by the record's key, until a later record of that key holds.
    """

    files: Mapping[SpecName, Spec] = field(default_factory=dict)
    said: Mapping[SpecName, Spec] = field(default_factory=dict)
    last: Mapping[SpecName, Record] = field(default_factory=dict)
    waiting: Sequence[Change] = ()
    refused: Mapping[bytes | None, Refusal] = field(default_factory=dict)

    @classmethod
    def of(cls, files: Iterable[Spec]) -> Specs:
        """Before anything is read of the topic."""
        return cls(files={SpecName.of(spec): spec for spec in files})

    def catalog(self) -> Catalog:
        """The specs that hold."""
        return _catalog(self.files, self.said)


def fold(specs: Specs, records: Iterable[Record]) -> tuple[Specs, list[Refusal]]:
    """What holds after some more records, and those of them that are wrong by themselves.

    Args:
        specs: What held before.
        records: Each partition's in order of offset; partitions in any order.
    """
    refused = dict(specs.refused)
    changes: list[Change] = []
    wrong: list[Refusal] = []
    times: dict[int, int] = {}
    for record in records:
        when = max(record.timestamp, times.get(record.partition, 0))
        times[record.partition] = when
        try:
            name, spec = decode_spec(record)
        except SpecError as error:
            refusal = refused[record.key] = Refusal(record, error)
            wrong.append(refusal)
        else:
            refused.pop(record.key, None)
            changes.append(Change(name, spec, record, when))
    changes.sort(key=lambda c: (c.when, c.record.partition, c.record.offset))
    work = _Work(specs)
    waiting = work.settle([*specs.waiting, *changes])
    for name in work.accepted:
        key = name.record_key
        known = refused.get(key)
        if known is not None and not _later(known.record, work.last[name]):
            del refused[key]
    for change, why in waiting:
        known = refused.get(change.record.key)
        if known is None or not _later(known.record, change.record):
            refused[change.record.key] = Refusal(change.record, why, waits=True)
    after = replace(
        specs,
        said=work.said,
        last=work.last,
        waiting=tuple({change.name: change for change, _ in waiting}.values()),
        refused=refused,
    )
    return after, wrong


class _Work:
    """Accepts changes as far as references hold."""

    def __init__(self, specs: Specs) -> None:
        self.said = dict(specs.said)
        self.last = dict(specs.last)
        self.accepted: set[SpecName] = set()
        self._files = specs.files

    def settle(self, changes: Sequence[Change]) -> list[tuple[Change, SpecError]]:
        """Accept what can be, in order; returns what cannot.

        Changes that hold only together, such as two parts of a layer changing hands, are tried
        together first. One accepted late may be what an earlier one waits for, so those refused
        are tried until none is accepted any more.
        """
        left = self._try(changes)
        while left:
            again = self._try([change for change, _ in left])
            if len(again) == len(left):
                return again
            left = again
        return []

    def _try(self, changes: Sequence[Change]) -> list[tuple[Change, SpecError]]:
        """Accept all at once, else each half for itself: few bad ones among many cost little."""
        newer = [
            change
            for change in changes
            if change.name not in self.last or _later(change.record, self.last[change.name])
        ]
        if not newer:
            return []
        said = dict(self.said)
        for change in newer:
            if change.spec is None:
                said.pop(change.name, None)
            else:
                said[change.name] = change.spec
        try:
            _catalog(self._files, said).check()
        except SpecError as error:
            if len(newer) == 1:
                return [(newer[0], error)]
            middle = len(newer) // 2
            return [*self._try(newer[:middle]), *self._try(newer[middle:])]
        self.said = said
        self.last |= {change.name: change.record for change in newer}
        self.accepted |= {change.name for change in newer}
        return []


def _later(one: Record, other: Record) -> bool:
    """Of one key; in another partition only after the topic was given more of them."""
    if one.partition == other.partition:
        return one.offset > other.offset
    return one.timestamp > other.timestamp


def _catalog(files: Mapping[SpecName, Spec], said: Mapping[SpecName, Spec]) -> Catalog:
    """Files in their order, then what only the topic says by name: the same for every worker."""
    added = sorted(said.keys() - files.keys(), key=attrgetter("kind", "key", "version"))
    return Catalog.of(
        [*(said.get(name, spec) for name, spec in files.items()), *(said[name] for name in added)]
    )
