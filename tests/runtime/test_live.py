"""The live catalog and whoever follows the topic, with a topic that misbehaves."""

from __future__ import annotations

import asyncio
import json
import logging

import pytest

from anabranch.assignment import ExperimentEvaluator
from anabranch.engine.embedded import Log
from anabranch.errors import EngineError
from anabranch.lifecycle import encode_spec
from anabranch.runtime import LiveCatalog, build_stages, specs
from anabranch.runtime.spec_logs import EmbeddedSpecsLog
from anabranch.runtime.specs import Following
from anabranch.settings import load_settings
from anabranch.specs import Catalog
from anabranch.topology import Names
from tests.lifecycle.records import experiment, metric, numbered, said, taken_back, telemetry
from tests.support.clusters import eventually

NAMES = Names("t")


class Unsteady(EmbeddedSpecsLog):
    """A topic that fails to be read as often as it is told to."""

    def __init__(self, log: Log) -> None:
        super().__init__(log, NAMES)
        self.failures = 0
        self.opened: list[dict[int, int]] = []
        self.same = True

    async def open(self, positions) -> bool:
        self.opened.append(dict(positions))
        await super().open(positions if self.same else {})
        return self.same

    async def read(self, wait):
        if self.failures:
            self.failures -= 1
            raise OSError("the broker went away")
        return await super().read(min(wait, 0.01))


@pytest.fixture
def log() -> Log:
    made = Log()
    for topic in ("specs", "specs.dlq", "alerts"):
        made.create_topic(NAMES.topic(topic), 2)
    return made


@pytest.fixture
def hasty(monkeypatch):
    monkeypatch.setattr(specs, "_BACKOFF", 0.01)
    monkeypatch.setattr(specs, "_GRACE", 0.05)
    monkeypatch.setattr(specs, "_PATIENCE", 0.2)


def publish(log: Log, *wanted) -> None:
    for spec in wanted:
        record = encode_spec(spec)
        log.append(NAMES.topic("specs"), record.key, record.value, record.headers)


def titles(live: LiveCatalog) -> dict[str, str]:
    return {spec.key: spec.meta.title for spec in live.catalog}


# -- the catalog ------------------------------------------------------------------------------


def test_listeners_hear_of_changes_and_only_of_changes():
    live, heard = LiveCatalog(Catalog.of([experiment("a")])), []
    live.on_change(lambda: heard.append(titles(live)))
    live.apply(numbered([said(experiment("a", title="x"))]))
    live.apply([])
    live.apply([said(experiment("a", title="x"), offset=1)])
    live.apply([taken_back(experiment("a"), offset=2)])
    assert heard == [{"a": "x"}, {"a": ""}]


def test_what_did_not_change_is_not_compiled_again():
    live = LiveCatalog(Catalog.of([experiment("a"), experiment("b")]))
    (assign, *_) = build_stages(live, load_settings())
    first = assign.make_processor()
    live.apply([said(experiment("a", title="x"))])
    second = assign.make_processor()
    evaluators: list[ExperimentEvaluator] = [first._evaluator, second._evaluator]
    before, after = ({p.spec.key: p for p in e.plans.values()} for e in evaluators)
    assert after["b"] is before["b"]
    assert after["a"].spec.meta.title == "x"
    assert assign.make_processor()._evaluator is second._evaluator


# -- following --------------------------------------------------------------------------------


async def test_everything_published_before_is_there_on_entering(log):
    publish(log, *(experiment(f"e{n}", title="x") for n in range(20)))
    live = LiveCatalog()
    async with Following(live, EmbeddedSpecsLog(log, NAMES)):
        assert len(live.catalog) == 20


async def test_reading_goes_on_where_it_was_when_the_broker_is_back(log, hasty):
    publish(log, experiment("a"))
    live, topic = LiveCatalog(), Unsteady(log)
    async with Following(live, topic):
        topic.failures = 3
        publish(log, experiment("b"))
        await eventually(lambda: "b" in titles(live), 5, "the spec published meanwhile")
    assert "a" in titles(live)
    assert len(topic.opened) == 4
    assert sum(topic.opened[-1].values()) == 1  # not from the beginning


async def test_a_topic_made_anew_is_read_from_its_beginning(log, hasty):
    publish(log, experiment("a"))
    live, topic = LiveCatalog(Catalog.of([experiment("file")])), Unsteady(log)
    async with Following(live, topic):
        topic.same, topic.failures = False, 1
        heard = []
        live.on_change(lambda: heard.append(set(titles(live))))
        await eventually(lambda: len(heard) == 2, 5, "the topic to be read again")
    assert heard == [{"file"}, {"file", "a"}]


async def test_catching_up_waits_for_what_was_published_until_now(log):
    live = LiveCatalog()
    await live.catch_up()  # nobody follows: nothing to wait for
    async with Following(live, EmbeddedSpecsLog(log, NAMES)):
        publish(log, experiment("a"))
        await live.catch_up()
        assert "a" in titles(live)


async def test_catching_up_fails_where_the_topic_cannot_be_read(log, hasty):
    live, topic = LiveCatalog(), Unsteady(log)
    async with Following(live, topic):
        topic.failures = 10_000
        publish(log, experiment("a"))
        with pytest.raises(EngineError, match="specs topic could not be read"):
            await live.catch_up()


# -- refusals ---------------------------------------------------------------------------------


def letters(log: Log) -> list[tuple[bytes | None, str]]:
    return [
        (r.key, dict(r.headers)["__streams.errors.message"].decode())
        for r in log.all(NAMES.topic("specs.dlq"))
    ]


async def test_of_many_workers_one_writes_the_dead_letter_and_each_logs_once(log, hasty, caplog):
    lives = [LiveCatalog() for _ in range(3)]
    async with (
        Following(lives[0], EmbeddedSpecsLog(log, NAMES)),
        Following(lives[1], EmbeddedSpecsLog(log, NAMES)),
    ):
        log.append(NAMES.topic("specs"), b"nonsense", b"{}")
        await eventually(lambda: letters(log), 5, "the dead letter")
        await eventually(lambda: all(live.refused for live in lives[:2]), 5, "both to refuse")
        async with Following(lives[2], EmbeddedSpecsLog(log, NAMES)):  # after a restart
            publish(log, experiment("a"))
            await asyncio.gather(*(live.catch_up() for live in lives))
            await asyncio.sleep(0.1)
    assert [key for key, _ in letters(log)] == [b"nonsense"]
    (alert,) = log.all(NAMES.topic("alerts"))
    assert alert.key == b"nonsense"
    assert json.loads(alert.value)["kind"] == "spec_refused"
    errors = [r.getMessage() for r in caplog.records if r.levelno == logging.ERROR]
    assert len(errors) == 3
    assert all("t.specs.v1[" in text and "]@0 nonsense: " in text for text in errors)
    assert [str(r) for r in lives[2].refused] == [
        text.removeprefix("refused, what held before stays: ") for text in errors[:1]
    ]


async def test_a_spec_that_waits_for_another_is_told_only_when_it_has_waited(log, hasty):
    needs, orders = experiment("a", successMetrics=[metric("order")]), telemetry("shop", "order")
    live = LiveCatalog()
    async with Following(live, EmbeddedSpecsLog(log, NAMES)):
        publish(log, needs)
        await live.catch_up()
        publish(log, orders)
        await live.catch_up()
        await asyncio.sleep(0.2)
        assert letters(log) == []
        publish(log, experiment("b", successMetrics=[metric("refund")]))
        await eventually(lambda: letters(log), 5, "the dead letter")
    ((key, message),) = letters(log)
    assert key == b"Experiment|b|1.0.0"
    assert "no TelemetrySpec declares the event refund" in message
    assert set(titles(live)) == {"a", "shop"}
