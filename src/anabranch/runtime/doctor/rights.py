"""Our rights against those that a worker of the stages needs; docs/security.md lists them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from anabranch.engine.kafka.inspection import Group, TopicFacts
from anabranch.runtime.doctor.findings import Finding, Level
from anabranch.topology import Names, StageShape

__all__ = ["check_rights", "needed_of_topics"]


def needed_of_topics(shapes: Iterable[StageShape], names: Names) -> dict[str, set[str]]:
    """Physical topic to what a worker of the stages does with it."""
    needed: dict[str, set[str]] = {}

    def needs(logical: str, *operations: str) -> None:
        needed.setdefault(names.topic(logical), set()).update(operations)

    needs("specs", "READ")
    needs("specs.dlq", "READ", "WRITE")
    for shape in shapes:
        for source in shape.sources:
            needs(source, "READ")
            needs(f"{source}.dlq", "WRITE")
        for output in shape.outputs:
            needs(output, "WRITE")
        if shape.changelog is not None:
            needs(shape.changelog, "READ", "WRITE")
    return needed


def check_rights(
    needed: Mapping[str, set[str]],
    found: Mapping[str, TopicFacts],
    hidden: Sequence[str],
    groups: Mapping[str, Group | None],
    refused_ids: Sequence[str],
    *,
    acls: str,
) -> Iterator[Finding]:
    """What is missing, right by right.

    Args:
        needed: From :func:`needed_of_topics`.
        found: Topics that are there.
        hidden: Topics that we may not look at.
        groups: Group to what it is; None where we may not look at it.
        refused_ids: Prefixes of transactional ids that we may not use.
        acls: A command that lacks the operation and the resource.
    """
    missing = False
    for topic, operations in needed.items():
        if topic in hidden:
            lacking = sorted(operations)
        elif topic in found:
            lacking = sorted(operations - found[topic].operations)
        else:
            continue
        for operation in lacking:
            missing = True
            yield _missing(operation, "topic", topic, acls)
    for group, known in groups.items():
        if known is None or "READ" not in known.operations:
            missing = True
            yield _missing("READ", "group", group, acls)
    for prefix in refused_ids:
        missing = True
        yield _missing(
            "WRITE", "transactional-id", prefix, f"{acls} --resource-pattern-type prefixed"
        )
    if not missing:
        yield Finding("rights", Level.OK, "a worker may do all that it has to")


def _missing(operation: str, kind: str, name: str, acls: str) -> Finding:
    return Finding(
        "rights",
        Level.ERROR,
        f"we may not {operation} {kind.replace('-', ' ')} {name}",
        f"{acls} --operation {operation} --{kind} {name}",
    )
