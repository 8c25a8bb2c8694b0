"""Facts against what should be: what is found, how bad it is, and that a fix is named."""

from __future__ import annotations

from dataclasses import replace

import pytest

from anabranch.engine.kafka.inspection import Group, TopicFacts, Trial
from anabranch.runtime.doctor import Level, worst
from anabranch.runtime.doctor.broker import check_clock, check_transactions, check_versions
from anabranch.runtime.doctor.rights import check_rights, needed_of_topics
from anabranch.runtime.doctor.stages import check_dead_letters, check_stage
from anabranch.runtime.doctor.state import check_state_dir
from anabranch.runtime.doctor.topics import (
    check_configuration,
    check_partitions,
    check_replicas,
    check_there,
)
from anabranch.topology import TOPICS, Names, choose_stages

BY_NAME = {topic.name: topic for topic in TOPICS}
NAMES = Names("shop")
SHAPES = choose_stages(())
GATE = choose_stages(["gate"])[0]
HEALTHY = TopicFacts(
    partitions=3, replicas=3, short=0, leaderless=0, operations=frozenset({"READ", "WRITE"})
)
VERSIONS = dict.fromkeys((0, 22, 24, 25, 26, 28, 65), (0, 5))


def only(findings, level: Level):
    """The one finding; whatever is not well names its fix."""
    (found,) = findings
    assert found.level is level, found
    assert (found.fix is None) == (level is Level.OK)
    return found


@pytest.mark.parametrize(
    ("found", "hidden", "level", "says"),
    [
        ({"a": HEALTHY, "b": HEALTHY}, [], Level.OK, "all 2 are there"),
        ({"a": HEALTHY}, [], Level.ERROR, "1 are missing: b"),
    ],
)
def test_topics_that_are_missing(found, hidden, level, says):
    assert says in only(check_there(["a", "b"], found, hidden, create="create"), level).what


def test_a_topic_that_we_may_not_look_at_is_not_called_missing():
    assert not list(check_there(["a"], {}, ["a"], create="create"))


def test_sources_of_a_stage_with_different_numbers_of_partitions():
    found = {NAMES.topic(name): HEALTHY for name in ("exposures", "observations")}
    stages = choose_stages(["attribute"])
    only(check_partitions(stages, NAMES, found, create="create"), Level.OK)
    found[NAMES.topic("observations")] = replace(HEALTHY, partitions=6)
    wrong = only(check_partitions(stages, NAMES, found, create="create"), Level.ERROR)
    assert "shop.exposures.v1 has 3, shop.observations.v1 has 6" in wrong.what
    assert "create --partitions 6" in wrong.fix


@pytest.mark.parametrize(
    ("facts", "least", "brokers", "level", "says"),
    [
        (HEALTHY, "2", 3, Level.OK, "in sync"),
        (replace(HEALTHY, leaderless=1), "1", 3, Level.ERROR, "nobody leads"),
        (replace(HEALTHY, short=2), "1", 3, Level.WARNING, "lag behind"),
        (HEALTHY, "4", 3, Level.ERROR, "nothing can be written"),
        (replace(HEALTHY, replicas=1), "1", 3, Level.WARNING, "losing one broker"),
        (replace(HEALTHY, replicas=1), "1", 1, Level.WARNING, "there is one broker"),
    ],
)
def test_replicas(facts, least, brokers, level, says):
    configs = {"a": {"min.insync.replicas": least}}
    assert says in only(check_replicas({"a": facts}, configs, brokers=brokers), level).what


def config(topic: str, **changes: str) -> dict[str, str]:
    return BY_NAME[topic].config() | {k.replace("_", "."): v for k, v in changes.items()}


@pytest.mark.parametrize(
    ("topic", "changes", "level", "says"),
    [
        ("assignments", {}, Level.OK, "as they belong"),
        ("results", {"cleanup_policy": "delete"}, Level.ERROR, "will be deleted"),
        ("audit", {"cleanup_policy": "compact"}, Level.ERROR, "replace each other"),
        ("audit", {"retention_ms": "1000"}, Level.WARNING, "not for ever"),
        (
            "assignments",
            {"message_timestamp_type": "LogAppendTime"},
            Level.ERROR,
            "lose their event time",
        ),
    ],
)
def test_configuration(topic, changes, level, says):
    configs = {NAMES.topic(topic): config(topic, **changes)}
    found = check_configuration([BY_NAME[topic]], NAMES, configs, [], alter="alter")
    assert any(says in one.what and one.level is level for one in found)


def test_configuration_that_may_not_be_seen_is_not_known():
    found = check_configuration([], NAMES, {}, ["a"], alter="alter")
    assert only(found, Level.UNKNOWN).what == "we may not see that of 1 topics"


def test_each_right_that_is_missing_is_told_with_the_command_that_grants_it():
    needed = needed_of_topics([GATE], NAMES)
    found = dict.fromkeys(needed, HEALTHY)
    group = Group("Empty", 0, frozenset({"READ"}))
    groups = {NAMES.group("gate"): group}
    only(check_rights(needed, found, [], groups, [], acls="acls"), Level.OK)

    found[NAMES.topic("telemetry")] = replace(HEALTHY, operations=frozenset({"WRITE"}))
    reading = only(check_rights(needed, found, [], groups, [], acls="acls"), Level.ERROR)
    assert reading.fix == "acls --operation READ --topic shop.telemetry.v1"

    found = dict.fromkeys(needed, HEALTHY)
    refused = check_rights(needed, found, [], {NAMES.group("gate"): None}, ["shop-gate"], acls="a")
    assert [one.fix for one in refused] == [
        f"a --operation READ --group {NAMES.group('gate')}",
        "a --resource-pattern-type prefixed --operation WRITE --transactional-id shop-gate",
    ]


@pytest.mark.parametrize(
    ("members", "lag", "level", "says"),
    [
        (2, 10, Level.OK, "10 records behind, 2 members"),
        (2, 101, Level.WARNING, "101 records behind"),
        (0, 0, Level.WARNING, "nobody runs"),
        (0, 5, Level.ERROR, "5 records wait"),
    ],
)
def test_lag(members, lag, level, says):
    group = Group("Stable", members, frozenset())
    assert says in only(check_stage(GATE, group, {"t": lag}, max_lag=100), level).what


def test_the_lag_of_a_group_that_may_not_be_seen_is_not_known():
    only(check_stage(GATE, None, {}, max_lag=100), Level.UNKNOWN)


def test_brokers_that_are_too_old():
    only(check_versions(VERSIONS), Level.OK)
    old = {key: value for key, value in VERSIONS.items() if key != 65}
    assert "DescribeTransactions" in only(check_versions(old), Level.ERROR).what


@pytest.mark.parametrize(
    ("skew", "level"),
    [(0.5, Level.OK), (-3.0, Level.WARNING), (400.0, Level.ERROR), (None, Level.UNKNOWN)],
)
def test_clocks(skew, level):
    only(check_clock(Trial(skew=skew), tolerance=300), level)


def test_transactions_that_fail_and_those_that_are_not_allowed():
    only(check_transactions(Trial(took=0.1), "t"), Level.OK)
    only(check_transactions(Trial(failure="CoordinatorNotAvailableError"), "t"), Level.ERROR)
    assert not list(check_transactions(Trial(failure="x", refused=True), "t")), "rights say that"


def test_the_folder_for_state(tmp_path):
    only(check_state_dir(None), Level.OK)
    mounts = tmp_path / "mounts"
    mounts.write_text("/dev/sda1 / ext4 rw 0 0\n")
    folder = tmp_path / "state"
    only(check_state_dir(folder, mounts=mounts, little=0), Level.OK)
    assert list(folder.iterdir()) == []
    only(check_state_dir(folder, mounts=mounts, little=1 << 60), Level.WARNING)
    mounts.write_text(f"/dev/sda1 / ext4 rw 0 0\nserver:/x {tmp_path} nfs4 rw 0 0\n")
    assert "nfs4" in only(check_state_dir(folder, mounts=mounts), Level.ERROR).what
    (tmp_path / "file").touch()
    only(check_state_dir(tmp_path / "file", mounts=mounts), Level.ERROR)


def test_the_worst_of_them():
    assert worst([]) is Level.OK


def test_dead_letters_are_told_with_what_mends_them():
    found = only(check_dead_letters({"contexts": 0, "telemetry": 1200}), Level.WARNING)
    assert "up to 1,200 of telemetry" in found.what
    assert found.fix is not None
    assert "anabranch dlq show telemetry" in found.fix
    only(check_dead_letters({"contexts": 0}), Level.OK)
    assert not list(check_dead_letters({})), "we may not look"
