"""Topics as they are against topics as they should be."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence

from anabranch.engine.kafka.inspection import TopicFacts
from anabranch.runtime.doctor.findings import Finding, Level
from anabranch.topology import FOREVER, Names, StageShape, Topic

__all__ = ["check_configuration", "check_partitions", "check_replicas", "check_there"]

_DAY = 24 * 60 * 60 * 1000


def check_there(
    needed: Sequence[str], found: Mapping[str, TopicFacts], hidden: Sequence[str], *, create: str
) -> Iterator[Finding]:
    """Whether every topic is there; ``create`` is the command that makes them."""
    missing = [name for name in needed if name not in found and name not in hidden]
    if missing:
        yield Finding(
            "topics", Level.ERROR, f"{len(missing)} are missing: {', '.join(missing)}", create
        )
    elif not hidden:
        yield Finding("topics", Level.OK, f"all {len(needed)} are there")


def check_partitions(
    shapes: Iterable[StageShape], names: Names, found: Mapping[str, TopicFacts], *, create: str
) -> Iterator[Finding]:
    """A stage takes partition n of all its sources together, so they have equally many."""
    apart = False
    for shape in shapes:
        together = [*shape.sources, *([shape.changelog] if shape.changelog else [])]
        counts = {
            names.topic(t): found[names.topic(t)].partitions
            for t in together
            if names.topic(t) in found
        }
        if len(set(counts.values())) > 1:
            apart = True
            told = ", ".join(f"{name} has {n}" for name, n in counts.items())
            most = max(counts.values())
            yield Finding(
                "partitions",
                Level.ERROR,
                f"stage {shape.name} needs equally many in each of its topics: {told}",
                "stop the workers, let those that write to them drain, delete the topics that have "
                f"another number and run `{create} --partitions {most}`; adding partitions alone "
                "would part units from their state",
            )
    if found and not apart:
        counted = sorted({facts.partitions for facts in found.values()})
        yield Finding("partitions", Level.OK, f"{' or '.join(map(str, counted))}, as they belong")


def check_replicas(
    found: Mapping[str, TopicFacts], configs: Mapping[str, Mapping[str, str]], *, brokers: int
) -> Iterator[Finding]:
    """Whether a broker may be lost."""
    leaderless = [name for name, facts in found.items() if facts.leaderless]
    if leaderless:
        yield Finding(
            "replicas",
            Level.ERROR,
            f"nobody leads some partitions of {', '.join(sorted(leaderless))}",
            "start the brokers that hold them again; kafka-topics --describe says which",
        )
    short = [name for name, facts in found.items() if facts.short and not facts.leaderless]
    if short:
        yield Finding(
            "replicas",
            Level.WARNING,
            f"replicas lag behind in {', '.join(sorted(short))}",
            "look at the brokers' logs and disks; kafka-topics --describe "
            "--under-replicated-partitions says which",
        )
    stuck = [
        name
        for name, facts in found.items()
        if int(configs.get(name, {}).get("min.insync.replicas", "1")) > facts.replicas
    ]
    if stuck:
        yield Finding(
            "replicas",
            Level.ERROR,
            f"min.insync.replicas is more than there are replicas: {', '.join(sorted(stuck))}; "
            "nothing can be written",
            "raise the replication factor with kafka-reassign-partitions, or lower "
            "min.insync.replicas",
        )
    single = [name for name, facts in found.items() if facts.replicas == 1]
    if single and brokers > 1:
        yield Finding(
            "replicas",
            Level.WARNING,
            f"{len(single)} topics have one replica, on a cluster of {brokers} brokers: losing one "
            "broker loses their data",
            "raise the replication factor with kafka-reassign-partitions; new topics: "
            "`anabranch topics create --replication 3`",
        )
    elif single:
        yield Finding(
            "replicas",
            Level.WARNING,
            "there is one broker, so nothing is replicated: fine for trying it out",
            "run three brokers in production and create the topics with --replication 3",
        )
    elif found and not (leaderless or short or stuck):
        yield Finding("replicas", Level.OK, "every partition has all its replicas in sync")


def check_configuration(
    topics: Iterable[Topic],
    names: Names,
    configs: Mapping[str, Mapping[str, str]],
    hidden: Sequence[str],
    *,
    alter: str,
) -> Iterator[Finding]:
    """Cleanup, retention and sizes; what is kept for longer than need be is nobody's fault.

    ``alter`` is a command that lacks the topic's name and what to set.
    """
    wrong = False
    for topic in topics:
        name = names.topic(topic.name)
        config = configs.get(name)
        if config is None:
            continue
        for level, what, setting in _of_topic(topic, config):
            wrong = True
            fix = f"{alter} --entity-name {name} --add-config '{setting}'"
            yield Finding("configuration", level, f"{name}: {what}", fix)
    if hidden:
        yield Finding(
            "configuration",
            Level.UNKNOWN,
            f"we may not see that of {len(hidden)} topics",
            "grant DESCRIBE_CONFIGS on them to whoever runs this; a worker does without",
        )
    elif configs and not wrong:
        yield Finding("configuration", Level.OK, "cleanup, retention and sizes are as they belong")


def _of_topic(topic: Topic, config: Mapping[str, str]) -> Iterator[tuple[Level, str, str]]:
    wanted = topic.config()
    policy, right = _policies(config.get("cleanup.policy", "")), _policies(topic.cleanup)
    if policy != right:
        loses = "delete" in policy and "delete" not in right
        forgets = "compact" in policy and "compact" not in right
        why = (
            "what it keeps for good will be deleted"
            if loses
            else "records of one key replace each other"
            if forgets
            else "it grows without end"
        )
        level = Level.ERROR if loses or forgets else Level.WARNING
        setting = f"cleanup.policy=[{topic.cleanup}]" if len(right) > 1 else None
        yield (
            level,
            f"cleanup.policy is {','.join(sorted(policy))}, not {topic.cleanup}: {why}",
            setting or f"cleanup.policy={topic.cleanup}",
        )
    if "retention.ms" in wanted and "delete" in policy:
        kept, least = int(config.get("retention.ms", "-1")), int(wanted["retention.ms"])
        if kept != FOREVER and (least == FOREVER or kept < least):
            yield (
                Level.WARNING,
                f"records are kept {_days(kept)}, not {_days(least)}",
                f"retention.ms={least}",
            )
    for name, reason in (
        ("max.message.bytes", "larger records are refused"),
        ("min.compaction.lag.ms", "superseded records go early"),
    ):
        if name in wanted and int(config.get(name, "0")) < int(wanted[name]):
            yield (
                Level.WARNING,
                f"{name} is {config.get(name)}, not {wanted[name]}: {reason}",
                f"{name}={wanted[name]}",
            )
    if config.get("message.timestamp.type") == "LogAppendTime":
        yield (
            Level.ERROR,
            "message.timestamp.type is LogAppendTime: records lose their event time",
            "message.timestamp.type=CreateTime",
        )


def _policies(text: str) -> frozenset[str]:
    return frozenset(part.strip() for part in text.split(",") if part.strip())


def _days(ms: int) -> str:
    return "for ever" if ms == FOREVER else f"{ms / _DAY:g} days"
