import json
from datetime import UTC, datetime
from zlib import crc32

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from anabranch.errors import (
    EmptyEventError,
    EventSchemaError,
    FutureEventError,
    MalformedEventError,
    UnknownExperimentError,
    UnknownVariantError,
)
from anabranch.events.models import Delta, Observation
from anabranch.metrics.ledger import LedgerSettings
from anabranch.metrics.retention import RetentionSettings
from anabranch.metrics.windows import MINUTE, WindowSettings
from anabranch.processors.aggregate import AggregateProcessor
from anabranch.processors.attribute import AttributeProcessor
from anabranch.processors.deltas import WINDOWS_PER_DELTA
from tests.metrics.compare import check_results, check_segments, expected_counts, window_counts
from tests.metrics.oracle import Shown, recompute, version_of
from tests.metrics.shop import BANNER, CATALOG, CHECKOUT, NEXT_BANNER
from tests.metrics.strategies import deliveries
from tests.support.bench import NOW, Bench, In

T = 1_700_000_040_000  # the start of a minute
WINDOWS = WindowSettings(idle_ms=5 * MINUTE)


def bench(**settings):
    settings.setdefault("windows", WINDOWS)
    return Bench(AttributeProcessor(CATALOG, **settings), "exposures", "observations", partition=3)


def exposure(at=0, variant="short", unit="user:1", **fields):
    """A structured CloudEvent; ``at`` in seconds after T."""
    time = datetime.fromtimestamp(T / 1000 + at, UTC).isoformat()
    event = {
        "specversion": "1.0",
        "type": "anabranch.exposure.v1",
        "source": "shop",
        "id": "e",
        "time": time,
        "data": {"experiment": "checkout", "version": 1, "variant": variant, "unit": unit} | fields,
    }
    headers = [("content-type", b"application/cloudevents+json")]
    return In("exposures", json.dumps(event).encode(), key=unit.encode(), headers=headers)


def observation(number, at=0, name="shop.order", unit="user:1", version="1.0.0", **properties):
    event = Observation(
        id=f"o{number}",
        source="shop",
        name=name,
        version=version,
        unit=unit,
        time=T + at * 1000,
        properties=properties,
    )
    return In("observations", msgspec.json.encode(event), key=unit.encode())


def deltas(out):
    return [msgspec.json.decode(record.value, type=Delta) for record in out.of("deltas")]


async def test_a_batch_gives_one_delta_per_run():
    out = await bench().run(
        exposure(0),
        exposure(1, unit="user:2", variant="control"),
        observation(1, 10, amount=12.5),
        observation(2, 70, amount=2),
        observation(3, 20, amount=1, unit="user:9"),
    )
    (record,) = out.of("deltas")
    assert record.key == b"checkout"
    told = json.loads(record.value)
    assert told.pop("segments") == {"country": {"other": told["variants"]}}
    assert told == {
        "experiment": "checkout",
        "version": "1.0.0",
        "source": 3,
        "watermark": T + 1000,
        "asOf": T + 70_000,
        "variants": {
            "short": {
                "units": 1,
                "metrics": {
                    name: {
                        "converted": 1,
                        "events": 2,
                        "sum": "14.5",
                        "sumSquares": "210.25",
                        "eventSquares": "160.25",
                    }
                    | (
                        {
                            "bins": {"127": 1, "35": 1},
                            "pairs": {"127": 1},
                            "others": {"127": 1, "35": 1},
                        }
                        if name == "large orders"
                        else {}
                    )
                    for name in ("revenue", "order value", "large orders", "early revenue")
                }
                | {
                    name: {
                        "converted": 1,
                        "events": 2,
                        "sum": "2",
                        "sumSquares": "4",
                        "eventSquares": "2",
                    }
                    for name in ("orders", "buyers")
                },
            },
            "control": {"units": 1},
        },
        "windows": told["windows"],
        "format": 5,
    }
    windows = {(w.start - T, w.variant): w for w in deltas(out)[0].windows}
    assert set(windows) == {(0, "control"), (0, "short"), (MINUTE, "short")}
    assert windows[0, "short"].exposures == 1
    assert windows[0, "control"].metrics == {}
    revenue = windows[MINUTE, "short"].metrics["revenue"]
    assert (revenue.units, revenue.events, revenue.sum) == (1, 1, "2")
    assert out.counters == {"exposures": 2, "observations": 3, "deltas": 1}


async def test_every_window_size_is_told_at_once():
    out = await bench(windows=WindowSettings(sizes_ms=(MINUTE, 60 * MINUTE))).run(
        exposure(0), observation(1, 1)
    )
    assert {w.size for w in deltas(out)[0].windows} == {MINUTE, 60 * MINUTE}


async def test_observations_wait_for_their_exposure():
    b = bench()
    assert deltas(await b.run(observation(1, 10), observation(2, -10))) == []
    (delta,) = deltas(await b.run(exposure(0)))
    assert delta.variants["short"].metrics["orders"].events == 1
    assert delta.as_of == T + 10_000


async def test_repeats_are_counted_and_change_nothing():
    b = bench()
    await b.run(exposure(0), observation(1, 10))
    out = await b.run(exposure(5), exposure(0), observation(1, 10), observation(1, 10))
    assert deltas(out) == []
    assert out.counters["repeated_exposures"] == 2
    assert out.counters["repeated_observations"] == 2


async def test_the_same_id_of_another_source_is_another_event():
    other = msgspec.json.decode(observation(1, 10).value)
    other["source"] = "app"
    (delta,) = deltas(
        await bench().run(
            exposure(0), observation(1, 10), In("observations", msgspec.json.encode(other))
        )
    )
    assert delta.variants["short"].metrics["orders"].events == 2


async def test_events_that_no_metric_uses_are_not_kept():
    b = bench()
    out = await b.run(
        observation(1, name="shop.search"), observation(2, version="2.0.0"), observation(3, 5)
    )
    assert out.counters["unused_observations"] == 2
    assert [k for k in b.store.snapshot() if k.startswith(b"u|")] == [b"u|user:1"]


async def test_a_value_that_is_absent_or_null_is_not_counted_by_metrics_over_it():
    out = await bench().run(exposure(0), observation(1), observation(2, amount=None))
    metrics = deltas(out)[0].variants["short"].metrics
    assert set(metrics) == {"orders", "buyers"}
    assert metrics["orders"].events == 2


async def test_a_crossover_is_taken_back_and_told_for_both_variants():
    b = bench()
    await b.run(exposure(0), observation(1, 1, amount=5))
    (delta,) = deltas(await b.run(exposure(2, "long")))
    short, long = delta.variants["short"], delta.variants["long"]
    assert (short.units, short.crossovers) == (-1, 1)
    assert (long.units, long.crossovers) == (0, 1)
    revenue = short.metrics["revenue"]
    assert (revenue.converted, revenue.events, revenue.sum, revenue.sum_squares) == (
        -1,
        -1,
        "-5",
        "-25",
    )
    (window,) = delta.windows
    assert (window.exposures, window.metrics["revenue"].units) == (-1, -1)


async def test_a_crossover_within_a_batch_never_counts():
    (delta,) = deltas(await bench().run(exposure(0), exposure(1, "long"), observation(1, 5)))
    assert {name: (v.units, v.metrics) for name, v in delta.variants.items()} == {
        "short": (0, {}),
        "long": (0, {}),
    }
    assert delta.windows == []


async def test_many_windows_are_told_in_several_deltas_whose_sums_are_told_once():
    n = WINDOWS_PER_DELTA + 10
    out = await bench().run(exposure(0), *(observation(i, 60 * i) for i in range(n)))
    first, second = deltas(out)
    assert len(first.windows) + len(second.windows) == n
    assert first.variants["short"].metrics["orders"].events == n
    assert second.variants == {}


async def test_ledger_evictions_are_counted():
    out = await bench(ledger=LedgerSettings(most=8)).run(*(observation(i, i) for i in range(20)))
    assert out.counters["ledger_evictions"] >= 12


# -- the watermark ----------------------------------------------------------------------------


async def test_the_watermark_is_the_lesser_of_both_sources_that_have_delivered():
    b = bench()
    assert deltas(await b.run(exposure(30)))[0].watermark == T + 30_000
    # Observations have nothing to hold back until they come, and then it does not go back.
    assert deltas(await b.run(observation(1, 20), exposure(40)))[0].watermark == T + 30_000
    assert deltas(await b.run(observation(2, 35), exposure(50)))[0].watermark == T + 35_000


async def test_a_source_that_falls_silent_holds_the_watermark_back_only_for_a_while():
    b = bench()
    await b.run(exposure(0), observation(1, 1))
    assert deltas(await b.run(observation(2, 300)))[0].watermark == T
    assert deltas(await b.run(observation(3, 301)))[0].watermark == T + 301_000


async def test_runs_without_changes_are_told_the_time_once_a_minute():
    b = bench(windows=WindowSettings(idle_ms=0))
    await b.run(exposure(0))
    told = []
    for at in (30, 60, 61, 119, 120, 400):
        out = await b.run(observation(at, at, unit="user:9", name="shop.search"))
        told += [(at, d.watermark - T, d.as_of - T, d.variants, d.windows) for d in deltas(out)]
    assert told == [
        (60, 60_000, 0, {}, []),
        (120, 120_000, 0, {}, []),
        (400, 400_000, 0, {}, []),
    ]


# -- what cannot be processed -----------------------------------------------------------------


DAY = 24 * 60 * MINUTE


def units(b) -> set[str]:
    return {key[2:].decode() for key in b.store.snapshot() if key.startswith(b"u|")}


async def test_units_that_nothing_was_heard_of_for_long_are_forgotten_a_slice_at_a_time():
    b = bench(retention=RetentionSettings(units_ms=30 * DAY, every_ms=DAY, slice=2, grace_ms=0))
    await b.run(*(exposure(0, unit=f"user:{n}") for n in range(3)))
    await b.run(*(observation(n, 1, unit=f"user:never-{n}") for n in range(3)))
    assert len(units(b)) == 6

    forgotten = []
    for minute in range(5):
        out = await b.run(exposure(31 * 86_400 + minute * 60, unit="user:0", variant="short"))
        forgotten.append(out.counters.get("forgotten_units", 0))
    assert sum(forgotten) == 5
    assert max(forgotten) == 2
    assert units(b) == {"user:0"}


async def test_what_is_within_its_time_is_kept_and_still_counts():
    b = bench(retention=RetentionSettings(units_ms=30 * DAY, every_ms=DAY, grace_ms=0))
    await b.run(exposure(0), observation(0, 1, unit="user:never", amount=1))
    await b.run(exposure(6 * 86_400, unit="user:2"), observation(1, 6 * 86_400, unit="user:3"))
    assert units(b) == {"user:1", "user:2", "user:3", "user:never"}
    out = await b.run(exposure(20 * 86_400, unit="user:4"), observation(2, 20 * 86_400, amount=5))
    assert units(b) == {"user:1", "user:2", "user:4"}
    assert out.counters["unexposed_observations"] == 2, "those of user:never and user:3"
    (delta,) = deltas(out)
    assert delta.variants["short"].metrics["orders"].events == 1


async def test_an_observation_that_waited_too_long_does_not_count_and_is_counted_as_such():
    b = bench(retention=RetentionSettings(every_ms=DAY, grace_ms=0))
    await b.run(exposure(0, unit="user:2"), *(observation(n, 1) for n in range(40)))
    out = await b.run(
        exposure(8 * 86_400, unit="user:2"), observation(99, 8 * 86_400, unit="user:2")
    )
    assert out.counters["unexposed_observations"] == 40
    (delta,) = deltas(await b.run(exposure(0)))
    assert delta.variants["short"].metrics == {}


async def test_forgetting_goes_on_where_a_dropped_batch_left_it():
    b = bench(retention=RetentionSettings(units_ms=30 * DAY, every_ms=DAY, grace_ms=0))
    await b.run(exposure(0), exposure(0, unit="user:2"))
    await b.run(exposure(40 * 86_400, unit="user:3"), commit=False)
    assert units(b) == {"user:1", "user:2"}, "what the batch forgot went with it"
    await b.run(exposure(40 * 86_400, unit="user:3"))
    assert units(b) == {"user:3"}


def changed(record, **changes):
    record.value = msgspec.json.encode(msgspec.json.decode(record.value) | changes)
    return record


@pytest.mark.parametrize(
    ("record", "error", "said"),
    [
        (exposure(experiment="chekout"), UnknownExperimentError, "checkout"),
        (exposure(version="1.1"), UnknownExperimentError, "its versions are 1.0.0"),
        (exposure(variant="shorter"), UnknownVariantError, "control, long, short"),
        (exposure(unit="1"), EventSchemaError, "user:ID"),
        (exposure(unit="user:"), EventSchemaError, "user:ID"),
        (exposure(unit="device:1"), EventSchemaError, "user:ID"),
        (exposure(experiment=5), EventSchemaError, "experiment"),
        (In("exposures", None), EmptyEventError, "null"),
        (In("observations", None), EmptyEventError, "without a value"),
        (In("observations", b"{"), MalformedEventError, "not JSON"),
        (In("observations", b"{}"), EventSchemaError, "is missing"),
        (observation(1, unit="x"), EventSchemaError, "user:ID"),
        (observation(1, amount="12"), EventSchemaError, "property 'amount' of event 'shop.order'"),
        (observation(1, amount=True), EventSchemaError, "boolean"),
        (observation(1, amount=1e19), EventSchemaError, "another unit of measure"),
        (changed(observation(1), time=NOW + 3_600_000), FutureEventError, "clock"),
        (changed(observation(1), time=-(10**15)), EventSchemaError, "before the year 1"),
    ],
)
async def test_invalid_records_go_to_the_dead_letters_and_change_nothing(record, error, said):
    b = bench()
    out = await b.run(record)
    ((dead, why),) = out.dead
    assert dead is record
    assert type(why) is error
    assert said in str(why)
    assert out.records == []
    assert not any(key.startswith(b"u|") for key in b.store.snapshot())


async def test_an_invalid_record_does_not_hold_up_its_batch():
    out = await bench().run(
        exposure(variant="?"), exposure(0), observation(1, amount="?"), observation(2)
    )
    assert len(out.dead) == 2
    assert deltas(out)[0].variants["short"].metrics["orders"].events == 1


# -- restarts and the whole -------------------------------------------------------------------


async def test_a_dropped_batch_leaves_nothing_behind():
    b = bench()
    await b.run(exposure(0), observation(1, 1))
    before = b.store.snapshot()
    batch = (exposure(2, "long"), observation(2, 2), exposure(3, unit="user:2"))
    dropped = await b.run(*batch, commit=False)
    assert b.store.snapshot() == before
    again = await b.run(*batch)
    assert [r.value for r in again.records] == [r.value for r in dropped.records]


async def test_a_new_processor_continues_from_state():
    whole, parts = bench(), bench()
    for records in (
        [observation(1, 5, amount=1)],
        [exposure(3), observation(2, 6, amount=2)],
        [exposure(1, unit="user:2"), observation(1, 5, amount=1)],
        [exposure(0), exposure(0, "long", "user:2")],
    ):
        expected = await whole.run(*records)
        parts.processor = AttributeProcessor(CATALOG, windows=WINDOWS)
        found = await parts.run(*records)
        assert [r.value for r in found.records] == [r.value for r in expected.records]
    assert parts.store.snapshot() == whole.store.snapshot()


class Pipeline:
    """Attribute on partitions by unit, then aggregate."""

    def __init__(self, partitions=1):
        self.attribute = [
            Bench(
                AttributeProcessor(CATALOG, windows=WINDOWS),
                "exposures",
                "observations",
                partition=p,
            )
            for p in range(partitions)
        ]
        self.aggregate = Bench(AggregateProcessor(CATALOG, windows=WINDOWS), "deltas")
        self.results = {}
        self.segments = {}
        self.windows = {}

    async def run(self, events):
        for partition, b in enumerate(self.attribute):
            records = [
                _record(e)
                for e in events
                if crc32(e.unit.encode()) % len(self.attribute) == partition
            ]
            out = await b.run(*records)
            assert not out.dead
            out = await self.aggregate.run(
                *(In("deltas", r.value, key=r.key) for r in out.of("deltas"))
            )
            assert not out.dead
            self.results |= {r.key: r.value for r in out.of("results")}
            self.segments |= {r.key: r.json for r in out.of("segments")}
            self.windows |= {r.key: r.json for r in out.of("metric-windows")}


def _record(event):
    at = (event.time - T) / 1000
    if isinstance(event, Shown):
        named = {"experiment": event.experiment, "version": version_of(event)}
        named["segments"] = {"country": event.country}
        return exposure(at, event.variant, event.unit, **named)
    made = observation(event.id, 0, event.event, event.unit, **dict(event.properties))
    return changed(made, time=event.time)


@given(deliveries(), st.integers(1, 4))
async def test_results_and_windows_are_those_of_a_batch_recomputation(delivery, partitions):
    """However many partitions there are, and wherever batches end."""
    history, batches = delivery
    arrived, at_once = Pipeline(partitions), Pipeline()
    for batch in batches:
        await arrived.run(batch)
    await at_once.run(history)
    assert arrived.results == at_once.results
    for spec in (CHECKOUT, BANNER, NEXT_BANNER):
        expected = recompute(history, spec)
        found = arrived.results.get(f"{spec.key}|{spec.version}".encode())
        if found is None:
            assert expected["as_of"] is None
            continue
        check_results(msgspec.json.decode(found), expected, spec)
        check_segments(arrived.segments, expected, spec)
        assert window_counts(arrived.windows.values(), spec) == expected_counts(expected)


async def test_history_read_at_once_does_not_outrun_exposures_that_come_a_little_later():
    b = bench()
    for day in range(60):
        await b.run(observation(day, day * 86_400, unit=f"user:{day}", amount=1))
    assert len(units(b)) == 60
    out = await b.run(*(exposure(day * 86_400, unit=f"user:{day}") for day in range(60)))
    (delta,) = deltas(out)
    assert delta.variants["short"].metrics["orders"].events == 60


async def test_by_and_by_what_history_left_behind_is_forgotten_all_the_same():
    b = bench()
    for day in range(60):
        await b.run(observation(day, day * 86_400, unit=f"user:{day}"))
    for minute in range(0, 40, 5):
        at = 60 * 86_400 + minute * 60
        await b.run(observation(60 + minute, at, unit="user:60"), now=NOW + minute * MINUTE)
    assert units(b) == {f"user:{day}" for day in range(54, 61)}
