"""The engine: how stages run, exactly once, on either runtime.

A *stage* names its source topics, its outputs and how to make its processor. A *task* runs a stage
for one partition: it polls a batch, lets the processor fill an overlay of the state and an outbox,
and commits state changes, outputs and source positions in one transaction. A *host* holds the
tasks of one stage in one process and follows the partitions its group gives it. A *port* is what
a task needs of a runtime; ``embedded`` and ``kafka`` each have one.
"""

from anabranch.engine.host import StageHost
from anabranch.engine.outbox import Outbox
from anabranch.engine.port import Poll, Port
from anabranch.engine.stage import Stage, TaskSettings
from anabranch.engine.state import BatchState, Changes, LruCache, MemoryStore
from anabranch.engine.stats import TaskStats
from anabranch.engine.task import Task

__all__ = [
    "BatchState",
    "Changes",
    "LruCache",
    "MemoryStore",
    "Outbox",
    "Poll",
    "Port",
    "Stage",
    "StageHost",
    "Task",
    "TaskSettings",
    "TaskStats",
]
