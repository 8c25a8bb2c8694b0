"""One run: a broker, workers, load, faults, and the checker over what is left."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Self

import orjson
from aiokafka.errors import KafkaError

from anabranch.engine.kafka import Topics
from anabranch.errors import AnabranchError
from anabranch.lifecycle import encode_spec
from anabranch.runtime import (
    EmbeddedPipeline,
    KafkaPipeline,
    Message,
    build_stages,
    kafka_client,
    latest_values,
)
from anabranch.settings import Settings, load_settings
from anabranch.topology import STAGES, TOPICS, Names
from tests.chaos import specs
from tests.chaos.check import Readings, Report, Violation, check
from tests.chaos.faults import FEWEST, Scene
from tests.chaos.fleet import Fleet
from tests.chaos.history import History
from tests.chaos.load import make_load
from tests.chaos.plan import Plan, make_plan
from tools.devkafka import DEFAULT_VERSION, LocalBroker

SESSION, TRANSACTION = 4.0, 6.0
DEDUPE = 3600
WINDOWS = (60, 3600)
PARTITIONS = 4
_CHUNK = 25
_DRAIN_SECONDS = 120.0
_BROKER_SECONDS = 180.0

_BROKER = {
    "group.min.session.timeout.ms": "1000",
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    # The checker wants every record, superseded ones too.
    "log.cleaner.enable": "false",
}


@dataclass
class Outcome:
    """What became of a run.

    Attributes:
        disk: Whether workers kept state on disk.
        faults: Fault to how often it happened.
        missed: Fault to how often it found nobody to happen to.
        workers: How many worker processes there were in all.
        fenced: How often a task was fenced.
        reopened: How often a task opened again after an unknown outcome.
        openings: How often a task became the owner of a partition.
    """

    seed: int
    kafka: str
    disk: bool = False
    faults: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    workers: int = 0
    fenced: int = 0
    reopened: int = 0
    openings: int = 0
    seconds: float = 0.0
    report: Report = field(default_factory=Report)
    saved: Path | None = None

    @property
    def passed(self) -> bool:
        return not self.report.violations


async def run(
    seed: int,
    *,
    faults: Sequence[str] = (),
    count: int | None = None,
    kafka: str = DEFAULT_VERSION,
    failures: Path | None = None,
    keep: bool = False,
    say: Callable[[str], None] = lambda _: None,
) -> Outcome:
    """Run once.

    Args:
        seed: Of the load and of the plan.
        faults: Names to choose from; all when none is given.
        count: How many faults.
        kafka: Version of the broker.
        failures: Where a run that failed leaves its seed, history and logs.
        keep: A run that passed leaves them too.
        say: Told what is going on.
    """
    # What clients say while a broker is gone is no news here.
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    begin = time.monotonic()
    outcome = Outcome(seed, kafka)
    folder = Path(tempfile.mkdtemp(prefix="anabranch-chaos-"))
    plan = make_plan(seed, faults, count)
    history = History()
    outcome.disk = plan.disk
    history.note(
        "plan",
        seed=seed,
        kafka=kafka,
        workers=plan.workers,
        disk=plan.disk,
        faults=_names(plan),
    )
    say("starting a broker")
    try:
        with LocalBroker(version=kafka, extra=_BROKER) as broker:
            await asyncio.to_thread(broker.start, timeout=_BROKER_SECONDS)
            try:
                await _Run(outcome, plan, folder, history, broker, say).go()
            except Exception as error:  # noqa: BLE001 - the runs after it are worth having
                what = f"did not come to its end: {error!r}"
                outcome.report.violations.append(Violation("the suite itself", "run", what))
            outcome.seconds = time.monotonic() - begin
            if keep or not outcome.passed:
                _save(outcome, failures, folder, history, broker)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return outcome


class _Run:
    def __init__(
        self,
        outcome: Outcome,
        plan: Plan,
        folder: Path,
        history: History,
        broker: LocalBroker,
        say: Callable[[str], None],
    ) -> None:
        self.outcome = outcome
        self.plan = plan
        self.history = history
        self.broker = broker
        self.say = say
        self.random = Random(f"run {outcome.seed}")
        self.load = make_load(outcome.seed)
        self.catalogs = [specs.catalog(*specs.first())]
        self.settings = _settings(outcome.seed, broker, _write_specs(folder / "specs"))
        self.fleet = Fleet(self.settings, folder, history, disk=plan.disk)
        self.extra: list[Violation] = []

    async def go(self) -> None:
        try:
            async with KafkaPipeline(self.settings) as pipeline:
                await pipeline.create_topics(keep_all=True)
            self.say("starting workers")
            workers = [self.fleet.join() for _ in range(self.plan.workers)]
            for worker in workers:
                await worker.told("ready", within=60)
            await asyncio.gather(self._publish(), self._strike())
            await self._heal()
            await self._finish()
        finally:
            await self.fleet.kill()
        self._sum_up()

    # -- load and faults ----------------------------------------------------------------------

    async def _publish(self) -> None:
        """The load, evenly over the time of the faults; what a broker refused is sent again."""
        chunks = list(self.load.chunks(_CHUNK))
        pause = self.plan.seconds / len(chunks)
        begin = time.monotonic()
        async with _Publisher(self.settings, self.history) as publisher:
            for number, chunk in enumerate(chunks):
                await asyncio.sleep(max(0.0, begin + number * pause - time.monotonic()))
                await publisher.publish(chunk)
        self.history.note("published", messages=len(self.load.messages))

    async def _strike(self) -> None:
        scene = Scene(
            self.broker,
            self.fleet,
            self.history,
            self.random,
            SESSION,
            TRANSACTION,
            asyncio.Lock(),
            self._bump,
        )
        striking: list[asyncio.Task[None]] = []
        for blow in self.plan.blows:
            await asyncio.sleep(blow.pause)
            self.say(blow.fault.name)
            striking.append(asyncio.create_task(self._one(blow.fault.name, blow.fault, scene)))
            if not blow.at_once:
                await asyncio.gather(*striking)
        await asyncio.gather(*striking)

    async def _one(self, name: str, fault: object, scene: Scene) -> None:
        self.history.note("fault", fault=name)
        happened = await fault.strike(scene)  # type: ignore[attr-defined]
        self.history.struck(name, happened=happened)

    async def _bump(self) -> bool:
        """Publish the second versions to the specs topic; only once in a run."""
        if len(self.catalogs) > 1:
            return False
        self.catalogs.append(specs.catalog(*specs.first(), *specs.second()))
        records = [encode_spec(spec) for spec in specs.parsed(specs.second())]
        async with _Publisher(self.settings, self.history) as publisher:
            await publisher.publish(
                [Message("specs", r.key, r.value, r.headers, None) for r in records]
            )
        return True

    # -- the end ------------------------------------------------------------------------------

    async def _heal(self) -> None:
        await asyncio.to_thread(self.broker.start, timeout=_BROKER_SECONDS)
        while len(self.fleet.staying) < FEWEST:
            self.fleet.join()

    async def _finish(self) -> None:
        """Wait until nothing is left, read everything, and check it."""
        async with KafkaPipeline(self.settings) as pipeline:
            self.say("draining")
            try:
                await asyncio.wait_for(pipeline.drain(), _DRAIN_SECONDS)
                self.history.note("drained")
            except TimeoutError:
                await self._stuck()
            await self.fleet.leave()
            for worker in self.fleet.all:
                if worker.clean is False:
                    what = "did not end in order when it was asked to"
                    self.extra.append(Violation("stops when asked", worker.name, what))
            self.say("checking")
            topics = {t.name: await pipeline.records(t.name) for t in TOPICS}
        self.outcome.report = check(
            Readings(
                topics,
                self.load.bad,
                self.catalogs,
                DEDUPE * 1000,
                [size * 1000 for size in WINDOWS],
                self.fleet.openings("assign"),
            )
        )
        self._published(topics)
        await self._same_as_embedded(topics)
        self.outcome.report.violations[:0] = self.extra

    async def _stuck(self) -> None:
        """Say what is left, and have every worker say where it stands."""
        names = Names(self.settings.prefix)
        async with Topics(kafka_client(self.settings)) as topics:
            for shape in STAGES:
                sources = map(names.topic, shape.sources)
                for topic, lag in (await topics.lag(names.group(shape.name), sources)).items():
                    if lag:
                        what = f"{lag} records are left after {_DRAIN_SECONDS:g} s without faults"
                        key = f"{shape.name} of {topic}"
                        self.extra.append(Violation("everything processed", key, what))
        for worker in self.fleet.running:
            worker.signal(signal.SIGUSR1)
        await asyncio.sleep(1.0)

    def _published(self, topics: dict) -> None:
        """A checker of nothing would find nothing wrong: the whole load must have gone in."""
        there = {
            dict(record.headers)["ce_id"]
            for topic in ("contexts", "telemetry")
            for record in topics[topic]
        }
        gone = {dict(message.headers)["ce_id"] for message in self.load.messages} - there
        for event_id in sorted(gone):
            self.extra.append(Violation("load", event_id.decode(), "is not on its topic"))

    async def _same_as_embedded(self, topics: dict) -> None:
        """The embedded runtime, given the same exposures and telemetry, publishes the same bytes."""
        settings = self.settings.model_copy(update={"partitions": 2})
        stages = build_stages(self.catalogs[-1], settings)
        async with EmbeddedPipeline(stages, settings) as pipeline:
            await pipeline.publish(
                Message(topic, r.key, r.value, list(r.headers), r.timestamp)
                for topic in ("exposures", "telemetry")
                for r in topics[topic]
            )
            await pipeline.drain()
            must = latest_values(await pipeline.records("results"))
        have = latest_values(topics["results"])
        for key in sorted(must.keys() | have.keys()):
            if must.get(key) != have.get(key):
                what = f"{_text(have.get(key))}, and embedded {_text(must.get(key))}"
                self.extra.append(Violation("both runtimes agree", key.decode(), what))

    def _sum_up(self) -> None:
        outcome = self.outcome
        outcome.faults, outcome.missed = self.history.faults, self.history.missed
        outcome.workers = len(self.fleet.all)
        outcome.fenced = self.fleet.count(" was fenced: ")
        outcome.reopened = self.fleet.count(" opens again after: ")
        for worker in self.fleet.all:
            self.history.merge(worker.name, worker.journal)
        outcome.openings = sum(event["event"] == "open" for event in self.history.events)


class _Publisher:
    """Publishes until the broker has taken it, whatever happens to the broker meanwhile."""

    def __init__(self, settings: Settings, history: History) -> None:
        self._settings = settings
        self._history = history
        self._stack = AsyncExitStack()
        self._pipeline: KafkaPipeline | None = None
        self._failure: type[Exception] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def publish(self, messages: Sequence[Message]) -> None:
        while True:
            try:
                async with asyncio.timeout(45):
                    if self._pipeline is None:
                        self._pipeline = await self._stack.enter_async_context(
                            KafkaPipeline(self._settings)
                        )
                    await self._pipeline.publish(messages)
            except (KafkaError, AnabranchError, OSError) as error:
                if type(error) is not self._failure:
                    self._failure = type(error)
                    self._history.note("publish again", error=repr(error))
                await self._close()
                await asyncio.sleep(0.5)
            else:
                self._failure = None
                return

    async def _close(self) -> None:
        self._pipeline = None
        stack, self._stack = self._stack, AsyncExitStack()
        with contextlib.suppress(KafkaError, TimeoutError, OSError):
            await asyncio.wait_for(stack.aclose(), 10)


def _settings(seed: int, broker: LocalBroker, folder: Path) -> Settings:
    return load_settings(
        bootstrap=broker.bootstrap,
        prefix=f"chaos{seed}",
        specs=folder,
        partitions=PARTITIONS,
        exposure_dedupe=DEDUPE,
        window_sizes=WINDOWS,
        session_timeout=SESSION,
        transaction_timeout=TRANSACTION,
    )


def _write_specs(folder: Path) -> Path:
    folder.mkdir()
    for number, document in enumerate(specs.first()):
        (folder / f"{number}.json").write_bytes(orjson.dumps(document))
    return folder


def _names(plan: Plan) -> list[str]:
    return [blow.fault.name for blow in plan.blows]


def _text(value: bytes | None) -> str:
    return "nothing" if value is None else value.decode()[:300] + "…"


def _save(
    outcome: Outcome, failures: Path | None, folder: Path, history: History, broker: LocalBroker
) -> None:
    """Seed, history, violations, and the logs of the workers and of the broker."""
    if failures is None:
        return
    outcome.saved = target = failures / f"seed-{outcome.seed}"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(folder, target, ignore=shutil.ignore_patterns("local", "disk-*"))
    history.save(target / "history.jsonl")
    shutil.copy(broker.log, target / "broker.log")
    lines = (f"{violation}\n" for violation in outcome.report.violations)
    (target / "violations.txt").write_text("".join(lines), encoding="utf-8")
