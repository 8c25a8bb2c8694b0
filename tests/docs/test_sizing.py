"""docs/guides/size-a-cluster.md: its script gives what it shows, by figures that were measured."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.docs.walk import Shell, follow

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "guides" / "size-a-cluster.md").read_text(encoding="utf-8")
MEASURED = (DOCS.parent / "benchmarks" / "README.md").read_text(encoding="utf-8")
ARITHMETIC, _, TOPICS = PAGE.partition("\n## Partitions\n")


def test_the_script_gives_what_the_page_shows(tmp_path):
    with Shell(tmp_path, {}) as shell:
        follow(ARITHMETIC, shell)


def test_its_topics_would_be_taken_by_a_cluster_of_three(kafka, topic_prefix, tmp_path):
    """The tests' broker is alone, so one copy instead of three."""
    where = {"ANABRANCH_BOOTSTRAP": kafka, "ANABRANCH_PREFIX": topic_prefix}
    with Shell(tmp_path, where) as shell:
        follow(TOPICS.replace("--replication 3", "--replication 1"), shell)


def row(name: str) -> list[float]:
    (line,) = re.findall(rf"^\| {re.escape(name)} \|(.*)\|$", MEASURED, flags=re.MULTILINE)
    return [float(cell.replace(",", "")) for cell in re.findall(r"[\d,]+\.?\d*", line)]


@pytest.mark.parametrize(
    ("measured", "column", "used"),
    [
        ("stage assign, one experiment, with exposure: a context", 1, 7.5),
        ("stage gate: a telemetry event", 1, 5),
        ("stage attribute: an exposure", 1, 12),
        ("stage attribute: an observation of two metrics", 1, 2 * 15),
        ("10", 0, 15),
        ("a unit that was exposed", 0, 180),
    ],
)
def test_figures_are_those_of_the_benchmarks(measured, column, used):
    assert row(measured)[column] == pytest.approx(used, rel=0.1)
