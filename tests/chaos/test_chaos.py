"""A short mix on a broker of its own; ``make chaos`` runs the long one."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.chaos.run import run
from tools.devkafka import DevKafkaMissingError

pytestmark = [pytest.mark.kafka, pytest.mark.timeout(300)]


async def test_nothing_is_lost_or_counted_twice():
    try:
        outcome = await run(1, faults=["sigkill"], count=1, failures=Path("chaos-failures"))
    except DevKafkaMissingError as missing:
        pytest.skip(str(missing))
    assert outcome.report.violations == [], f"see {outcome.saved}"
    assert outcome.faults["sigkill"] == 1
    assert outcome.report.assignments > 3000
