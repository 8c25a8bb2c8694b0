"""Every metric type through all of the pipeline, against a brute-force recomputation.

The same events on both runtimes: late and early ones, doubled ones, units that cross over, a new
version of an experiment, a day that ends. Three partitions, cut into batches wherever it happens.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from random import Random

import pytest
from hypothesis import HealthCheck, given, settings

from anabranch.events.cloudevents import format_time
from anabranch.metrics.windows import Days
from anabranch.runtime import EmbeddedPipeline, LiveCatalog, Message, build_stages, latest_values
from anabranch.settings import load_settings
from tests.metrics.compare import check_results, check_segments, expected_counts, window_counts
from tests.metrics.oracle import ZONE, Did, Shown, recompute, version_of
from tests.metrics.shop import BANNER, CATALOG, CHECKOUT, NEXT_BANNER
from tests.metrics.strategies import deliveries
from tests.support.pipelines import running

RUNS = (CHECKOUT, BANNER, NEXT_BANNER)
MIDNIGHT = 1_700_002_800_000
"""In Berlin."""

SIZES = (60_000, 3_600_000, Days(86_400_000, ZONE))
WINDOWS = {"window_sizes": (60, 3600, 86_400), "window_time_zone": "Europe/Berlin"}


def message(event: Shown | Did) -> Message:
    """A structured CloudEvent; the record's own timestamp says nothing."""
    identity, _, name = event.unit.partition(":")
    if isinstance(event, Shown):
        topic, kind = "exposures", "exposure"
        data = {
            "experiment": event.experiment,
            "version": version_of(event),
            "variant": event.variant,
            "unit": event.unit,
            "segments": {"country": event.country},
        }
        made_id = f"{event.experiment}-{event.unit}-{event.variant}-{event.time}"
    else:
        topic, kind = "telemetry", "telemetry"
        data = {
            "name": event.event,
            "version": 1,
            f"{identity}Id": name,
            "properties": dict(event.properties),
        }
        made_id = f"did-{event.id}"
    value = {
        "specversion": "1.0",
        "type": f"anabranch.{kind}.v1",
        "source": "shop",
        "id": made_id,
        "time": format_time(event.time),
        "data": data,
    }
    headers = [("content-type", b"application/cloudevents+json")]
    return Message(topic, event.unit.encode(), json.dumps(value).encode(), headers)


async def check(pipeline, events: Iterable[Shown | Did]) -> None:
    """Results and windows of every run are what the events come to, and nothing was refused."""
    for topic in ("exposures", "telemetry", "observations", "deltas"):
        assert await pipeline.records(f"{topic}.dlq") == []
    results = {
        key: json.loads(value)
        for key, value in latest_values(await pipeline.records("results")).items()
    }
    segments = {
        key: json.loads(value)
        for key, value in latest_values(await pipeline.records("segments")).items()
    }
    cells = latest_values(await pipeline.records("metric-windows")).values()
    cells = [json.loads(value) for value in cells]
    for spec in RUNS:
        expected = recompute(events, spec, SIZES)
        found = results.get(f"{spec.key}|{spec.version}".encode())
        if expected["as_of"] is None:
            assert found is None
            continue
        check_results(found, expected, spec)
        check_segments(segments, expected, spec)
        assert window_counts(cells, spec) == expected_counts(expected)


def history(random: Random, units: int) -> list[Shown | Did]:
    """What some units were shown and did around midnight, with hesitation."""
    events: list[Shown | Did] = []
    for n in range(units):
        unit = f"{random.choice(['user', 'user', 'session'])}:{n}"
        start = MIDNIGHT + random.randrange(-200_000, 200_000)
        shown = []
        for experiment, arms, versions in (
            ("checkout", ["control", "short", "long"], ["1.0.0"]),
            ("banner", ["on", "off"], ["2.1.0", "2.1.0", "2.2.0"]),
        ):
            variant = random.choice(arms)
            for _ in range(random.randrange(4)):
                crosses = random.random() < 0.1
                shown.append(
                    Shown(
                        experiment,
                        random.choice(arms) if crosses else variant,
                        unit,
                        start + random.randrange(-60_000, 60_000),
                        random.choice(versions),
                        random.choice(["DE", "FR", "other"]),
                    )
                )
        events += shown
        for _ in range(random.randrange(12)):
            name = random.choice(["shop.order", "shop.order", "shop.view", "shop.pay"])
            properties = {
                "amount": round(random.lognormvariate(3, 1), 2),
                "items": random.randrange(1, 6),
            }
            carried = {k: v for k, v in properties.items() if random.random() < 0.8}
            events.append(
                Did(
                    len(events) + 10_000 * n,
                    name,
                    unit,
                    start + random.randrange(-150_000, 250_000),
                    tuple(carried.items()) if name == "shop.order" else (),
                )
            )
    return events


@pytest.fixture(params=["embedded", "kafka"])
async def shop(request):
    async with running(request, CATALOG, partitions=3, **WINDOWS) as pipeline:
        yield pipeline


async def test_both_runtimes_give_what_a_batch_recomputation_gives(shop):
    random = Random(8)
    events = history(random, 120)
    for spec in RUNS:
        expected = recompute(events, spec)
        assert set(expected["crossovers"]) == set(spec.variants_by_id)
        assert {name for _, name in expected["metrics"]} == set(spec.metrics_by_name), "all count"
    arriving = [*events, *random.sample(events, len(events) // 5)]
    random.shuffle(arriving)
    third = len(arriving) // 3
    for at in range(0, len(arriving), third):
        await shop.publish(message(event) for event in arriving[at : at + third])
        if at == 0:
            await shop.drain()
    await shop.drain()
    await check(shop, events)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deliveries())
async def test_random_event_files_give_what_a_batch_recomputation_gives(delivery):
    events, batches = delivery
    chosen = load_settings(prefix="t", partitions=2, **WINDOWS)
    live = LiveCatalog(CATALOG)
    async with EmbeddedPipeline(build_stages(live, chosen), chosen, live=live) as pipeline:
        for batch in batches:
            await pipeline.publish(map(message, batch))
            await pipeline.drain()
        await check(pipeline, events)
