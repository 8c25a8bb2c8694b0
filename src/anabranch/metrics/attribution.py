"""Which of a unit's observations count, for which variant of which run.

An observation counts for a metric of a run if the unit was exposed to exactly one variant of it,
not after the observation by event time, and (where the metric has an attribution window) the
observation came within that window, counted from first exposure. That is a rule about sets, so
what counts in the end does not depend on the order in which records arrive, on repeats, or on
batches: whenever an exposure changes the rule's outcome for observations that are already known,
what was counted is taken back and what now counts is added.

A unit's record, as it lies in state::

    {"r": {"checkout@1.0.0": [first exposure, [variants seen], {metric: total}]},
     "l": the columns of its ledger, once it has observations that some metric uses}

What a total is says :mod:`~anabranch.metrics.totals`. Totals are kept beside the ledger, since they
outlive what the ledger forgets.

A covariate is the same rule turned back: what the unit did before its first exposure, no longer
before than the covariate's window.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any, Final

from anabranch.metrics.changes import RunChanges
from anabranch.metrics.exact import decimal
from anabranch.metrics.ledger import Ledger, LedgerSettings, Values
from anabranch.metrics.plan import EventPlan, Measure, RunPlan, events_of
from anabranch.metrics.totals import bin_name, completed, count, retract, walk
from anabranch.metrics.windows import window_start

__all__ = ["Unit"]

_NEVER: Final = 1 << 62
"""Later than any event time."""

Span = tuple[int, int]
"""Event times from the first, before the second."""


class Unit:
    """A view of one unit's record during a batch; changes go into the record in place.

    Args:
        record: The record from state, or an empty dict for a unit not seen before.
        sizes: Sizes of the windows, in milliseconds.
        changes: Gives the changes of a run, by its key, to add to.
    """

    __slots__ = ("_changes", "_ledger", "_record", "_runs", "_sizes")

    def __init__(
        self,
        record: dict[str, Any],
        sizes: tuple[int, ...],
        changes: Callable[[str], RunChanges],
    ) -> None:
        self._record = record
        self._sizes = sizes
        self._changes = changes
        self._runs: dict[str, list[Any]] = record.setdefault("r", {})
        columns = record.get("l")
        self._ledger = None if columns is None else Ledger(columns)

    # -- exposures ----------------------------------------------------------------------------

    def expose(self, plan: RunPlan, variant: str, time: int) -> bool:
        """The unit was shown a variant of the run; False if that changes nothing.

        Raises nothing: the variant is the run's, and checked before.
        """
        changes = self._changes(plan.key)
        changes.saw(time)
        run = self._runs.get(plan.key)
        if run is None:
            self._runs[plan.key] = run = [time, [variant], {}]
            self._saw_earlier_observations(plan, changes)
            changes.variant(variant).units += 1
            self._count_exposure(changes, variant, time, 1)
            self._move(plan, run, None, time, changes)
            return True
        first, variants, _ = run
        if variant not in variants:
            if len(variants) == 1:
                self._retract(plan, run, changes)
            changes.variant(variant).crossovers += 1
            run[0] = min(first, time)
            variants.append(variant)
            variants.sort()
            return True
        if time >= first:
            return False
        run[0] = time
        if len(variants) == 1:
            self._count_exposure(changes, variant, first, -1)
            self._count_exposure(changes, variant, time, 1)
            self._move(plan, run, first, time, changes)
        return True

    def _saw_earlier_observations(self, plan: RunPlan, changes: RunChanges) -> None:
        if self._ledger is not None:
            for event in {event for measure in plan.measures for event in events_of(measure)}:
                latest = self._ledger.latest(event)
                if latest is not None:
                    changes.saw(latest)

    def _count_exposure(self, changes: RunChanges, variant: str, time: int, sign: int) -> None:
        for size in self._sizes:
            changes.window(size, window_start(time, size), variant).exposures += sign

    def _retract(self, plan: RunPlan, run: list[Any], changes: RunChanges) -> None:
        """The unit crosses over: whatever it added to its one variant is taken back."""
        first, (variant,), totals = run
        of_variant = changes.variant(variant)
        of_variant.units -= 1
        of_variant.crossovers += 1
        self._count_exposure(changes, variant, first, -1)
        retract(totals, of_variant, plan.measures)
        for measure in plan.measures:
            if measure.name not in totals:
                continue
            if measure.steps:
                done = completed(totals[measure.name])
                self._complete(measure, variant, done, None, changes)
                continue
            counted = self._within(measure, _span(measure, first))
            self._shift_windows(measure, variant, counted, [], changes)
        run[2] = {}

    def _move(
        self, plan: RunPlan, run: list[Any], old: int | None, new: int, changes: RunChanges
    ) -> None:
        """First exposure moves from ``old`` (None: there was none) to ``new``: count again."""
        if self._ledger is None:
            return
        _, (variant,), totals = run
        for measure in plan.measures:
            if measure.steps:
                self._walk(measure, run, variant, changes)
                continue
            now = self._within(measure, _span(measure, new))
            # A metric that the spec gained since has counted nothing that could be taken back.
            before = (
                self._within(measure, _span(measure, old))
                if old is not None and measure.name in totals
                else []
            )
            if now == before:
                continue
            of_variant = changes.variant(variant)
            for sign, entries in ((1, _less(now, before)), (-1, _less(before, now))):
                for _, value in entries:
                    count(totals, of_variant, measure, value, sign)
            self._shift_windows(measure, variant, before, now, changes)

    def _walk(
        self,
        measure: Measure,
        run: list[Any],
        variant: str,
        changes: RunChanges,
        new: tuple[str, int] | None = None,
    ) -> None:
        """How far the unit has come through a funnel, with a new event and its time or without.

        Each step is the earliest event of its kind not before the step before it. What the total
        knows of steps is taken into account too, since it outlives what the ledger forgets.
        """
        first, _, totals = run
        kept = totals.get(measure.name)
        known = kept[1] if kept is not None else []
        at, end = _span(measure, first)
        times: list[int] = []
        for i, event in enumerate(measure.steps):
            found = [] if self._ledger is None else self._ledger.times(event)
            found += known[i : i + 1]
            if new is not None and new[0] == event:
                found.append(new[1])
            at = min((time for time in found if time >= at), default=_NEVER)
            if at >= end:
                break
            times.append(at)
        if times == known:
            return
        before = completed(kept)
        walk(totals, changes.variant(variant), measure, times)
        self._complete(measure, variant, before, completed(totals.get(measure.name)), changes)

    def _complete(
        self,
        measure: Measure,
        variant: str,
        before: int | None,
        now: int | None,
        changes: RunChanges,
    ) -> None:
        """The unit completes a funnel at another time, or no longer, or at last: the windows."""
        if before == now:
            return
        for size in self._sizes:
            for time, sign in ((before, -1), (now, 1)):
                if time is not None:
                    window = changes.window(size, window_start(time, size), variant)
                    cell = window.cell(measure.name)
                    cell.count(sign, 1, None)
                    cell.units += sign

    def _within(self, measure: Measure, span: Span) -> list[tuple[int, int | float]]:
        if self._ledger is None:
            return []
        start, end = span
        return [
            entry
            for entry in self._ledger.of(measure.event, measure.property)
            if start <= entry[0] < end
        ]

    def _shift_windows(
        self,
        measure: Measure,
        variant: str,
        before: list[tuple[int, int | float]],
        now: list[tuple[int, int | float]],
        changes: RunChanges,
    ) -> None:
        if measure.main is not None:
            if measure.back_ms is None:
                self._shift_beside(measure.main, variant, before, now, changes)
            return
        for size in self._sizes:
            units: Counter[int] = Counter()
            for sign, entries in ((-1, before), (1, now)):
                units.update(dict.fromkeys({window_start(time, size) for time, _ in entries}, sign))
            for start, change in units.items():
                if change:
                    changes.window(size, start, variant).cell(measure.name).units += change
            for sign, entries in ((1, _less(now, before)), (-1, _less(before, now))):
                for time, value in entries:
                    window = changes.window(size, window_start(time, size), variant)
                    window.cell(measure.name).count(sign, decimal(value), bin_name(measure, value))

    def _shift_beside(
        self,
        main: Measure,
        variant: str,
        before: list[tuple[int, int | float]],
        now: list[tuple[int, int | float]],
        changes: RunChanges,
    ) -> None:
        for size in self._sizes:
            for sign, entries in ((-1, _less(before, now)), (1, _less(now, before))):
                for time, value in entries:
                    window = changes.window(size, window_start(time, size), variant)
                    window.cell(main.name).count_beside(sign, decimal(value))

    # -- observations -------------------------------------------------------------------------

    def observe(
        self,
        plan: EventPlan,
        identity: int,
        time: int,
        values: Values,
        *,
        arrival: int,
        settings: LedgerSettings,
    ) -> int | None:
        """The unit did something; None if that is a repeat, else how many entries were evicted.

        Args:
            plan: Who counts the event.
            identity: 64-bit hash of the event's source and id, signed.
            time: Event time.
            values: Checked values of the properties that the plan names, those that are there.
            arrival: Stream time now, for the deduplication horizon.
            settings: How long and how much the ledger remembers.
        """
        ledger = self._ledger
        if ledger is None:
            columns = self._record["l"] = Ledger.empty()
            ledger = self._ledger = Ledger(columns)
        elif identity in ledger:
            return None
        for key, run in self._runs.items():
            measures = plan.runs.get(key)
            if measures is None:
                continue
            changes = self._changes(key)
            changes.saw(time)
            if len(run[1]) == 1 and time >= run[0] - plan.back_ms:
                self._add(ledger, run, measures, plan.name, time, values, changes)
        ledger.insert(identity, time, arrival, plan.name, values)
        ledger.prune(arrival - settings.horizon_ms)
        return ledger.evict(settings.most)

    def _add(
        self,
        ledger: Ledger,
        run: list[Any],
        measures: Iterable[Measure],
        event: str,
        time: int,
        values: Values,
        changes: RunChanges,
    ) -> None:
        first, (variant,), totals = run
        of_variant = changes.variant(variant)
        windows = (
            [
                (changes.window(size, time - time % size, variant), time - time % size, size)
                for size in self._sizes
            ]
            if time >= first
            else []
        )
        seen_before = len(ledger) > 0
        for measure in measures:
            if measure.steps:
                self._walk(measure, run, variant, changes, (event, time))
                continue
            start, end = _span(measure, first)
            prop = measure.property
            if not start <= time < end or (prop is not None and prop not in values):
                continue
            value: int | float = 1 if prop is None else values[prop]
            amount, name = count(totals, of_variant, measure, value, 1)
            if measure.main is not None:
                for window, _, _ in windows:
                    window.cell(measure.main.name).count_beside(1, amount)
                continue
            for window, opens, size in windows:
                cell = window.cell(measure.name)
                cell.count(1, amount, name)
                if not seen_before or not ledger.has(
                    measure.event, prop, max(opens, start), min(opens + size, end)
                ):
                    cell.units += 1


def _span(measure: Measure, first: int) -> Span:
    if measure.back_ms is not None:
        return first - measure.back_ms, first
    end = _NEVER if measure.reach_ms is None else first + measure.reach_ms
    return first + measure.after_ms, end


def _less(
    entries: list[tuple[int, int | float]], others: list[tuple[int, int | float]]
) -> list[tuple[int, int | float]]:
    """Entries whose times lie outside the others'; both are spans of one list sorted by time."""
    if not others:
        return entries
    start, end = others[0][0], others[-1][0]
    return [entry for entry in entries if not start <= entry[0] <= end]
