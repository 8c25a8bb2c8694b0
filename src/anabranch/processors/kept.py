"""What units keep: the variant each was given first, in the assign stage's changelogged state.

Contexts are keyed by anything, and what is kept lies with the unit. So of an experiment that keeps
variants the evaluation is sent on as a claim, keyed by the unit, on a topic that the stage itself
reads: whichever task has the unit's partition holds it against what it remembers, and assigns. Of
a person with two names, user and session, the claim goes by the other name first, and what the
user got is noted there afterwards. Experiments that keep nothing take none of these steps.

One task at a time has a unit's partition, and state, outputs and offsets are committed together,
so what a unit was given first is never given twice. Claims of one person that come by user and
session at the same moment are settled in the order in which they reach the unit.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

import msgspec

from anabranch.assignment import Evaluation, kept_run
from anabranch.errors import (
    EventSchemaError,
    InvalidEventError,
    MalformedEventError,
    UnknownVariantError,
)
from anabranch.events.decoding import Context
from anabranch.events.models import Claim, ContextData
from anabranch.events.problems import explain
from anabranch.events.records import Headers
from anabranch.events.tracing import NO_TRACE, trace_of
from anabranch.processors.assignments import Target, Writer
from anabranch.processors.protocol import Outputs, Record, State
from anabranch.specs.explain import nearest

__all__ = ["DAY", "Keeper", "StateAssignmentStore"]

DAY: Final = 24 * 60 * 60 * 1000
_UNIT: Final = b"u|"
_TASK: Final = b"task"
_SLICE: Final = 500
"""Units looked at with each batch, while there are some to look at."""

_decode = msgspec.json.Decoder(Claim).decode


class StateAssignmentStore:
    """The :class:`~anabranch.assignment.AssignmentStore` of one partition's changelogged state.

    It never waits, and holds for the units of its partition. A unit's record is run to variant and
    the day it was last asked for, which bounds what asking again writes to one record a day.

    Args:
        state: Of the open batch.
        day: Days since the epoch, by event time.
    """

    def __init__(self, state: State, day: int) -> None:
        self._state = state
        self._day = day

    def held(self, run: str, unit: str, among: Collection[str]) -> str | None:
        """What the unit was given first; None where that is nothing, or is there no more."""
        runs = self._state.get(_UNIT + unit.encode())
        found = None if runs is None else runs.get(run)
        if found is None or found[0] not in among:
            return None
        found[1] = max(found[1], self._day)
        variant: str = found[0]
        return variant

    def remember(self, run: str, unit: str, variant: str) -> None:
        """From now on the unit has this one."""
        key = _UNIT + unit.encode()
        runs = self._state.get(key)
        if runs is None:
            runs = {}
            self._state.put(key, runs)
        runs[run] = [variant, self._day]

    async def settle(
        self, run: str, units: Sequence[str], variant: str, among: Collection[str]
    ) -> str:
        """As :meth:`~anabranch.assignment.AssignmentStore.settle`."""
        known = [self.held(run, unit, among) for unit in units]
        held = next((one for one in known if one is not None), variant)
        for unit, before in zip(units, known, strict=True):
            if before is None:
                self.remember(run, unit, held)
        return held

    async def forget(self, unit: str) -> None:
        """As :meth:`~anabranch.assignment.AssignmentStore.forget`."""
        self._state.delete(_UNIT + unit.encode())


class Keeper:
    """Settles claims against what units were given first.

    A record without a value forgets the unit that is its key.

    Args:
        find: Experiment and version to its target; raises UnknownExperimentError.
        keep_ms: Units are forgotten so long after they were last asked for.
    """

    def __init__(self, find: Callable[[str, str | None], Target], keep_ms: int) -> None:
        self._find = find
        self._keep_days = -(-keep_ms // DAY)
        self._settled: dict[str, Target] = {}
        self._to_look_at: list[bytes] = []

    def process(
        self, records: Sequence[Record], state: State, writer: Writer, out: Outputs, now: int
    ) -> None:
        """Take every claim its step further; what cannot be read goes to the dead letters."""
        latest = 0
        for record in records:
            try:
                if record.value is None:
                    state.delete(_UNIT + (record.key or b""))
                    continue
                claim = _read(record)
                store = StateAssignmentStore(state, claim.time // DAY)
                trace = trace_of(dict(record.headers)) if record.headers else NO_TRACE
                self._step(claim, trace, store, writer, out)
                latest = max(latest, claim.time)
            except InvalidEventError as error:
                out.dead_letter(record, error)
        self._sweep(state, min(latest, now) // DAY, out)

    def _step(
        self,
        claim: Claim,
        trace: Headers,
        store: StateAssignmentStore,
        writer: Writer,
        out: Outputs,
    ) -> None:
        target = self._target(claim.experiment, claim.version)
        spec = target.plan.spec
        among = spec.variants_by_id
        if claim.variant not in among:
            raise UnknownVariantError(
                f"variant: {spec.meta.label} has no {claim.variant!r}: "
                f"{nearest(claim.variant, among)}"
            )
        run, other = kept_run(spec), claim.other
        if claim.step == "settle":
            held = store.held(run, claim.unit, among)
            if held is None:
                held = claim.held if claim.held in among else None
                held = held or claim.variant
                store.remember(run, claim.unit, held)
            if other is not None and claim.held is None:
                writer.claim(msgspec.structs.replace(claim, step="note", variant=held), trace)
            if held != claim.variant:
                out.count("kept_assignments")
            writer.write(_context(claim, trace), (target,), (_evaluation(claim, target, held),))
        elif claim.step == "look":
            held = store.held(run, other or claim.unit, among)
            writer.claim(msgspec.structs.replace(claim, step="settle", held=held), trace)
        elif store.held(run, other or claim.unit, among) is None:
            store.remember(run, other or claim.unit, claim.variant)

    def _target(self, experiment: str, version: str) -> Target:
        """The version's target, that assigns at once."""
        found = self._find(experiment, version)
        digest = found.plan.digest
        settled = self._settled.get(digest)
        if settled is None:
            settled = self._settled[digest] = Target(found.plan)
        return settled

    def _sweep(self, state: State, day: int, out: Outputs) -> None:
        """Once a day, look through all units, some with each batch.

        The list of those still to be looked at is no state: who loses it waits for the next day.
        """
        task = state.get(_TASK)
        if task is None:
            state.put(_TASK, {"swept": day})
        elif day > task["swept"]:
            task["swept"] = day
            self._to_look_at = list(state.keys(_UNIT))
        due = self._to_look_at[-_SLICE:]
        del self._to_look_at[-_SLICE:]
        forgotten = 0
        for key in due:
            runs: dict[str, Any] = state.get(key) or {}
            for run in [r for r, (_, last) in runs.items() if last + self._keep_days < day]:
                del runs[run]
            if not runs:
                state.delete(key)
                forgotten += 1
        if forgotten:
            out.count("forgotten_units", forgotten)


def _read(record: Record) -> Claim:
    try:
        claim = _decode(record.value or b"")
    except msgspec.ValidationError as error:
        raise EventSchemaError(explain(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedEventError(f"not JSON: {error}") from None
    name = claim.unit if claim.step == "settle" else claim.other or claim.unit
    if record.key != name.encode():
        raise MalformedEventError(
            f"the key is {record.key!r}, and this step of the claim belongs to {name!r}: the topic "
            "is the assign stage's own, send contexts instead"
        )
    return claim


def _context(claim: Claim, trace: Headers) -> Context:
    """As much of the context as its outputs tell of."""
    data = ContextData(
        experiment=claim.experiment, exposure=claim.exposure, attributes=claim.segments or {}
    )
    return Context(claim.id, claim.source, claim.time, data, claim.version, trace)


def _evaluation(claim: Claim, target: Target, held: str) -> Evaluation:
    plan = target.plan
    return Evaluation(
        plan.spec.variants_by_id[held],
        claim.reason if held == claim.variant else "sticky",
        plan.key,
        plan.version,
        plan.digest,
        claim.unit,
        True,
    )
