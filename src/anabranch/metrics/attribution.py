"""Which of a unit's observations count, for which variant of which run.

An observation counts for a metric of a run if the unit was exposed to exactly one variant of it,
not after the observation by event time, and (where the metric has an attribution window) the
observation came within that window, counted from first exposure. That is a rule about sets, so
what counts in the end does not depend on the order in which records arrive, on repeats, or on
batches: whenever an exposure changes the rule's outcome for observations that are already known,
what was counted is taken back and what now counts is added.

A run is one version of an experiment. Once a unit is shown a newer one, what it does from then on
is the newer run's: its attribution to the older ones is closed at that time, again by event time.

A unit's record, as it lies in state, where a run has a fourth entry only once it is closed::

    {"r": {"checkout@1.0.0": [first exposure, [variants seen], {metric: total}, closed]},
     "l": its ledger, once it has observations that some metric uses}

What a total is says :mod:`~anabranch.metrics.totals`. Totals are kept beside the ledger, since they
outlive what the ledger forgets.

Where a metric leaves out units that had its event before their first exposure, such a unit has no
total of it, see :mod:`~anabranch.metrics.prior`.

A covariate is the same rule turned back: what the unit did before its first exposure, no longer
before than the covariate's window.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

from anabranch.metrics.changes import Cell, RunChanges
from anabranch.metrics.exact import Exact, add, decimal
from anabranch.metrics.ledger import IDENTITY_BITS, Ledger, LedgerSettings, Values
from anabranch.metrics.plan import NEVER, Counting, EventPlan, Measure, RunPlan, events_of
from anabranch.metrics.prior import exclude, excluded, leave, readmit
from anabranch.metrics.segments import SEGMENTS, name_segments, rename_segments
from anabranch.metrics.totals import bin_name, completed, count, count_plain, retract, walk
from anabranch.metrics.windows import window_bounds, window_start

__all__ = ["Unit"]

_NO_SEGMENTS: Final[Mapping[str, str]] = {}

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

    def expose(
        self, plan: RunPlan, variant: str, time: int, segments: Mapping[str, str] = _NO_SEGMENTS
    ) -> bool:
        """The unit was shown a variant of the run; False if that changes nothing.

        Raises nothing: the variant is the run's, and checked before; so are the segments, which are
        those of the run.
        """
        changes = self._changes(plan.key)
        changes.saw(time)
        run = self._runs.get(plan.key)
        if run is None:
            self._runs[plan.key] = run = [time, [variant], {}]
            if segments:
                name_segments(run[2], segments)
            newer = [self._runs[key][0] for key in plan.newer if key in self._runs]
            if newer:
                run.append(min(newer))
            self._saw_earlier_observations(plan, changes)
            changes.variants[variant].units += 1
            self._count_exposure(changes, variant, time, 1)
            self._exclude_known(plan, run, changes)
            self._move(plan, run, None, changes)
            self._close_older(plan, time)
            return True
        first, variants = run[0], run[1]
        if variant not in variants:
            if len(variants) == 1:
                self._retract(plan, run, changes)
            changes.variants[variant].crossovers += 1
            run[0] = min(first, time)
            variants.append(variant)
            variants.sort()
            self._close_older(plan, time)
            return True
        if time >= first:
            if time == first and segments and len(variants) == 1:
                # Of two at one moment the same one holds, whichever comes first.
                return rename_segments(run[2], segments)
            return False
        run[0] = time
        if len(variants) == 1:
            if segments:
                name_segments(run[2], segments)
            self._count_exposure(changes, variant, first, -1)
            self._count_exposure(changes, variant, time, 1)
            readmit(run[2], changes.variants[variant], time)
            self._move(plan, run, (first, _closed(run)), changes)
        self._close_older(plan, time)
        return True

    def _close_older(self, plan: RunPlan, time: int) -> None:
        """The unit was shown the run at that time: from then on it counts for no older one."""
        for older in plan.older:
            run = self._runs.get(older.key)
            if run is None or time >= _closed(run):
                continue
            before = run[0], _closed(run)
            run[3:] = [time]
            if len(run[1]) == 1:
                self._move(older, run, before, self._changes(older.key))

    def _saw_earlier_observations(self, plan: RunPlan, changes: RunChanges) -> None:
        if self._ledger is not None:
            for event in {event for measure in plan.measures for event in events_of(measure)}:
                latest = self._ledger.latest(event)
                if latest is not None:
                    changes.saw(latest)

    def _count_exposure(self, changes: RunChanges, variant: str, time: int, sign: int) -> None:
        for size in self._sizes:
            changes.windows[size, window_start(time, size), variant].exposures += sign

    def _retract(self, plan: RunPlan, run: list[Any], changes: RunChanges) -> None:
        """The unit crosses over: whatever it added to its one variant is taken back."""
        first, (variant,), totals = run[:3]
        of_variant = changes.variants[variant]
        of_variant.units -= 1
        of_variant.crossovers += 1
        self._count_exposure(changes, variant, first, -1)
        leave(totals, of_variant)
        totals.pop(SEGMENTS, None)
        retract(totals, of_variant, plan.measures)
        for measure in plan.measures:
            if measure.name not in totals:
                continue
            if measure.steps:
                done = completed(totals[measure.name])
                self._complete(measure, variant, done, None, changes)
                continue
            counted = self._within(measure, _span(measure, first, _closed(run)))
            self._shift_windows(measure, variant, counted, [], changes)
        run[2] = {}

    def _move(self, plan: RunPlan, run: list[Any], old: Span | None, changes: RunChanges) -> None:
        """First exposure and closing were ``old`` (None: there was none): count again."""
        if self._ledger is None:
            return
        new, (variant,), totals = run[:3]
        left_out = excluded(totals)
        for measure in plan.measures:
            if measure.name in left_out:
                continue
            if measure.steps:
                self._walk(measure, run, variant, changes)
                continue
            now = self._within(measure, _span(measure, new, _closed(run)))
            # A metric that the spec gained since has counted nothing that could be taken back.
            before = (
                self._within(measure, _span(measure, *old))
                if old is not None and measure.name in totals
                else []
            )
            if now == before:
                continue
            of_variant = changes.variants[variant]
            for sign, entries in ((1, _less(now, before)), (-1, _less(before, now))):
                for _, value in entries:
                    count(totals, of_variant, measure, value, sign)
            self._shift_windows(measure, variant, before, now, changes)

    def _exclude_known(self, plan: RunPlan, run: list[Any], changes: RunChanges) -> None:
        """Of a unit just exposed: the metrics that it is left out of."""
        if self._ledger is None or not plan.excluding:
            return
        for measure in plan.measures:
            if measure.exclude_prior:
                did = self._ledger.of(measure.event, measure.property)
                if did and did[0][0] < run[0]:
                    self._exclude(measure, run, did[0][0], changes)

    def _exclude(self, measure: Measure, run: list[Any], time: int, changes: RunChanges) -> None:
        """The unit had the metric's event at that time, before its first exposure."""
        first, (variant,), totals = run[:3]
        of_variant = changes.variants[variant]
        if not exclude(totals, of_variant, measure.name, time):
            return
        total = totals.pop(measure.name, None)
        if total is not None:
            retract({measure.name: total}, of_variant, [measure])
            counted = self._within(measure, _span(measure, first, _closed(run)))
            self._shift_windows(measure, variant, counted, [], changes)

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
        first, totals = run[0], run[2]
        kept = totals.get(measure.name)
        known = kept[1] if kept is not None else []
        at, end = _span(measure, first, _closed(run))
        times: list[int] = []
        for i, event in enumerate(measure.steps):
            found = [] if self._ledger is None else self._ledger.times(event)
            found += known[i : i + 1]
            if new is not None and new[0] == event:
                found.append(new[1])
            times_left = [time for time in found if at <= time < end]
            if not times_left:
                break
            at = min(times_left)
            times.append(at)
        if times == known:
            return
        before = completed(kept)
        walk(totals, changes.variants[variant], measure, times)
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
                    window = changes.windows[size, window_start(time, size), variant]
                    cell = window.cells[measure.name]
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
                    changes.windows[size, start, variant].cells[measure.name].units += change
            for sign, entries in ((1, _less(now, before)), (-1, _less(before, now))):
                for time, value in entries:
                    window = changes.windows[size, window_start(time, size), variant]
                    window.cells[measure.name].count(sign, decimal(value), bin_name(measure, value))

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
                    window = changes.windows[size, window_start(time, size), variant]
                    window.cells[main.name].count_beside(sign, decimal(value))

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
            identity: 64-bit hash of the event's source and id.
            time: Event time.
            values: Checked values of the properties that the plan names, those that are there.
            arrival: Stream time now, for the deduplication horizon.
            settings: How long and how much the ledger remembers.
        """
        identity &= IDENTITY_BITS
        ledger = self._ledger
        if ledger is None:
            columns = self._record["l"] = Ledger.empty()
            ledger = self._ledger = Ledger(columns)
        elif identity in ledger:
            return None
        counting = plan.runs
        for key, run in self._runs.items():
            counts = counting.get(key)
            if counts is None:
                continue
            changes = self._changes(key)
            if changes.as_of is None or time > changes.as_of:
                changes.as_of = time
            if (
                len(run[1]) == 1
                and time >= run[0] - plan.back_ms
                and (len(run) == 3 or time < run[3] or time < run[0])
            ):
                self._add(ledger, run, counts, plan.name, time, values, changes)
        ledger.insert(identity, time, arrival, plan.name, values)
        # What waits for a first exposure goes when units are looked through, which counts it.
        return ledger.tidy(settings, arrival) if self._runs else ledger.evict(settings.most)

    def _add(
        self,
        ledger: Ledger,
        run: list[Any],
        counts: Counting,
        event: str,
        time: int,
        values: Values,
        changes: RunChanges,
    ) -> None:
        first, (variant,), totals = run[:3]
        closed = _closed(run)
        of_variant = changes.variants[variant]
        windows: list[_Window] = []
        since = time - first
        if since >= 0:
            last = ledger.last
            for size in self._sizes:
                if type(size) is int:
                    opens = time - time % size
                    closes = opens + size
                else:
                    opens, closes = window_bounds(time, size)
                cells = changes.windows[size, opens, variant].cells
                windows.append((cells, opens, min(closes, closed), last is None or last < opens))
        for measure in counts.plain:
            prop = measure.property
            if measure.after_ms <= since < measure.until_ms and (prop is None or prop in values):
                value = 1 if prop is None else values[prop]
                amount, name = count_plain(totals, of_variant.moments[measure.name], measure, value)
                _count_windows(windows, ledger, measure, first, amount, name)
        for measure in counts.others:
            if measure.steps:
                self._walk(measure, run, variant, changes, (event, time))
                continue
            start, end = _span(measure, first, closed)
            prop = measure.property
            if measure.exclude_prior:
                if since < 0 and (prop is None or prop in values):
                    self._exclude(measure, run, time, changes)
                if measure.name in excluded(totals):
                    continue
            if not start <= time < end or (prop is not None and prop not in values):
                continue
            value = 1 if prop is None else values[prop]
            amount, name = count(totals, of_variant, measure, value, 1)
            if measure.main is not None:
                for cells, _, _, _ in windows:
                    cells[measure.main.name].count_beside(1, amount)
            else:
                _count_windows(windows, ledger, measure, first, amount, name)


_Window = tuple[defaultdict[str, Cell], int, int, bool]
"""Cells, start, end, and whether nothing the unit did before can lie in it."""


def _count_windows(
    windows: list[_Window],
    ledger: Ledger,
    measure: Measure,
    first: int,
    amount: Exact,
    name: str | None,
) -> None:
    """One observation more in its windows, and a unit more where it is the unit's first."""
    for cells, opens, closes, untouched in windows:
        cell = cells[measure.name]
        cell.events += 1
        cell.sum = add(cell.sum, amount)
        if name is not None:
            cell.bins[name] = cell.bins.get(name, 0) + 1
        if untouched or not ledger.has(
            measure.event,
            measure.property,
            max(opens, first + measure.after_ms),
            min(closes, first + measure.until_ms),
        ):
            cell.units += 1


def _closed(run: list[Any]) -> int:
    """When the unit was shown a newer version."""
    closed: int = run[3] if len(run) > 3 else NEVER
    return closed


def _span(measure: Measure, first: int, closed: int) -> Span:
    if measure.back_ms is not None:
        return first - measure.back_ms, min(first, closed)
    return first + measure.after_ms, min(first + measure.until_ms, closed)


def _less(
    entries: list[tuple[int, int | float]], others: list[tuple[int, int | float]]
) -> list[tuple[int, int | float]]:
    """Entries whose times lie outside the others'; both are spans of one list sorted by time."""
    if not others:
        return entries
    start, end = others[0][0], others[-1][0]
    return [entry for entry in entries if not start <= entry[0] <= end]
