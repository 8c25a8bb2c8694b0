"""Days of a time zone through both stages: windows of 23 and 25 hours, closed at their real end."""

from datetime import datetime

import pytest

from anabranch.engine.state import BatchState
from anabranch.metrics.windows import DAY, HOUR, MINUTE, WindowSettings
from anabranch.processors.aggregate import AggregateProcessor
from anabranch.processors.attribute import AttributeProcessor
from tests.metrics.shop import CATALOG
from tests.processors.test_attribute import T, exposure, observation
from tests.support.bench import Bench, In

SETTINGS = WindowSettings(
    sizes_ms=(MINUTE, HOUR, DAY),
    lateness_ms=MINUTE,
    retention_ms=2 * DAY,
    time_zone="Europe/Berlin",
)


class Stages:
    def __init__(self):
        self.attribute = Bench(
            AttributeProcessor(CATALOG, windows=SETTINGS), "exposures", "observations"
        )
        self.aggregate = Bench(AggregateProcessor(CATALOG, windows=SETTINGS), "deltas")
        self.last = None

    async def run(self, *records):
        """The cells of days with orders: start to end, events, final."""
        out = await self.attribute.run(*records)
        deltas = [In("deltas", record.value, key=record.key) for record in out.of("deltas")]
        self.last = await self.aggregate.run(*deltas)
        assert not out.dead
        assert not self.last.dead
        days = {}
        for record in self.last.of("metric-windows"):
            cell = record.json
            if cell["metric"] == "orders" and cell["window"]["size"] == "1d":
                bounds = cell["window"]["start"][:16], cell["window"]["end"][:16]
                days[bounds] = cell["events"], cell["final"], cell["revision"]
        return days


def at(text):
    return (datetime.fromisoformat(text).timestamp() * 1000 - T) / 1000


@pytest.mark.parametrize(
    ("day", "bounds"),
    [
        ("2023-10-28", ("2023-10-27T22:00", "2023-10-28T22:00")),
        ("2023-10-29", ("2023-10-28T22:00", "2023-10-29T23:00")),
        ("2023-10-30", ("2023-10-29T23:00", "2023-10-30T23:00")),
        ("2023-03-26", ("2023-03-25T23:00", "2023-03-26T22:00")),
    ],
    ids=["24 hours", "25 hours", "24 hours in winter", "23 hours"],
)
async def test_a_day_closes_when_the_watermark_passes_its_own_midnight(day, bounds):
    stages = Stages()
    start, end = (at(f"{bound}:00+00:00") for bound in bounds)
    found = await stages.run(
        exposure(start),
        observation(1, int(start)),
        observation(2, int(end) - 1),
        observation(3, int(at(f"{day}T12:00:00+00:00"))),
    )
    assert found[bounds] == (3, False, 0)
    # The exposures' clock has to come past the end and the lateness too.
    out = exposure(end + 59, unit="user:2"), observation(4, int(end) + 59, unit="user:2")
    assert bounds not in await stages.run(*out)
    out = exposure(end + 60, unit="user:3"), observation(5, int(end) + 60, unit="user:3")
    assert (await stages.run(*out))[bounds] == (3, True, 0)
    # What comes late is a revision.
    assert (await stages.run(observation(6, int(start) + 5)))[bounds] == (4, True, 1)


async def test_a_long_day_is_kept_until_its_retention_is_over():
    stages = Stages()
    start, end = (at(f"{bound}+00:00") for bound in ("2023-10-28T22:00", "2023-10-29T23:00"))
    await stages.run(exposure(start), observation(1, int(start)))
    name = b"w|checkout@1.0.0|%d|%d" % (DAY, T + start * 1000)
    kept = []
    for hours in (47, 48, 49):
        passed = int(end + hours * 3600)
        await stages.run(
            exposure(passed, unit=f"user:{hours}"), observation(hours, passed, unit="user:x")
        )
        kept.append(name in set(BatchState(stages.aggregate.store).keys(b"w|")))
    assert kept == [True, False, False]


async def test_several_sizes_at_once_count_the_same_events():
    stages = Stages()
    await stages.run(exposure(0), observation(1, 5), observation(2, 65), observation(3, 3700))
    sums = {}
    for record in stages.last.of("metric-windows"):
        cell = record.json
        if cell["metric"] == "orders":
            size = cell["window"]["size"]
            sums[size] = sums.get(size, 0) + cell["events"]
    assert sums == {"1m": 3, "1h": 3, "1d": 3}
