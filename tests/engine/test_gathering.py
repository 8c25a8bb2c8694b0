"""When a batch waits for more records, and when it does not."""

import asyncio
from types import SimpleNamespace

import pytest

from anabranch.engine import Stage, TaskSettings, gathering
from anabranch.engine.gathering import Gatherer

LIMIT = 80


class Trickle:
    """A port whose polls bring so many records each, with next to no waiting."""

    def __init__(self, each: int) -> None:
        self.each = each
        self.polls = 0

    async def poll(self, limit, wait):
        self.polls += 1
        return {"in": [SimpleNamespace(offset=self.polls, timestamp=0)] * min(self.each, limit)}


def gatherer(port, stopping=None) -> Gatherer:
    stage = Stage("s", ("in",), ("out",), lambda: None, max_records=LIMIT)
    return Gatherer(port, stage, TaskSettings(rest=0.5), stopping or asyncio.Event())


async def gathered(port, took, stopping=None) -> int:
    gathers = gatherer(port, stopping)
    if took is not None:
        gathers.committed(took)
    found = await gathers.gather(LIMIT)
    return 0 if found is None else len(found["in"])


@pytest.fixture
def long_rest(monkeypatch):
    """So that no pause of the machine outlasts it."""
    monkeypatch.setattr(gathering, "_LONGEST_REST", 1.0)


@pytest.mark.usefixtures("long_rest")
async def test_a_small_batch_right_after_a_slow_commit_gathers_more():
    port = Trickle(each=1)
    assert await gathered(port, took=10.0) == port.polls > 1


@pytest.mark.usefixtures("long_rest")
async def test_it_gathers_until_it_is_small_no_more():
    port = Trickle(each=4)
    assert await gathered(port, took=10.0) == 12
    assert port.polls == 3


@pytest.mark.parametrize(
    ("each", "took"),
    [
        pytest.param(1, None, id="the first batch"),
        pytest.param(1, 0.0, id="a commit that took no time"),
        pytest.param(LIMIT // 8, 10.0, id="a batch that is not small"),
    ],
)
async def test_what_does_not_wait(each, took):
    port = Trickle(each)
    assert await gathered(port, took) == each
    assert port.polls == 1


async def test_who_is_to_stop_does_not_rest():
    stopping = asyncio.Event()
    stopping.set()
    port = Trickle(each=1)
    assert await gathered(port, 10.0, stopping) == port.polls == 1


async def test_nothing_is_no_batch():
    assert await gatherer(Trickle(each=0)).gather(LIMIT) is None
