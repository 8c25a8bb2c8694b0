"""Attribute: exposures and observations of units into deltas of experiments.

State of a task, whose partition holds whole units:

==============  ================================================================================
``u|unit``      the unit's record, see :mod:`anabranch.metrics.attribution`
``m|task``      greatest event time by source, the watermark, for each run what it has been told
                (as-of and watermark), when units were last looked through for what may go, and
                the clock and watermark of a while ago
==============  ================================================================================

The watermark is the lesser of the two sources' greatest event times. A source that has delivered
nothing so far does not hold it back, nor does one that brings nothing while the other has moved
more than ``WindowSettings.idle_ms`` beyond it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from typing import Any, Final

import msgspec
from mmh3 import hash64

from anabranch.errors import (
    EmptyEventError,
    EventSchemaError,
    FutureEventError,
    InvalidEventError,
    MalformedEventError,
    UnknownExperimentError,
    UnknownVariantError,
)
from anabranch.events.cloudevents import Limits, format_time
from anabranch.events.decoding import decode_exposure
from anabranch.events.models import (
    Observation,
)
from anabranch.events.problems import explain
from anabranch.metrics.attribution import Unit
from anabranch.metrics.changes import RunChanges
from anabranch.metrics.exact import check
from anabranch.metrics.ledger import LedgerSettings, Values
from anabranch.metrics.plan import EventPlan, Plan, RunPlan
from anabranch.metrics.retention import RetentionSettings, settled, shed, waiting
from anabranch.metrics.segments import Parts, parts_of, settle
from anabranch.metrics.watermark import watermark
from anabranch.metrics.windows import MINUTE, WindowSettings
from anabranch.processors.deltas import deltas_of, empty_delta
from anabranch.processors.protocol import Batch, Cache, Outputs, Record, State
from anabranch.specs import Catalog
from anabranch.specs.explain import nearest
from anabranch.specs.segments import OTHER

__all__ = ["AttributeProcessor"]

HEARTBEAT_MS: Final = MINUTE
"""A run with nothing to tell is told the watermark after it has moved on by so much."""

EARLIEST: Final = -62_135_596_800_000
"""The first millisecond of the year 1: no event time lies before it."""

_TASK: Final = b"m|task"
_UNIT: Final = b"u|"
_UNITS: Final = frozenset({"user", "session", "organization"})
_NO_VALUES: Final[Values] = {}
_NO_SEGMENTS: Final[dict[str, str]] = {}

_Exposed = tuple[RunPlan, str, str, int, dict[str, str]]
"""Run, unit, variant, time, segments."""

_Observed = tuple[EventPlan, str, int, int, Values]
"""Event, unit, identity, time, values."""


class AttributeProcessor:
    """Sources ``exposures`` and ``observations``; output ``deltas``.

    Exposures of a batch are taken before its observations, each in offset order; the sums that
    come of it do not depend on that.

    Args:
        catalog: The specs: which events count for which metrics of which runs.
        windows: Sizes of the windows, and how long a silent source holds the watermark back.
        ledger: How long and how much is remembered of each unit.
        limits: Of exposures: size, and how far clocks may differ (of observations too).
        retention: How long units are kept.

    Counters: ``exposures``, ``repeated_exposures``, ``observations``, ``repeated_observations``,
    ``unused_observations``, ``ledger_evictions``, ``deltas``, ``heartbeats``, ``forgotten_units``,
    ``unexposed_observations`` (that waited for an exposure until the ledger let go of them).
    """

    def __init__(
        self,
        catalog: Catalog,
        *,
        windows: WindowSettings | None = None,
        ledger: LedgerSettings | None = None,
        limits: Limits | None = None,
        retention: RetentionSettings | None = None,
    ) -> None:
        self._plan = Plan(catalog)
        self._known = self._plan.run_keys
        self._segmented = {key: run for key, run in self._known.items() if run.segments}
        self._catalog = catalog
        self._windows = windows or WindowSettings()
        self._sizes = self._windows.sizes
        self._ledger = ledger or LedgerSettings()
        self._limits = limits or Limits()
        self._retention = retention or RetentionSettings()
        self._to_look_at: list[bytes] = []
        self._decode = msgspec.json.Decoder(Observation).decode
        self._encode = msgspec.json.Encoder().encode

    def process(self, batch: Batch, state: State, cache: Cache, out: Outputs) -> None:
        del cache
        task = state.get(_TASK)
        if task is None:
            task = {"clocks": {}, "watermark": None, "runs": {}}
            state.put(_TASK, task)
        exposures, exposed_until = self._exposures(batch, out)
        observations, observed_until = self._observations(batch, out)
        stream_time = self._advance(
            task, {"exposures": exposed_until, "observations": observed_until}, out
        )
        if stream_time is None:
            return
        changes: defaultdict[str, RunChanges] = defaultdict(RunChanges)
        units = _Units(state, self._sizes, changes.__getitem__, self._segmented)
        _count(out, "exposures", len(exposures))
        _count(
            out,
            "repeated_exposures",
            sum(
                not units[unit].expose(run, variant, at, segments)
                for run, unit, variant, at, segments in exposures
            ),
        )
        repeated = evicted = 0
        for event, unit, identity, time, values in observations:
            gone = units[unit].observe(
                event, identity, time, values, arrival=stream_time, settings=self._ledger
            )
            if gone is None:
                repeated += 1
            else:
                evicted += gone
        _count(out, "repeated_observations", repeated)
        _count(out, "ledger_evictions", evicted)
        units.settle(changes)
        old = settled(
            task.setdefault("marks", []), batch.now, stream_time, self._retention.grace_ms
        )
        if old is not None:
            self._sweep(task, state, units, old, out)
        self._tell(task, batch.partition, stream_time, changes, out)

    # -- reading ------------------------------------------------------------------------------

    def _exposures(self, batch: Batch, out: Outputs) -> tuple[list[_Exposed], int | None]:
        """Those that name a variant of a known run, and the greatest time of them."""
        found: list[_Exposed] = []
        until: int | None = None
        for record in batch.sources["exposures"]:
            try:
                exposure = decode_exposure(record, now=batch.now, limits=self._limits)
                data = exposure.data
                run = self._run(data.experiment, exposure.version)
                if data.variant not in run.variants:
                    raise UnknownVariantError(
                        f"experiment {run.experiment!r} {run.version} has no variant "
                        f"{data.variant!r}: it has {', '.join(sorted(run.variants))}"
                    )
                _check_unit(data.unit)
            except InvalidEventError as error:
                out.dead_letter(record, error)
                continue
            segments = _segments(run, data.segments or {}) if run.segments else _NO_SEGMENTS
            found.append((run, data.unit, data.variant, exposure.time, segments))
            if until is None or exposure.time > until:
                until = exposure.time
        return found, until

    def _run(self, experiment: str, version: str) -> RunPlan:
        run = self._plan.runs.get((experiment, version))
        if run is not None:
            return run
        versions = [spec.version for spec in self._catalog.experiments.versions(experiment)]
        remedy = (
            f"its versions are {', '.join(versions)}"
            if versions
            else nearest(experiment, self._catalog.experiments.keys())
        )
        raise UnknownExperimentError(f"there is no experiment {experiment!r} {version}: {remedy}")

    def _observations(self, batch: Batch, out: Outputs) -> tuple[list[_Observed], int | None]:
        """Those that some metric uses, and the greatest time of all."""
        found: list[_Observed] = []
        until: int | None = None
        latest = batch.now + self._limits.future_tolerance_ms
        records = batch.sources["observations"]
        unused = 0
        for record in records:
            try:
                seen = self._decode_observation(record)
                time = seen.time
                if not EARLIEST <= time <= latest:
                    raise _out_of_time(time, batch.now, self._limits)
                event = self._plan.event(seen.name, seen.version)
                values = _values(event, seen) if event is not None else _NO_VALUES
            except InvalidEventError as error:
                out.dead_letter(record, error)
                continue
            if until is None or time > until:
                until = time
            if event is None:
                unused += 1
                continue
            identity = hash64(f"{seen.source}\0{seen.id}")[0]
            found.append((event, seen.unit, identity, time, values))
        _count(out, "observations", len(records))
        _count(out, "unused_observations", unused)
        return found, until

    def _decode_observation(self, record: Record) -> Observation:
        if record.value is None:
            raise EmptyEventError("an observation without a value: the topic is not compacted")
        try:
            seen = self._decode(record.value)
        except msgspec.ValidationError as error:
            raise EventSchemaError(explain(error)) from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise MalformedEventError(f"not JSON: {error}") from None
        _check_unit(seen.unit)
        return seen

    # -- event time ---------------------------------------------------------------------------

    def _advance(
        self, task: dict[str, Any], until: dict[str, int | None], out: Outputs
    ) -> int | None:
        """Move the sources' clocks and the watermark; the watermark."""
        clocks: dict[str, int] = task["clocks"]
        live = set()
        for source, time in until.items():
            if time is not None:
                live.add(source)
                clocks[source] = max(clocks.get(source, time), time)
        reached = watermark(clocks, self._windows.idle_ms, live=live, before=task["watermark"])
        task["watermark"] = reached
        if reached is not None:
            out.level("watermark", reached)
        return reached

    # -- forgetting ---------------------------------------------------------------------------

    def _sweep(
        self, task: dict[str, Any], state: State, touched: _Units, reached: int, out: Outputs
    ) -> None:
        """Look at some units with each batch, until all were looked at; then wait.

        ``reached`` is the watermark of a while ago, as :func:`settled` has it.

        Units that the batch touched are passed over: they have just been heard of. The list of
        those still to be looked at is no state: who loses it waits for the next round.
        """
        settings = self._retention
        swept = task.get("swept")
        if swept is None:
            task["swept"] = reached
        elif reached >= swept + settings.every_ms:
            task["swept"] = reached
            self._to_look_at = list(state.keys(_UNIT))
        looked_at = self._to_look_at[-settings.slice :]
        del self._to_look_at[-settings.slice :]
        forgotten = expired = 0
        for key in looked_at:
            record = None if key[len(_UNIT) :].decode() in touched else state.get(key)
            if record is None:
                continue
            waited = waiting(record)
            useless = shed(
                record,
                arrived_before=reached - self._ledger.horizon_ms,
                exposed_before=reached - settings.units_ms,
            )
            expired += waited - waiting(record)
            if useless:
                state.delete(key)
                forgotten += 1
        _count(out, "forgotten_units", forgotten)
        _count(out, "unexposed_observations", expired)

    # -- telling ------------------------------------------------------------------------------

    def _tell(
        self,
        task: dict[str, Any],
        partition: int,
        reached: int,
        changes: dict[str, RunChanges],
        out: Outputs,
    ) -> None:
        """A delta for each run that changed; for the others the time, now and then."""
        runs: dict[str, list[int]] = task["runs"]
        deltas = heartbeats = 0
        for key in sorted(runs.keys() | changes.keys()):
            run = self._known.get(key)
            if run is None:
                continue
            change = changes.get(key)
            told = runs.get(key)
            made = [] if change is None else deltas_of(run, change, told, partition, reached)
            if not made:
                if told is None or reached < told[1] + HEARTBEAT_MS:
                    continue
                made = [empty_delta(run, partition, reached, told[0])]
                heartbeats += 1
            for delta in made:
                out.send("deltas", run.experiment.encode(), self._encode(delta))
            runs[key] = [made[0].as_of, reached]
            deltas += len(made)
        _count(out, "deltas", deltas)
        _count(out, "heartbeats", heartbeats)


class _Units(dict[str, Unit]):
    """The units that a batch touches, each read from state once."""

    def __init__(
        self,
        state: State,
        sizes: tuple[int, ...],
        changes: Callable[[str], RunChanges],
        segmented: Mapping[str, RunPlan],
    ) -> None:
        super().__init__()
        self._segmented = segmented
        self._before: dict[str, tuple[dict[str, Any], Parts]] = {}
        self._state = state
        self._sizes = sizes
        self._changes = changes

    def __missing__(self, name: str) -> Unit:
        key = _UNIT + name.encode()
        record = self._state.get(key)
        if record is None:
            record = {}
            self._state.put(key, record)
        unit = self[name] = Unit(record, self._sizes, self._changes)
        if self._segmented:
            self._before[name] = record, parts_of(record["r"], self._segmented)
        return unit

    def settle(self, changes: Mapping[str, RunChanges]) -> None:
        """Tell segments what the batch has changed of the units' part in them."""
        for record, before in self._before.values():
            settle(before, parts_of(record["r"], self._segmented), changes)


def _segments(run: RunPlan, given: Mapping[str, str]) -> dict[str, str]:
    """The run's segments; values that its spec does not name, and missing ones, are others."""
    return {
        attribute: value if (value := given.get(attribute, OTHER)) in values else OTHER
        for attribute, values in run.segments.items()
    }


def _count(out: Outputs, name: str, n: int) -> None:
    if n:
        out.count(name, n)


def _out_of_time(time: int, now: int, limits: Limits) -> InvalidEventError:
    if time < EARLIEST:
        return EventSchemaError(
            f"time: {time} lies before the year 1: send milliseconds since 1970"
        )
    return FutureEventError(
        f"time: {format_time(time)} lies more than {limits.future_tolerance_ms / 1000:g} s ahead "
        f"of the clock ({format_time(now)}): set the sender's clock"
    )


def _check_unit(unit: str) -> None:
    kind, _, name = unit.partition(":")
    if not name or kind not in _UNITS:
        raise EventSchemaError(
            f"unit {unit[:80]!r} is no unit: write user:ID, session:ID or organization:ID"
        )


def _values(event: EventPlan, seen: Observation) -> Values:
    """The values that metrics add up. One that is absent or null is not counted by its metrics.

    Raises:
        EventSchemaError: a value is there but cannot be added up.
    """
    found: Values = {}
    for name in event.properties:
        value = seen.properties.get(name)
        if value is not None:
            found[name] = check(value, f"property {name!r} of event {seen.name!r}")
    return found
