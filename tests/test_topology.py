"""The table of topics and stages holds together."""

from __future__ import annotations

import pytest

from anabranch.errors import SettingsError, TopologyError
from anabranch.settings import load_settings
from anabranch.topology import STAGES, TOPICS, Names, choose_stages, mermaid, topics_of

BY_NAME = {topic.name: topic for topic in TOPICS}


def test_topic_names_are_unique_and_follow_the_convention():
    assert len(BY_NAME) == len(TOPICS)
    names = Names("acme")
    assert names.topic("contexts") == "acme.contexts.v1"
    assert names.topic("contexts.dlq") == "acme.contexts.v1.dlq"
    assert names.topic("attribute-changelog") == "acme.attribute-changelog.v1"
    assert names.group("assign") == "acme-assign"
    assert not any("_" in names.topic(topic.name) for topic in TOPICS)


@pytest.mark.parametrize("shape", STAGES, ids=lambda s: s.name)
def test_every_topic_of_a_stage_is_listed(shape):
    listed = {topic.name for topic in topics_of([shape])}
    assert {*shape.sources, *shape.outputs} <= listed
    assert {f"{source}.dlq" for source in shape.sources} <= listed
    assert (shape.changelog in listed) is shape.stateful


@pytest.mark.parametrize(
    ("topic", "cleanup", "days"),
    [
        ("contexts", "delete", 7),
        ("telemetry", "delete", 7),
        ("observations", "delete", 7),
        ("deltas", "delete", 7),
        ("exposures", "delete", 90),
        ("assignments", "compact,delete", 90),
        ("metric-windows", "compact,delete", 30),
        ("specs", "compact", None),
        ("results", "compact", None),
        ("alerts", "delete", 90),
        ("contexts.dlq", "delete", 30),
        ("specs.dlq", "delete", 30),
        ("attribute-changelog", "compact", None),
    ],
)
def test_retention(topic, cleanup, days):
    config = BY_NAME[topic].config()
    assert config["cleanup.policy"] == cleanup
    assert config.get("retention.ms") == (None if days is None else str(days * 86_400_000))


def test_the_audit_is_kept_for_ever_and_superseded_specs_for_a_month():
    assert BY_NAME["audit"].config() == {"cleanup.policy": "delete", "retention.ms": "-1"}
    assert BY_NAME["specs"].config()["min.compaction.lag.ms"] == str(30 * 86_400_000)


def test_every_stage_reads_the_specs():
    for shape in STAGES:
        assert {"specs", "specs.dlq", "alerts"} <= {topic.name for topic in topics_of([shape])}


def test_a_dead_letter_fits_wherever_its_original_fitted():
    for shape in STAGES:
        for source in shape.sources:
            original, letter = BY_NAME[source].max_bytes, BY_NAME[f"{source}.dlq"].max_bytes
            assert letter > (original or 1 << 20)


def test_stages_are_chosen_in_the_order_of_the_flow():
    assert [s.name for s in choose_stages(["gate", "assign"])] == ["assign", "gate"]
    assert len(choose_stages([])) == 4
    with pytest.raises(TopologyError, match=r"no stage 'asign'.*assign, gate"):
        choose_stages(["asign"])


def test_the_diagram_names_every_stage_and_topic():
    diagram = mermaid(Names("acme"))
    for shape in STAGES:
        assert f'stage_{shape.name}["{shape.name}"]' in diagram
    assert "metric_windows" in diagram
    assert "acme.metric-windows.v1" in diagram


def test_a_wrong_setting_names_its_variable(monkeypatch):
    monkeypatch.setenv("ANABRANCH_PARTITIONS", "0")
    with pytest.raises(SettingsError, match="ANABRANCH_PARTITIONS"):
        load_settings()


def test_the_command_line_takes_precedence_over_the_environment(monkeypatch):
    monkeypatch.setenv("ANABRANCH_PREFIX", "from-env")
    assert load_settings().prefix == "from-env"
    assert load_settings(prefix="given").prefix == "given"
    assert load_settings(prefix=None).prefix == "from-env"
