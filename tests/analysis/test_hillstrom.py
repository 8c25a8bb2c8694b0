"""A real experiment in a notebook: its table, its events through the pipeline, and scipy agree."""

from __future__ import annotations

import csv
import gzip
import subprocess
import sys
from pathlib import Path

import pytest

from anabranch import analysis
from tests.support.hillstrom import ARMS, DATA, METRICS, expected, needs_data

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "hillstrom"
KINDS = {"visits": "count", "conversions": "count", "spend": "avg"}

pytestmark = needs_data


@pytest.fixture(scope="module")
def customers() -> dict[str, list]:
    with gzip.open(DATA, "rt", newline="") as lines:
        rows = list(csv.DictReader(lines))
    numbers = {name: [float(row[name]) for row in rows] for name in METRICS.values()}
    return numbers | {"arm": [ARMS[row["treatment"]] for row in rows]}


@pytest.fixture(scope="module")
def by_customer(customers) -> analysis.Analysis:
    return analysis.read_units(
        customers,
        variant="arm",
        control="control",
        metrics={m: analysis.UnitMetric(METRICS[m], kind) for m, kind in KINDS.items()},
        experiment="hillstrom.email",
    )


def test_the_table_of_customers_gives_what_scipy_gives(by_customer):
    rows = by_customer.rows()
    assert len(rows) == 6
    for row in rows:
        by_scipy = expected(row["metric"], row["variant"])
        assert row["difference"] == pytest.approx(by_scipy.difference, rel=1e-9)
        assert row["relative_lift"] == pytest.approx(by_scipy.lift, rel=1e-9)
        for kind in ("fixed", "sequential"):
            told = tuple(row[f"{kind}_{part}"] for part in ("low", "high", "p_value"))
            assert told == pytest.approx(getattr(by_scipy, kind), rel=1e-6)


def test_the_events_through_the_pipeline_give_the_same_to_the_last_digit(by_customer, tmp_path):
    events = tmp_path / "events.jsonl"
    subprocess.run(
        [sys.executable, EXAMPLE / "make_events.py", "--data", DATA, "--out", events],
        check=True,
        capture_output=True,
    )
    replayed = analysis.read_events(events, specs=EXAMPLE / "specs")
    for table in ("comparisons", "figures", "split"):
        ours, theirs = (
            sorted(
                ({k: v for k, v in row.items() if k != "as_of"} for row in found.rows(table)),
                key=lambda row: (row.get("metric", ""), row["variant"]),
            )
            for found in (by_customer, replayed)
        )
        assert ours == theirs
