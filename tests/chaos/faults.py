"""What can go wrong, one class each."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from random import Random
from typing import ClassVar

from anabranch.topology import STAGES
from tests.chaos.fleet import Fleet, WorkerProcess
from tests.chaos.history import History
from tests.chaos.traps import Trap
from tools.devkafka import LocalBroker

FEWEST, MOST = 2, 4
"""Workers that are meant to run."""

_BROKER_SECONDS = 180.0

_SPRING = 5.0
"""Seconds a trap waits for a batch to come by."""


@dataclass
class Scene:
    """What a fault may lay its hands on.

    Attributes:
        random: The fault's own, from the run's seed.
        session: Seconds without a heartbeat after which a worker is taken for dead.
        transaction: Seconds after which the broker aborts an open transaction.
        broker_turn: Whose turn it is with the broker: it cannot be stopped while it starts.
        bump: Publishes the second version of the specs, once.
    """

    broker: LocalBroker
    fleet: Fleet
    history: History
    random: Random
    session: float
    transaction: float
    broker_turn: asyncio.Lock
    bump: Callable[[], Awaitable[bool]]

    def somebody(self) -> WorkerProcess | None:
        staying = self.fleet.staying
        return self.random.choice(staying) if staying else None

    def stage(self) -> str:
        return self.random.choice(STAGES).name


class Fault:
    """Something that goes wrong and, by the time ``strike`` returns, is over.

    Attributes:
        name: On the command line and in the tables.
        seconds: About how long it takes, to spread the load over a run.
    """

    name: ClassVar[str]
    seconds: ClassVar[float]

    async def strike(self, scene: Scene) -> bool:
        """Do it; False when it found nobody to do it to."""
        raise NotImplementedError


class Sigkill(Fault):
    """A worker dies without a word; another one comes."""

    name = "sigkill"
    seconds = 3.0

    async def strike(self, scene: Scene) -> bool:
        worker = scene.somebody()
        if worker is None:
            return False
        await worker.kill()
        await asyncio.sleep(scene.random.uniform(0, 1.5))
        scene.fleet.replace(worker)
        return True


class Sigterm(Fault):
    """A worker is asked to stop, as a deploy does; another one comes."""

    name = "sigterm"
    seconds = 4.0

    async def strike(self, scene: Scene) -> bool:
        worker = scene.somebody()
        if worker is None:
            return False
        await worker.leave()
        scene.fleet.replace(worker)
        return True


class Zombie(Fault):
    """A worker hangs for longer than its session, then goes on as if nothing had been."""

    name = "zombie"
    seconds = 7.0

    async def strike(self, scene: Scene) -> bool:
        worker = scene.somebody()
        if worker is None:
            return False
        worker.signal(signal.SIGSTOP)
        await asyncio.sleep(scene.session + scene.random.uniform(1.0, 3.0))
        worker.signal(signal.SIGCONT)
        return True


class Join(Fault):
    """A worker more, as long as there are not too many."""

    name = "join"
    seconds = 2.0

    async def strike(self, scene: Scene) -> bool:
        if len(scene.fleet.staying) >= MOST:
            return False
        scene.fleet.join()
        await asyncio.sleep(1.5)
        return True


class Leave(Fault):
    """A worker fewer, as long as there are not too few; else one joins and leaves."""

    name = "leave"
    seconds = 4.0

    async def strike(self, scene: Scene) -> bool:
        if len(scene.fleet.staying) <= FEWEST:
            scene.fleet.join()
            await asyncio.sleep(3.0)
        worker = scene.somebody()
        if worker is None:
            return False
        await worker.leave()
        return True


class Storm(Fault):
    """Workers come and go faster than a rebalance takes."""

    name = "storm"
    seconds = 6.0

    async def strike(self, scene: Scene) -> bool:
        leaving = []
        for _ in range(3):
            if len(scene.fleet.staying) < MOST:
                scene.fleet.join()
            await asyncio.sleep(scene.random.uniform(0.5, 2.0))
            worker = scene.somebody()
            if worker is not None and len(scene.fleet.staying) > FEWEST:
                leaving.append(asyncio.create_task(worker.leave()))
        await asyncio.gather(*leaving)
        return bool(leaving)


class BrokerSigterm(Fault):
    """The broker is shut down in order and started again on its data."""

    name = "broker-sigterm"
    seconds = 10.0

    async def strike(self, scene: Scene) -> bool:
        async with scene.broker_turn:
            await asyncio.to_thread(scene.broker.stop)
            await asyncio.sleep(scene.random.uniform(0, 2.0))
            await asyncio.to_thread(scene.broker.start, timeout=_BROKER_SECONDS)
        return True


class BrokerSigkill(Fault):
    """The broker dies and is started again on what it had written."""

    name = "broker-sigkill"
    seconds = 10.0

    async def strike(self, scene: Scene) -> bool:
        async with scene.broker_turn:
            await asyncio.to_thread(scene.broker.kill)
            await asyncio.sleep(scene.random.uniform(0, 2.0))
            await asyncio.to_thread(scene.broker.start, timeout=_BROKER_SECONDS)
        return True


class _Sprung(Fault):
    """A trap in a worker, in a stage by chance, in whichever has work if that one has none."""

    places: ClassVar[tuple[str, ...]]
    action: ClassVar[str]

    def lasts(self, scene: Scene) -> float:
        del scene
        return 0.0

    async def strike(self, scene: Scene) -> bool:
        place = scene.random.choice(self.places)
        for stage in (scene.stage(), None):
            worker = scene.somebody()
            if worker is None:
                return False
            trap = Trap(self.action, place, stage, self.lasts(scene))
            if await worker.spring(trap, _SPRING):
                await self.aftermath(scene, worker, trap)
                return True
        return False

    async def aftermath(self, scene: Scene, worker: WorkerProcess, trap: Trap) -> None:
        del scene, worker
        await asyncio.sleep(trap.seconds)


class RaiseBefore(_Sprung):
    """An exception in a batch that the broker has not acknowledged."""

    name = "raise-before"
    seconds = 2.0
    action = "raise"
    places = ("received", "processed", "sent")


class RaiseAfter(_Sprung):
    """An exception when the broker has acknowledged, before the worker knows."""

    name = "raise-after"
    seconds = 2.0
    action = "raise"
    places = ("acknowledged",)


class KillInside(_Sprung):
    """SIGKILL inside an open transaction, or just after its commit."""

    name = "kill-inside"
    seconds = 3.0
    action = "kill"
    places = ("sent", "acknowledged")

    async def aftermath(self, scene: Scene, worker: WorkerProcess, trap: Trap) -> None:
        del trap
        await worker.ended(within=5.0)
        scene.fleet.replace(worker)


class ZombieInside(_Sprung):
    """SIGSTOP inside an open transaction, past the session's end: it wakes up in the middle."""

    name = "zombie-inside"
    seconds = 8.0
    action = "stop"
    places = ("processed", "sent")

    async def aftermath(self, scene: Scene, worker: WorkerProcess, trap: Trap) -> None:
        del trap
        await asyncio.sleep(scene.session + scene.random.uniform(1.0, 3.0))
        worker.signal(signal.SIGCONT)


class HungBatch(_Sprung):
    """A batch that takes longer than a session, leaving the worker alive or blocking it."""

    name = "hung-batch"
    seconds = 8.0
    places = ("received", "processed")

    def lasts(self, scene: Scene) -> float:
        return scene.session + 2.0

    async def strike(self, scene: Scene) -> bool:
        self.action = scene.random.choice(("hang", "block"))  # type: ignore[misc]
        return await super().strike(scene)


class HungTransaction(_Sprung):
    """A transaction that stays open for longer than the broker lets it."""

    name = "hung-transaction"
    seconds = 9.0
    action = "hang"
    places = ("sent",)

    def lasts(self, scene: Scene) -> float:
        return scene.transaction + 2.0


class SlowConsumer(_Sprung):
    """A worker that takes its time over every batch for a while."""

    name = "slow"
    seconds = 6.0
    action = "slow"
    places = ("received",)

    def lasts(self, scene: Scene) -> float:
        del scene
        return 5.0


class Restart(Fault):
    """Every worker dies, whatever they had on disk is deleted, all are started again."""

    name = "restart"
    seconds = 5.0

    async def strike(self, scene: Scene) -> bool:
        gone = scene.fleet.running
        await scene.fleet.kill()
        scene.fleet.forget_local_state()
        await asyncio.sleep(scene.random.uniform(0, 1.0))
        for worker in gone:
            scene.fleet.replace(worker)
        return bool(gone)


class Bump(Fault):
    """New versions of three experiments are published while their contexts are on the way."""

    name = "bump"
    seconds = 2.0

    async def strike(self, scene: Scene) -> bool:
        return await scene.bump()


FAULTS: dict[str, type[Fault]] = {
    fault.name: fault
    for fault in (
        Sigkill,
        Sigterm,
        Zombie,
        Join,
        Leave,
        Storm,
        BrokerSigterm,
        BrokerSigkill,
        RaiseBefore,
        RaiseAfter,
        KillInside,
        ZombieInside,
        HungBatch,
        HungTransaction,
        SlowConsumer,
        Restart,
        Bump,
    )
}
"""All of them by name."""
