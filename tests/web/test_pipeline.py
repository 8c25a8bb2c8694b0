"""How far stages have come, told from looks at offsets."""

from __future__ import annotations

import time

import httpx
import pytest

from anabranch.engine.place import Place
from anabranch.errors import KafkaUnavailableError
from anabranch.web import Board, create_app
from anabranch.web.pipeline import LOOKS_KEPT, Watch
from tests.web.records import NOW, window
from tests.web.test_scripts import NODE, run


class Ticking:
    """Looks one after the other, ten seconds apart."""

    def __init__(self, *looks: tuple[int, int | None] | Exception) -> None:
        self.looks = list(looks)
        self.now = 1000.0

    async def __call__(self) -> list[Place]:
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        end, position = look
        return [Place("gate", "telemetry", 0, 0, end, position)]

    def clock(self) -> float:
        self.now += 10
        return self.now


async def watched(*looks) -> dict:
    ticking = Ticking(*looks)
    watch = Watch(ticking)
    for _ in looks:
        await watch.look(ticking.clock)
    return watch.report()


def gate(report: dict) -> dict:
    (stage,) = [stage for stage in report["stages"] if stage["stage"] == "gate"]
    return stage


async def test_lag_throughput_and_waiting():
    report = await watched((100, 100), (200, 150), (300, 180))
    (partition,) = gate(report)["partitions"]
    assert partition == {
        "topic": "telemetry",
        "partition": 0,
        "lag": 120,
        "perSecond": 4.0,
        "waiting": 20.0,
        "waitingKnown": True,
        "position": 180,
        "end": 300,
    }
    assert (gate(report)["lag"], gate(report)["perSecond"]) == (120, 4.0)


async def test_a_wait_longer_than_what_was_seen_is_told_as_such():
    stage = gate(await watched((500, 10), (600, 10)))
    assert (stage["waiting"], stage["waitingKnown"], stage["perSecond"]) == (10.0, False, 0.0)


async def test_who_has_caught_up_waits_for_nothing():
    stage = gate(await watched((500, 500)))
    assert (stage["lag"], stage["waiting"], stage["perSecond"]) == (0, 0.0, None)


async def test_a_group_that_never_committed_has_everything_before_it():
    stage = gate(await watched((500, None), (500, None)))
    assert (stage["lag"], stage["partitions"][0]["position"]) == (500, None)
    assert stage["perSecond"] is None


async def test_brokers_that_are_away_are_told_with_what_was_seen_last():
    away = KafkaUnavailableError("no broker answers")
    report = await watched((500, 400), away)
    assert (report["away"], gate(report)["lag"], report["at"]) == (
        "no broker answers",
        100,
        1010000,
    )
    report = await watched(away)
    assert (report["at"], gate(report)["lag"], gate(report)["waiting"]) == (None, None, None)
    assert (await watched(away, (1, 1)))["away"] is None


async def test_looks_are_bounded():
    looks = [(n * 10, n * 10 - 5000) for n in range(600, 600 + LOOKS_KEPT + 5)]
    stage = gate(await watched(*looks))
    assert stage["waiting"] == (LOOKS_KEPT - 1) * 10.0
    assert not stage["waitingKnown"]


async def test_it_is_answered_with_the_latest_closed_window():
    board = Board()
    board.apply("metric-windows", *window(NOW, 1.0, final=True), (), NOW)
    board.apply("metric-windows", *window(NOW + 600_000, 1.0, final=False), (), NOW)
    ticking = Ticking((5, 4))
    watch = Watch(ticking)
    await watch.look(ticking.clock)
    app = create_app(board, clock=time.time, pipeline=watch)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app), base_url="http://board"
    ) as http:
        told = (await http.get("/api/pipeline")).json()
    assert (told["closedUntil"], gate(told)["lag"]) == (NOW + 60_000, 1)


@pytest.mark.skipif(NODE is None, reason="there is no Node.js")
def test_what_is_unknown_is_said():
    assert run(
        "tell([pipeline.waiting(null), pipeline.waiting(0, true), pipeline.waiting(4.2, true), "
        "pipeline.waiting(60, false), pipeline.rate(null), pipeline.rate(1234.56)])"
    ) == ["unknown", "none", "at most 5 s", "over 60 s", "unknown", "1,235"]
