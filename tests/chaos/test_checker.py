"""The checker, on what the embedded pipeline puts out: it passes that, and notices any damage."""

from __future__ import annotations

import asyncio
import json
from dataclasses import dataclass, replace
from datetime import datetime

import pytest

from anabranch.processors.protocol import Record
from anabranch.runtime import EmbeddedPipeline, build_stages
from anabranch.settings import load_settings
from anabranch.topology import TOPICS
from tests.chaos import specs
from tests.chaos.check import Readings, check
from tests.chaos.load import make_load
from tests.chaos.oracle import choices, read_inputs

DEDUPE = 3600


@dataclass
class Kept:
    """A record that can be changed."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: tuple
    timestamp: int


def kept(record: Record, **changes) -> Kept:
    names = ("topic", "partition", "offset", "key", "value", "headers", "timestamp")
    made = Kept(**{name: getattr(record, name) for name in names})
    return replace(made, **changes)


@pytest.fixture(scope="module")
def readings() -> Readings:
    return asyncio.run(_readings())


async def _readings() -> Readings:
    catalog = specs.catalog(*specs.first())
    settings = load_settings(
        prefix="t", partitions=3, exposure_dedupe=DEDUPE, window_sizes=(60, 3600)
    )
    load = make_load(1, units=60, contexts=250, events=600)
    async with EmbeddedPipeline(build_stages(catalog, settings), settings) as pipeline:
        await pipeline.publish(load.messages)
        await pipeline.drain()
        topics = {t.name: list(await pipeline.records(t.name)) for t in TOPICS}
    return Readings(topics, load.bad, [catalog], DEDUPE * 1000, (60_000, 3_600_000))


def test_what_the_pipeline_puts_out_passes(readings):
    report = check(readings)
    assert report.violations == []
    assert report.contexts > 250
    assert report.assignments > report.exposures > 60
    assert report.dead_letters > 5
    assert report.results == 4
    assert report.windows > 100


def damaged(readings: Readings, topic: str, change) -> list:
    records = list(readings.topics[topic])
    return check(replace(readings, topics={**readings.topics, topic: change(records)})).violations


def rules(violations) -> set[str]:
    return {violation.rule for violation in violations}


@pytest.mark.parametrize(
    ("topic", "rule"),
    [
        ("assignments", "assigned once"),
        ("exposures", "exposed once"),
        ("observations", "observed once"),
        ("alerts", "alerted once"),
        ("contexts.dlq", "dead letters"),
        ("telemetry.dlq", "dead letters"),
    ],
)
def test_a_record_twice_is_noticed_with_its_place(readings, topic, rule):
    again = kept(readings.topics[topic][5 if len(readings.topics[topic]) > 5 else 0])
    again.offset += 1_000_000
    (violation,) = damaged(readings, topic, lambda records: [*records, again])
    assert violation.rule == rule
    assert violation.where == (again.topic, again.partition, again.offset)


@pytest.mark.parametrize(
    ("topic", "rule"),
    [
        ("assignments", "assigned once"),
        ("observations", "observed once"),
        ("alerts", "alerted once"),
        ("contexts.dlq", "dead letters"),
        ("telemetry.dlq", "dead letters"),
    ],
)
def test_a_lost_record_is_noticed(readings, topic, rule):
    assert rule in rules(damaged(readings, topic, lambda records: records[1:]))


def test_a_lost_exposure_is_noticed_for_itself_and_in_the_results(readings):
    first = {}
    for n, record in enumerate(readings.topics["exposures"]):
        first.setdefault(record.key, n)
    gone = max(first.values())
    found = damaged(readings, "exposures", lambda records: records[:gone] + records[gone + 1 :])
    assert {"exposed in every window", "results"} <= rules(found)


def test_an_exposure_told_again_is_lawful_only_after_a_cache_was_lost(readings):
    """A context that exposes its unit an hour or less after it was told: tell it once more."""
    told = {}
    for record in readings.topics["exposures"]:
        value = json.loads(record.value)
        told[value["unit"], value["experiment"]] = record
    for context, choice in exposing(readings):
        before = told.get((choice.unit, choice.experiment))
        since = before and _time(before)
        ids = {_id(record) for record in readings.topics["exposures"]}
        if (
            before
            and since < context.time < since + DEDUPE * 1000
            and choice.exposure_id not in ids
        ):
            headers = [h for h in before.headers if h[0] not in {"ce_id", "ce_time"}]
            headers += [
                ("ce_id", choice.exposure_id.encode()),
                ("ce_time", dict(context.record.headers)["ce_time"]),
            ]
            break
    again = kept(before, headers=tuple(headers), offset=2_000_000)
    topics = {**readings.topics, "exposures": [*readings.topics["exposures"], again]}
    (violation,) = check(replace(readings, topics=topics)).violations
    assert (violation.rule, violation.where[2]) == ("exposed once", 2_000_000)
    lost = check(replace(readings, topics=topics, openings=dict.fromkeys(range(3), 2)))
    assert lost.violations == []
    assert lost.told_again == 1


def exposing(readings: Readings):
    for context in read_inputs(readings.topics["contexts"], readings.bad):
        if context.bad is None:
            for versions in choices(context, readings.catalogs).values():
                for choice in versions.values():
                    if choice.exposes and choice.unit.startswith("user"):
                        yield context, choice


def _time(record: Record) -> int:
    text = dict(record.headers)["ce_time"].decode()
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@pytest.mark.parametrize(
    ("topic", "rule"),
    [("assignments", "assignments in order"), ("observations", "observations in order")],
)
def test_two_records_of_a_key_in_the_wrong_order_are_noticed(readings, topic, rule):
    def swap(records):
        at: dict[tuple, int] = {}
        for n, record in enumerate(records):
            before = at.setdefault((record.partition, record.key), n)
            if records[before].headers != record.headers or records[before].value != record.value:
                records[before], records[n] = record, records[before]
                return records
        raise AssertionError

    (violation,) = damaged(readings, topic, swap)
    assert violation.rule == rule


def test_another_variant_is_noticed(readings):
    def other(records):
        value = json.loads(records[0].value)
        value["variant"] = "green" if value["variant"] != "green" else "blue"
        return [kept(records[0], value=json.dumps(value).encode()), *records[1:]]

    found = damaged(readings, "assignments", other)
    assert "the evaluator's variant" in rules(found)


@pytest.mark.parametrize("figure", ["events", "units", "sum", "value"])
@pytest.mark.parametrize("topic", ["metric-windows", "results"])
def test_a_wrong_figure_is_noticed(readings, topic, figure):
    """By one cent, by one event, by one unit."""

    def wrong(records):
        n, value = next(
            (n, json.loads(r.value))
            for n, r in reversed(list(enumerate(records)))
            if topic == "results" or json.loads(r.value)["aggregation"] == "sum"
        )
        cell = value
        if topic == "results":
            metric = next(m for m in value["metrics"] if m["aggregation"] == "sum")
            cell = next(v for v in metric["variants"] if v["events"])
        cell[figure] += 0.01 if figure in {"sum", "value"} else 1
        records[n] = kept(records[n], value=json.dumps(value).encode())
        return records

    found = damaged(readings, topic, wrong)
    assert rules(found) == {"windows" if topic == "metric-windows" else "results"}


def test_missing_sums_are_noticed(readings):
    assert rules(damaged(readings, "results", lambda _: [])) == {"results"}
    assert rules(damaged(readings, "metric-windows", lambda _: [])) == {"windows"}


def test_a_good_record_among_the_dead_letters_is_noticed(readings):
    def buried(records):
        good = next(r for r in readings.topics["contexts"] if _id(r) not in readings.bad)
        place = {"topic": good.topic, "partition": good.partition, "offset": good.offset}
        told = {**place, "exception": "MalformedEventError", "message": "not JSON"}
        headers = [(f"__streams.errors.{n}", str(v).encode()) for n, v in told.items()]
        return [*records, kept(good, headers=(*good.headers, *headers))]

    assert rules(damaged(readings, "contexts.dlq", buried)) == {"dead letters"}


def test_a_dead_letter_that_is_not_as_it_came_is_noticed(readings):
    def changed(records):
        return [kept(records[0], value=b"other"), *records[1:]]

    assert rules(damaged(readings, "telemetry.dlq", changed)) == {"dead letters"}


def _id(record: Record) -> str:
    return dict(record.headers)["ce_id"].decode()


def test_a_unit_that_did_not_keep_what_it_was_given_first_is_noticed(readings):
    records = readings.topics["assignments"]
    given = [n for n, r in enumerate(records) if r.key.endswith(f"|{specs.SHIPPING}".encode())]
    keys = [records[n].key for n in given]
    again = next(n for n in reversed(given) if keys.count(records[n].key) > 1)
    value = json.loads(records[again].value)
    other = {"control": "free", "free": "control"}[value["variant"]]
    value |= {"variant": other, "reason": "sticky"}
    damage = kept(records[again], value=json.dumps(value).encode())
    found = damaged(
        readings, "assignments", lambda all_: [*all_[:again], damage, *all_[again + 1 :]]
    )
    assert "the evaluator's variant" in rules(found)
