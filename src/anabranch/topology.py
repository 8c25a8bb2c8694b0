"""The one place that lists stages and topics: names, keys, retention, who reads and writes what."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass

from anabranch.engine import Stage
from anabranch.engine.stage import in_memory
from anabranch.engine.store import Store
from anabranch.engine.tracing import NO_SPANS, Spans
from anabranch.errors import TopologyError
from anabranch.processors.protocol import Processor

FOREVER = -1
"""Retention of what is never deleted."""

_DAY_MS = 24 * 60 * 60 * 1000
_MAX_DEAD_LETTER_BYTES = 8 << 20  # managed services take no more on their smaller clusters
_MAX_RECORD_BYTES = _MAX_DEAD_LETTER_BYTES - (64 << 10)


@dataclass(frozen=True, slots=True)
class Topic:
    """A topic by its logical name.

    Attributes:
        name: The entity; ``contexts`` is ``anabranch.contexts.v1`` on the broker.
        key: What the records are keyed by.
        value: What the records hold.
        cleanup: Kafka's ``cleanup.policy``.
        retention_days: Days kept where the policy deletes, or FOREVER; None where it only compacts.
        max_bytes: Largest record the broker takes; None for the broker's own default.
        uncompacted_days: Days that superseded records are kept at least where the policy compacts.
    """

    name: str
    key: str
    value: str
    cleanup: str = "delete"
    retention_days: int | None = None
    max_bytes: int | None = None
    uncompacted_days: int | None = None

    @property
    def compacted(self) -> bool:
        return "compact" in self.cleanup

    def config(self) -> dict[str, str]:
        """The topic's configuration on the broker."""
        config = {"cleanup.policy": self.cleanup}
        if self.retention_days is not None:
            days = self.retention_days
            config["retention.ms"] = "-1" if days == FOREVER else str(days * _DAY_MS)
        if self.uncompacted_days is not None:
            config["min.compaction.lag.ms"] = str(self.uncompacted_days * _DAY_MS)
        if self.max_bytes is not None:
            config["max.message.bytes"] = str(self.max_bytes)
        return config


@dataclass(frozen=True, slots=True)
class StageShape:
    """A stage without its processor: what it reads, writes and remembers.

    ``in_step`` is as :class:`~anabranch.engine.Stage` has it, ``state_format`` is raised as
    :mod:`anabranch.engine.formats` says.
    """

    name: str
    sources: tuple[str, ...]
    outputs: tuple[str, ...]
    does: str
    stateful: bool = False
    gathers: bool = False
    in_step: bool = False
    state_format: int = 1

    @property
    def changelog(self) -> str | None:
        return f"{self.name}-changelog" if self.stateful else None


STAGES: tuple[StageShape, ...] = (
    StageShape(
        "assign",
        sources=("claims", "contexts"),
        outputs=("assignments", "exposures", "claims"),
        does="gives each unit its variant of every running experiment",
        stateful=True,
    ),
    StageShape(
        "gate",
        sources=("telemetry",),
        outputs=("observations", "alerts", "telemetry-counts"),
        does="checks telemetry against its spec, masks it, samples it",
    ),
    StageShape(
        "attribute",
        sources=("exposures", "observations"),
        outputs=("deltas",),
        does="joins observations to first exposures, unit by unit",
        stateful=True,
        in_step=True,
        state_format=2,
    ),
    StageShape(
        "aggregate",
        sources=("deltas", "telemetry-counts"),
        outputs=("metric-windows", "results", "segments", "alerts"),
        does="adds up windows and results, experiment by experiment",
        stateful=True,
        gathers=True,
    ),
)

_ENTITIES: tuple[Topic, ...] = (
    Topic("specs", "kind|key|version", "a spec", "compact", uncompacted_days=30),
    Topic(
        "specs.dlq",
        "the original's",
        "specs that do not hold, as they came",
        "delete",
        30,
        _MAX_DEAD_LETTER_BYTES,
    ),
    Topic("audit", "kind|key", "who published what, when and why", "delete", FOREVER),
    Topic("contexts", "any", "a context event", "delete", 7, _MAX_RECORD_BYTES),
    Topic("telemetry", "any", "a telemetry event", "delete", 7, _MAX_RECORD_BYTES),
    Topic("claims", "unit", "a variant on its way to what its unit was given first", "delete", 7),
    Topic("assignments", "unit|experiment", "an assignment", "compact,delete", 90),
    Topic("exposures", "unit", "an exposure", "delete", 90, _MAX_RECORD_BYTES),
    Topic("observations", "unit", "a checked telemetry event of one unit", "delete", 7),
    Topic(
        "deltas", "experiment", "a change of an experiment's sums", "delete", 7, _MAX_RECORD_BYTES
    ),
    Topic(
        "telemetry-counts",
        "one for all",
        "how many telemetry events came and were refused",
        "delete",
        7,
        _MAX_RECORD_BYTES,
    ),
    Topic(
        "metric-windows",
        "experiment|version|variant|metric|size|start",
        "a metric in a window",
        "compact,delete",
        30,
    ),
    Topic("results", "experiment|version", "an experiment's cumulative results", "compact"),
    Topic(
        "segments",
        "experiment|version|attribute|value",
        "the same of a segment of its units",
        "compact",
    ),
    Topic("alerts", "experiment or event", "an alert with its evidence", "delete", 90),
)


def _derived() -> Iterable[Topic]:
    for shape in STAGES:
        for source in shape.sources:
            yield Topic(
                f"{source}.dlq",
                "the original's",
                f"{source} that could not be processed, as they came",
                "delete",
                30,
                _MAX_DEAD_LETTER_BYTES,
            )
        if shape.changelog is not None:
            yield Topic(shape.changelog, "the state's", f"state of stage {shape.name}", "compact")


TOPICS: tuple[Topic, ...] = (*_ENTITIES, *_derived())
"""Every topic: what applications touch, then dead letters and changelogs."""

OUTPUT_TOPICS: tuple[str, ...] = (
    "assignments",
    "exposures",
    "metric-windows",
    "results",
    "segments",
    "alerts",
    *(t.name for t in TOPICS if t.name.endswith(".dlq")),
)
"""What dashboards and consumers read."""


@dataclass(frozen=True, slots=True)
class Names:
    """Logical to physical names under one prefix."""

    prefix: str = "anabranch"

    def topic(self, logical: str) -> str:
        """``contexts`` -> ``anabranch.contexts.v1``, ``contexts.dlq`` -> ``….v1.dlq``."""
        entity, _, suffix = logical.partition(".")
        return f"{self.prefix}.{entity}.v1" + (f".{suffix}" if suffix else "")

    def group(self, stage: str) -> str:
        """A stage's consumer group; with the partition also its transactional id."""
        return f"{self.prefix}-{stage}"


def choose_stages(names: Iterable[str]) -> list[StageShape]:
    """The named stages in the order of the flow; all of them when none is named.

    Raises:
        TopologyError: There is no stage of that name.
    """
    wanted = list(names)
    known = [shape.name for shape in STAGES]
    for name in wanted:
        if name not in known:
            raise TopologyError(f"there is no stage {name!r}: choose from {', '.join(known)}")
    return [shape for shape in STAGES if not wanted or shape.name in wanted]


def topics_of(shapes: Sequence[StageShape]) -> list[Topic]:
    """The topics that the stages read or write; every stage reads specs and tells of bad ones."""
    used = {"specs", "specs.dlq", "alerts"} | {
        name
        for s in shapes
        for name in (*s.sources, *s.outputs, *(f"{x}.dlq" for x in s.sources), s.changelog)
    }
    return [topic for topic in TOPICS if topic.name in used]


def make_stage(
    shape: StageShape,
    make_processor: Callable[[], Processor],
    *,
    linger_ms: int = 0,
    cache_size: int = 100_000,
    catch_up: Callable[[], Awaitable[None]] | None = None,
    make_store: Callable[[int], Store] | None = None,
    spans: Spans = NO_SPANS,
) -> Stage:
    """The engine's stage of a shape; only stages that gather results linger.

    State is in memory where no store is given.
    """
    return Stage(
        name=shape.name,
        sources=shape.sources,
        outputs=shape.outputs,
        make_processor=make_processor,
        changelog=shape.changelog,
        linger_ms=linger_ms if shape.gathers else 0,
        cache_size=cache_size,
        catch_up=catch_up,
        in_step=shape.in_step,
        make_store=make_store or in_memory,
        state_format=shape.state_format,
        spans=spans,
    )


def mermaid(names: Names | None = None) -> str:
    """The flow as a Mermaid diagram."""
    named = names or Names()
    lines = ["flowchart LR"]
    ids: dict[str, str] = {}
    for shape in STAGES:
        for topic in (*shape.sources, *shape.outputs):
            if topic not in ids:
                ids[topic] = topic.replace("-", "_")
                lines.append(f'    {ids[topic]}[("{named.topic(topic)}")]')
    for shape in STAGES:
        lines.append(f'    stage_{shape.name}["{shape.name}"]')
        lines += [f"    {ids[topic]} --> stage_{shape.name}" for topic in shape.sources]
        lines += [f"    stage_{shape.name} --> {ids[topic]}" for topic in shape.outputs]
    return "\n".join(lines)
