"""A short mix on a broker of its own; ``make chaos`` runs the long one."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.chaos.run import run
from tools.devkafka import DevKafkaMissingError

MIX = ("sigkill", "kill-inside", "raise-after", "bump")

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(400)]


async def test_nothing_is_lost_or_counted_twice_whatever_dies():
    try:
        outcome = await run(1, faults=MIX, count=len(MIX), failures=Path("chaos-failures"))
    except DevKafkaMissingError as missing:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must test on a real broker: {missing}")
        pytest.skip(str(missing))
    assert outcome.report.violations == [], f"see {outcome.saved}"
    assert outcome.faults.keys() >= {"sigkill", "bump"}
    assert outcome.report.assignments > 3000
    assert outcome.report.dead_letters > 50
