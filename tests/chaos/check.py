"""Compares what came out with what must have: every difference is a violation with its place."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from fractions import Fraction
from typing import Any

from anabranch.processors.protocol import Record
from anabranch.runtime import latest_values
from anabranch.specs import Catalog
from tests.chaos.load import Bad
from tests.chaos.oracle import (
    Cell,
    Choice,
    Exposed,
    Input,
    Place,
    Run,
    add_up,
    anomalous,
    choices,
    place,
    read_inputs,
)

_SKETCH_ERROR = Fraction(1, 100)
_SIZES = {"m": 60_000, "h": 3_600_000, "d": 86_400_000, "s": 1000}
_ERRORS = "__streams.errors."


@dataclass(frozen=True)
class Violation:
    """One promise that was not kept.

    Attributes:
        rule: Which promise.
        key: Of what: a record key, an experiment run, a metric.
        where: Topic, partition and offset of a record that shows it, where there is one.
        what: In words.
    """

    rule: str
    key: str
    what: str
    where: Place | None = None

    def __str__(self) -> str:
        at = "" if self.where is None else " at {}[{}]@{}".format(*self.where)
        return f"{self.rule}: {self.key}{at}: {self.what}"


@dataclass
class Readings:
    """Everything that was read back, committed records only.

    Attributes:
        topics: Logical topic to its records, partition by partition in offset order.
        bad: Bad inputs by the id of their event.
        catalogs: The specs before the bump, and those after it if there was one.
        dedupe_ms: How long an exposure is not told again.
        sizes: Of windows, in milliseconds.
        openings: How often the assign stage opened each partition, so lost its cache.
    """

    topics: Mapping[str, Sequence[Record]]
    bad: Mapping[str, Bad]
    catalogs: Sequence[Catalog]
    dedupe_ms: int
    sizes: Sequence[int]
    openings: Mapping[int, int] = field(default_factory=dict)

    def of(self, topic: str) -> Sequence[Record]:
        return self.topics.get(topic, ())


@dataclass
class Report:
    """What the checker has found, and how much it has looked at."""

    violations: list[Violation] = field(default_factory=list)
    contexts: int = 0
    telemetry: int = 0
    assignments: int = 0
    exposures: int = 0
    told_again: int = 0
    observations: int = 0
    dead_letters: int = 0
    windows: int = 0
    results: int = 0


def check(readings: Readings) -> Report:
    """Everything the suite promises, rule by rule."""
    return _Checker(readings).run()


class _Checker:
    def __init__(self, readings: Readings) -> None:
        self.readings = readings
        self.contexts = read_inputs(readings.of("contexts"), readings.bad)
        self.telemetry = read_inputs(readings.of("telemetry"), readings.bad)
        self.report = Report(contexts=len(self.contexts), telemetry=len(self.telemetry))
        self.choices: list[tuple[Input, Choice]] = []
        self.exposed: list[Exposed] = []

    def run(self) -> Report:
        self._assignments()
        self._exposures()
        self._observations()
        self._alerts()
        self._dead_letters()
        self._sums()
        return self.report

    def _violated(self, rule: str, key: str, what: str, where: Place | None = None) -> None:
        self.report.violations.append(Violation(rule, key, what, where))

    # -- assignments --------------------------------------------------------------------------

    def _assignments(self) -> None:
        """Every context of every experiment exactly once, the evaluator's variant, in order.

        Of an experiment whose units keep their variant, the evaluator's is the first one's, and
        all later ones are that again. Those of a unit lie on one partition.
        """
        possible: dict[str, tuple[Input, Choice]] = {}
        wanted: dict[tuple[str, int], list[str]] = defaultdict(list)
        for context in self.contexts:
            if context.bad is not None:
                continue
            for versions in choices(context, self.readings.catalogs).values():
                for choice in versions.values():
                    possible[choice.assignment_id] = context, choice
                # All versions of one context and experiment stand in the one line.
                line = choice.assignment_key, context.partition
                wanted[line].append(context.id)

        found: dict[tuple[str, int], list[tuple[str, Place]]] = defaultdict(list)
        variants: dict[tuple[str, str], dict[str, Place]] = defaultdict(dict)
        held: dict[str, str] = {}
        lawful: dict[tuple[str, str], set[str]] = defaultdict(set)
        for _, choice in possible.values():
            lawful[choice.unit, choice.run].add(choice.variant)
        records = self.readings.of("assignments")
        self.report.assignments = len(records)
        for record in records:
            event_id = dict(record.headers)["ce_id"].decode()
            key = (record.key or b"").decode()
            known = possible.get(event_id)
            if known is None:
                self._violated(
                    "assigned once", key, f"{event_id} belongs to no context", place(record)
                )
                continue
            context, choice = known
            if choice.kept:
                choice = choice.given(held.setdefault(choice.assignment_key, choice.variant))
            self._same_assignment(choice, key, record)
            found[key, context.partition].append((context.id, place(record)))
            if not choice.kept:
                variants[choice.unit, choice.run].setdefault(_variant(record), place(record))
            if choice.exposes:
                self.choices.append((context, choice))
        self._lines("assigned once", "assignments in order", wanted, found)
        for (unit, run), seen in variants.items():
            if len(seen) > len(lawful[unit, run]):
                self._violated(
                    "one variant",
                    f"{unit} {run}",
                    f"has {', '.join(sorted(seen))}, and the specs give "
                    f"{', '.join(sorted(lawful[unit, run]))}",
                    max(seen.values()),
                )

    def _same_assignment(self, choice: Choice, key: str, record: Record) -> None:
        value = json.loads(record.value or b"null")
        expected = {
            "experiment": choice.experiment,
            "version": choice.version,
            "digest": choice.digest,
            "variant": choice.variant,
            "reason": choice.reason,
            "unit": choice.unit,
        }
        if (key, value) != (choice.assignment_key, expected):
            self._violated(
                "the evaluator's variant",
                key,
                f"is {value}, and must be {expected} under {choice.assignment_key}",
                place(record),
            )

    def _lines(
        self,
        once: str,
        ordered: str,
        wanted: Mapping[tuple[str, int], list[str]],
        found: Mapping[tuple[str, int], list[tuple[str, Place]]],
    ) -> None:
        """Of each key, what came from one input partition: all of it, once, in order."""
        for key, partition in sorted(wanted.keys() | found.keys()):
            must = wanted.get((key, partition), [])
            have = found.get((key, partition), [])
            is_, ought = Counter(id_ for id_, _ in have), Counter(must)
            for id_, n in (ought - is_).items():
                self._violated(once, key, f"{id_} is lost {n} times of {ought[id_]}")
            for id_, n in (is_ - ought).items():
                last = [where for found_id, where in have if found_id == id_][-1]
                self._violated(once, key, f"{id_} is there {n} times too often", last)
            if is_ == ought:
                for want, (got, where) in zip(must, have, strict=True):
                    if want != got:
                        self._violated(ordered, key, f"{got} is where {want} belongs", where)
                        break

    # -- exposures ----------------------------------------------------------------------------

    def _exposures(self) -> None:
        """Each one a context's own; told in every dedupe window, and once unless the cache went."""
        by_id = {choice.exposure_id: (context, choice) for context, choice in self.choices}
        allowed = Counter(choice.exposure_id for _, choice in self.choices)
        told: dict[tuple[str, str, str], list[tuple[int, int, Place]]] = defaultdict(list)
        records = self.readings.of("exposures")
        self.report.exposures = len(records)
        for record in records:
            headers = dict(record.headers)
            event_id = headers["ce_id"].decode()
            unit = (record.key or b"").decode()
            if allowed[event_id] <= 0:
                self._violated(
                    "exposed once",
                    unit,
                    f"{event_id} comes of no assignment, or twice of one",
                    place(record),
                )
                continue
            allowed[event_id] -= 1
            context, choice = by_id[event_id]
            value = json.loads(record.value or b"null")
            expected = {
                "experiment": choice.experiment,
                "version": choice.version,
                "digest": choice.digest,
                "variant": choice.variant,
                "reason": choice.reason,
                "unit": choice.unit,
            }
            if (unit, value) != (choice.unit, expected):
                self._violated(
                    "the evaluator's variant",
                    unit,
                    f"was exposed as {value}, and must be {expected}",
                    place(record),
                )
                continue
            time = _ms(headers["ce_time"])
            self.exposed.append(Exposed(choice.run, choice.variant, choice.unit, time))
            name = choice.run, choice.variant, choice.unit
            told[name].append((time, context.partition, place(record)))
        self._all_told(told)
        self._told_once(told)

    def _all_told(self, told: Mapping[tuple[str, str, str], list[tuple[int, int, Place]]]) -> None:
        window = self.readings.dedupe_ms
        for context, choice in self.choices:
            name = choice.run, choice.variant, choice.unit
            if not any(
                time <= context.time < time + window and partition == context.partition
                for time, partition, _ in told.get(name, ())
            ):
                self._violated(
                    "exposed in every window",
                    choice.unit,
                    f"{context.id} exposes it to {choice.variant} of {choice.run}, which nothing "
                    "tells within the dedupe window",
                    place(context.record),
                )

    def _told_once(self, told: Mapping[tuple[str, str, str], list[tuple[int, int, Place]]]) -> None:
        """The cache forgets only when a task opens: more repeats than openings are too many."""
        window = self.readings.dedupe_ms
        for (run, _, unit), tellings in told.items():
            for partition in {partition for _, partition, _ in tellings}:
                again = 0
                last: int | None = None
                for time, of, where in tellings:
                    if of != partition:
                        continue
                    if last is not None and last <= time < last + window:
                        again += 1
                        if again > self.readings.openings.get(partition, 1) - 1:
                            self._violated(
                                "exposed once",
                                unit,
                                f"is told again of {run} within the dedupe window, for the "
                                f"{again}. time, after {self.readings.openings.get(partition, 1)} "
                                "openings of the task",
                                where,
                            )
                    last = time
                self.report.told_again += again

    # -- telemetry ----------------------------------------------------------------------------

    def _observations(self) -> None:
        """Every good event once for each of its units, unchanged, in order."""
        wanted: dict[tuple[str, int], list[str]] = defaultdict(list)
        events: dict[str, Input] = {}
        for event in self.telemetry:
            if event.bad is None:
                events[event.id] = event
                for unit in event.units:
                    wanted[unit, event.partition].append(event.id)
        found: dict[tuple[str, int], list[tuple[str, Place]]] = defaultdict(list)
        records = self.readings.of("observations")
        self.report.observations = len(records)
        for record in records:
            unit = (record.key or b"").decode()
            value = json.loads(record.value or b"null")
            event = events.get(value["id"])
            if event is None:
                self._violated(
                    "observed once", unit, f"{value['id']} belongs to no event", place(record)
                )
                continue
            told = (value["name"], value["unit"], value["time"], value.get("properties", {}))
            must = (event.data["name"], unit, event.time, event.data["properties"])
            if told != must:
                self._violated(
                    "observed as sent", unit, f"is {told}, and must be {must}", place(record)
                )
            found[unit, event.partition].append((event.id, place(record)))
        self._lines("observed once", "observations in order", wanted, found)

    def _alerts(self) -> None:
        wanted = Counter(event.id for event in self.telemetry if anomalous(event))
        found: Counter[str] = Counter()
        for record in self.readings.of("alerts"):
            value = json.loads(record.value or b"null")
            if value["kind"] != "anomaly":
                continue
            found[value["eventId"]] += 1
            if found[value["eventId"]] > wanted[value["eventId"]]:
                self._violated(
                    "alerted once", value["eventId"], "once more than it came", place(record)
                )
        for event_id, n in (wanted - found).items():
            self._violated("alerted once", event_id, f"{n} alerts are missing")

    # -- dead letters -------------------------------------------------------------------------

    def _dead_letters(self) -> None:
        """Every bad record once, as it came, with its reason and its place; nothing else."""
        physical = {
            record.topic: topic
            for topic, records in self.readings.topics.items()
            for record in records[:1]
        }
        wanted = {
            place(one.record): one
            for one in [*self.contexts, *self.telemetry]
            if one.bad is not None
        }
        found: Counter[Place] = Counter()
        for topic, records in self.readings.topics.items():
            if not topic.endswith(".dlq"):
                continue
            for record in records:
                self.report.dead_letters += 1
                headers = dict(record.headers)
                of = (
                    headers[_ERRORS + "topic"].decode(),
                    int(headers[_ERRORS + "partition"]),
                    int(headers[_ERRORS + "offset"]),
                )
                name = "{}[{}]@{}".format(*of)
                reason = headers[_ERRORS + "exception"].decode()
                one = wanted.get(of)
                found[of] += 1
                if one is None:
                    message = headers[_ERRORS + "message"].decode()
                    self._violated(
                        "dead letters", name, f"is good, but: {reason}: {message}", place(record)
                    )
                    continue
                if found[of] > 1:
                    self._violated("dead letters", name, "is there once more", place(record))
                kept = tuple(h for h in record.headers if not h[0].startswith(_ERRORS))
                if (record.key, record.value, kept) != (
                    one.record.key,
                    one.record.value,
                    tuple(one.record.headers),
                ):
                    self._violated("dead letters", name, "is not as it came", place(record))
                if topic != f"{physical[one.record.topic]}.dlq" or reason != one.bad.error:
                    self._violated(
                        "dead letters",
                        name,
                        f"is on {topic} for {reason}, and must be for {one.bad.error}",
                        place(record),
                    )
        for of in wanted.keys() - found.keys():
            self._violated("dead letters", "{}[{}]@{}".format(*of), "has no dead letter", of)

    # -- sums ---------------------------------------------------------------------------------

    def _sums(self) -> None:
        runs = add_up(self.readings.catalogs[-1], self.exposed, self.telemetry, self.readings.sizes)
        self._results(runs)
        self._windows(runs)

    def _results(self, runs: Mapping[str, Run]) -> None:
        places = _last_places(self.readings.of("results"))
        latest = latest_values(self.readings.of("results"))
        self.report.results = len(latest)
        told = {key.decode().replace("|", "@"): json.loads(v) for key, v in latest.items()}
        for name in told.keys() - runs.keys():
            self._violated("results", name, "nobody was exposed to it")
        for name, run in runs.items():
            if name not in told:
                self._violated("results", name, "has none")
                continue
            where = places[name.replace("@", "|").encode()]
            for what, got, want in _result_figures(told[name], run):
                if got != want:
                    self._violated("results", f"{name} {what}", f"is {got}, not {want}", where)

    def _windows(self, runs: Mapping[str, Run]) -> None:
        places = _last_places(self.readings.of("metric-windows"))
        latest = latest_values(self.readings.of("metric-windows"))
        self.report.windows = len(latest)
        left = {
            (name, *cell): (run, events)
            for name, run in runs.items()
            for cell, events in run.windows.items()
        }
        for key, value in latest.items():
            told = json.loads(value)
            size = told["window"]["size"]
            cell = (
                f"{told['experiment']}@{told['version']}",
                told["variant"],
                told["metric"],
                int(size[:-1]) * _SIZES[size[-1]],
                _ms(told["window"]["start"].encode()),
            )
            run = runs.get(cell[0])
            events = left.pop(cell, (run, Cell()))[1]
            got = told["units"], told["events"], told["sum"]
            want = len(events.units), len(events.values), float(events.total)
            if got != want:
                self._violated("windows", key.decode(), f"is {got}, not {want}", places[key])
            exact = events.value("count" if cell[2] == "$exposures" else told["aggregation"])
            if not _near(told["value"], exact, told["aggregation"]):
                self._violated(
                    "windows", key.decode(), f"has {told['value']}, not {exact}", places[key]
                )
        for cell, (_, events) in left.items():
            self._violated(
                "windows", " ".join(map(str, cell)), f"has none, but {len(events.values)} events"
            )


def _result_figures(told: dict[str, Any], run: Run) -> Iterable[tuple[str, object, object]]:
    """What, as told, as recomputed."""
    spec = run.spec
    yield "digest", told["digest"], spec.digest
    for variant in told["variants"]:
        id_ = variant["id"]
        yield f"{id_} units", variant["units"], len(run.units.get(id_, ()))
        yield f"{id_} crossovers", variant["crossovers"], len(run.crossovers.get(id_, ()))
    yield "variants", {v["id"] for v in told["variants"]}, {v.id for v in spec.variants}
    yield "metrics", [m["name"] for m in told["metrics"]], [m.name for m in spec.success_metrics]
    for metric in told["metrics"]:
        aggregation = metric["aggregation"]
        for of in metric["variants"]:
            name = f"{metric['name']} of {of['id']}"
            units = len(run.units.get(of["id"], ()))
            cell = run.metrics.get((of["id"], metric["name"]), Cell())
            converted = len(cell.units)
            total = Fraction(converted if aggregation == "unique" else cell.total)
            yield f"{name}: units", of["units"], units
            yield f"{name}: events", of["events"], len(cell.values)
            yield f"{name}: converted", of["converted"], converted
            yield f"{name}: sum", of["sum"], float(total)
            yield f"{name}: rate", of["rate"], _share(Fraction(converted), units)
            yield f"{name}: mean", of["mean"], _share(total, units)
            yield f"{name}: event mean", of["eventMean"], _share(total, len(cell.values))
            exact = cell.value(aggregation)
            if not _near(of["value"], exact, aggregation):
                yield f"{name}: value", of["value"], exact


def _share(total: Fraction, count: int) -> float | None:
    return float(total / count) if count else None


def _near(told: float | None, exact: Fraction | None, aggregation: str) -> bool:
    """Equal; of quantiles within what their sketch promises."""
    if told is None or exact is None:
        return told is None and exact is None
    if aggregation.startswith("p"):
        return abs(Fraction(told) - exact) <= _SKETCH_ERROR * abs(exact) * Fraction(1001, 1000)
    return told == float(exact)


def _last_places(records: Iterable[Record]) -> dict[bytes, Place]:
    return {record.key or b"": place(record) for record in records}


def _variant(record: Record) -> str:
    return str(json.loads(record.value or b"null")["variant"])


def _ms(text: bytes) -> int:
    return round(datetime.fromisoformat(text.decode()).timestamp() * 1000)
