"""The membership consumer: sources that it holds without fetching them are no failure."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from faust.types import TP

from anabranch.engine.kafka._membership import MembershipConsumer


class Thread:
    """Stands for Faust's thread, which logs an error for what was never fetched."""

    def __init__(self) -> None:
        self.looked_at: list[TP] = []

    def verify_event_path(self, now: float, tp: TP) -> None:
        self.looked_at.append(tp)


@pytest.fixture
def consumer() -> Any:
    made = object.__new__(MembershipConsumer)
    made.app = SimpleNamespace(stage_topics=frozenset({"contexts", "claims"}))
    made._thread = Thread()
    return made


@pytest.mark.parametrize("topic", ["contexts", "claims"])
def test_faust_does_not_miss_fetches_of_what_tasks_read_themselves(consumer, topic):
    consumer.verify_event_path(400.0, TP(topic, 0))
    assert consumer._thread.looked_at == []


def test_faust_still_looks_at_what_it_reads_itself(consumer):
    consumer.verify_event_path(400.0, TP("other", 1))
    assert consumer._thread.looked_at == [TP("other", 1)]
