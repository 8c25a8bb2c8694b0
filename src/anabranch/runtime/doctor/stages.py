"""Who runs the stages, how far they are behind, and what they put aside."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from anabranch.engine.kafka.inspection import Group
from anabranch.runtime.doctor.findings import Finding, Level
from anabranch.topology import StageShape

__all__ = ["check_dead_letters", "check_stage"]


def check_stage(
    shape: StageShape, group: Group | None, lag: Mapping[str, int] | None, *, max_lag: int
) -> Iterator[Finding]:
    """One stage.

    Args:
        shape: Which one.
        group: Its consumer group; None where we may not look at it.
        lag: Physical topic to records not consumed yet; None where that is not known.
        max_lag: More than so many are told.
    """
    if group is None or lag is None:
        yield Finding(
            "lag",
            Level.UNKNOWN,
            f"stage {shape.name}: its group or its topics cannot be looked at",
            "mend the topics and rights first",
        )
        return
    left = sum(lag.values())
    where = ", ".join(f"{name} {n:,}" for name, n in lag.items() if n)
    if not group.members:
        yield Finding(
            "lag",
            Level.ERROR if left else Level.WARNING,
            f"nobody runs stage {shape.name}"
            + (f", and {left:,} records wait: {where}" if left else ""),
            f"start a worker: anabranch worker {shape.name}",
        )
    elif left > max_lag:
        yield Finding(
            "lag",
            Level.WARNING,
            f"stage {shape.name} is {left:,} records behind: {where}",
            "add workers, up to the number of partitions, if it does not shrink; see whether a "
            "partition is paused at their /readyz",
        )
    else:
        yield Finding(
            "lag", Level.OK, f"stage {shape.name}: {left:,} records behind, {group.members} members"
        )


def check_dead_letters(waiting: Mapping[str, int]) -> Iterator[Finding]:
    """What was put aside; nothing where we may not look at it.

    Args:
        waiting: Entity such as ``telemetry`` to the offsets of its dead letters that nobody has
            sent back; ends of transactions take some, so there are at most so many letters.
    """
    for source, count in waiting.items():
        if count:
            yield Finding(
                "dead letters",
                Level.WARNING,
                f"up to {count:,} of {source} wait, events that could not be processed",
                f"see why: anabranch dlq show {source}; once that is mended: anabranch dlq redrive "
                f"{source}",
            )
    if waiting and not any(waiting.values()):
        yield Finding("dead letters", Level.OK, "none wait")
