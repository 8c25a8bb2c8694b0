"""When dead letters are too many."""

from __future__ import annotations

import pytest

from anabranch.engine.breaker import Breaker, BreakerSettings

SETTINGS = BreakerSettings(share=0.5, window=1000, minimum=100)


@pytest.mark.parametrize(
    ("before", "records", "dead", "refused"),
    [
        ([], 99, 99, False),  # too few to tell
        ([], 100, 50, False),
        ([], 100, 51, True),
        ([(900, 0)], 100, 100, False),
        ([(100, 40)], 100, 61, True),
        ([(100, 100)], 50, 0, False),  # nothing dead in this one: let it through
        ([(1000, 1000), (1000, 0)], 400, 300, False),  # the bad thousand is no longer recent
    ],
)
def test_the_share_of_recent_records_decides(before, records, dead, refused):
    breaker = Breaker(SETTINGS)
    for one in before:
        breaker.committed(*one)
    assert breaker.refuses(records, dead) is refused


def test_a_share_of_one_never_pauses():
    breaker = Breaker(BreakerSettings(share=1.0))
    breaker.committed(1000, 1000)
    assert not breaker.refuses(1000, 1000)
