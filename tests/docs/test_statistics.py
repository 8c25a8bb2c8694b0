"""The figures that docs/statistics.md gives of a real experiment are those of its data."""

import re
from pathlib import Path

import pytest

from tests.support.hillstrom import expected, needs_data

MANUAL = Path(__file__).resolve().parents[2] / "docs" / "statistics.md"

ROW = re.compile(
    r"\| (?P<metric>visits|conversions|spend) \| (?P<arm>mens|womens) \| (?P<lift>\S+) % "
    r"\| (?P<low>\S+) … (?P<high>\S+) \| (?P<p>\S+) "
    r"\| (?P<once_low>\S+) … (?P<once_high>\S+) \| (?P<once_p>\S+) \|"
)


@needs_data
def test_the_real_experiments_figures():
    rows = list(ROW.finditer(MANUAL.read_text(encoding="utf-8")))
    assert len(rows) == 6
    for row in rows:
        found = expected(row["metric"], row["arm"])
        assert float(row["lift"]) == pytest.approx(100 * found.lift, abs=0.06)
        for prefix, interval in (("", found.sequential), ("once_", found.fixed)):
            low, high, p = (float(row[prefix + name]) for name in ("low", "high", "p"))
            assert (low, high) == pytest.approx(interval[:2], abs=6e-6)
            assert p == pytest.approx(interval[2], rel=0.06)


def test_links_within_the_page_lead_somewhere():
    text = MANUAL.read_text(encoding="utf-8")
    headings = {
        line.lstrip("#").strip().lower().replace(" ", "-")
        for line in text.splitlines()
        if line.startswith("#")
    }
    links = set(re.findall(r"\]\(#([^)]+)\)", text))
    assert links
    assert links <= headings
