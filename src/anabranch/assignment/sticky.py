"""Variants that units keep: remembered assignments, and sessions that become users.

The hash alone keeps a unit in its variant for as long as weights, rules and the unit's attributes
stay as they are. Where they may change, or where people are known by their session before they log
in, a store remembers what each unit was given first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from typing import Any, Final, Protocol

import msgspec

from anabranch.assignment.compiled import default_salt
from anabranch.assignment.context import ExperimentContext, Identified, unit_of
from anabranch.assignment.evaluation import Evaluation
from anabranch.assignment.evaluator import ExperimentEvaluator
from anabranch.assignment.plan import Moment
from anabranch.specs import ExperimentSpec, Identity, Keep

__all__ = [
    "AssignmentStore",
    "MemoryAssignmentStore",
    "StickyEvaluator",
    "kept_run",
    "names_of_unit",
]

_PERSONAL: Final[tuple[Identity, ...]] = ("userId", "sessionId")
"""Identities of one person; an organization is never taken for its members."""


class AssignmentStore(Protocol):
    """Remembers variants. An implementation may be shared by processes, such as a database's."""

    async def settle(
        self, run: str, units: Sequence[str], variant: str, among: Collection[str]
    ) -> str:
        """The variant that holds for the units, in one step that nothing comes between.

        It is that of the first unit in order that has one, else ``variant``. It is then remembered
        for those of the units that have none, or one that is not ``among`` those there still are.

        Args:
            run: What the variants are of: an experiment and its salt.
            units: Identities of one person, the unit itself first.
            variant: What an evaluation gives now.
            among: Ids of the experiment's variants.
        """
        ...

    async def forget(self, unit: str) -> None:
        """Remember nothing of the unit any more."""
        ...


class MemoryAssignmentStore:
    """In this process, lost when it ends; the units not asked for longest are forgotten first.

    Args:
        most: How many units are remembered.
    """

    def __init__(self, most: int = 100_000) -> None:
        if most < 1:
            raise ValueError(f"most is {most}: remember at least one unit")
        self._most = most
        self._units: OrderedDict[str, dict[str, str]] = OrderedDict()

    async def settle(
        self, run: str, units: Sequence[str], variant: str, among: Collection[str]
    ) -> str:
        """As :meth:`AssignmentStore.settle`; it never waits, so nothing comes between."""
        known = [self._units.get(unit, {}).get(run) for unit in units]
        held = next((one for one in known if one is not None and one in among), variant)
        for unit, before in zip(units, known, strict=True):
            runs = self._units.setdefault(unit, {})
            self._units.move_to_end(unit)
            if before is None or before not in among:
                runs[run] = held
        while len(self._units) > self._most:
            self._units.popitem(last=False)
        return held

    async def forget(self, unit: str) -> None:
        """As :meth:`AssignmentStore.forget`."""
        self._units.pop(unit, None)

    def __len__(self) -> int:
        """How many units are remembered."""
        return len(self._units)


class StickyEvaluator:
    """Gives each enrolled unit the variant it was given first, as long as there is that variant.

    What lets a unit in is asked every time: whoever is outside status, schedule, coverage, layer,
    holdouts and prerequisites gets control, and is neither remembered nor forgotten. Forced units
    get what they are forced to.

    Sessions become users: where an experiment is kept by person, its ``unit`` lists both and a
    context carries both, the user takes over what the session was given; of two that differ the
    unit's own holds. A new salt starts anew, a new version does not.

    Prerequisites on a variant are held against what an evaluation gives now, not against what is
    remembered.

    Args:
        evaluator: Gives a unit's variant where none is remembered.
        store: Remembers.
        keep: By what experiments are kept whose spec does not say ``keep``; None for not at all.
    """

    def __init__(
        self,
        evaluator: ExperimentEvaluator,
        store: AssignmentStore,
        *,
        keep: Keep | None = "person",
    ) -> None:
        self.evaluator = evaluator
        self.store = store
        self.keep = keep

    async def choose_variant(
        self, context: ExperimentContext | Mapping[str, Any], now: Moment | None = None
    ) -> Evaluation | None:
        """As :meth:`ExperimentEvaluator.choose_variant`.

        Where the variant is another than an evaluation would give now, the reason is ``sticky`` and
        the detail says so.
        """
        if not isinstance(context, ExperimentContext):
            context = ExperimentContext.from_mapping(context)
        found = await self.evaluator.choose_variant(context, now)
        if found is None or not found.enrolled:
            return found
        spec = self.evaluator.registry.require(found.experiment, found.version)
        keep = spec.keep or self.keep
        if keep is None:
            return found
        held = await self.store.settle(
            kept_run(spec),
            names_of_unit(spec, context, keep),
            found.variant.id,
            spec.variants_by_id.keys(),
        )
        if held == found.variant.id:
            return found
        why = f"keeps {held!r}, which it was given before; now it would get {found.variant.id!r}"
        return msgspec.structs.replace(
            found,
            variant=spec.variants_by_id[held],
            reason="sticky",
            detail=(*found.detail, why),
        )


def kept_run(spec: ExperimentSpec) -> str:
    """What a remembered variant is of: the experiment and its salt, whatever the version."""
    return f"{spec.key}|{default_salt(spec)}"


def names_of_unit(spec: ExperimentSpec, carrier: Identified, keep: Keep) -> list[str]:
    """The unit, and the person's other identity where the experiment is run on both.

    Empty where the carrier has no identity of the experiment's; only the unit where it keeps by
    unit.
    """
    unit = unit_of(spec.unit, carrier)
    if unit is None or keep == "unit":
        return [] if unit is None else [unit]
    personal = [one for one in spec.unit if one in _PERSONAL]
    names = [found for one in personal if (found := unit_of((one,), carrier)) is not None]
    if unit not in names:
        return [unit]
    return [unit, *(name for name in names if name != unit)]
