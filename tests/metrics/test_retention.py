"""What units may forget, and when they are forgotten themselves."""

from __future__ import annotations

import copy

import pytest

from anabranch.errors import SettingsError
from anabranch.metrics.ledger import Ledger
from anabranch.metrics.retention import RetentionSettings, shed


def columns(*arrivals: int):
    made = Ledger.empty()
    for number, arrival in enumerate(arrivals):
        Ledger(made).insert(number, arrival, arrival, "shop.order", {})
    return made


@pytest.mark.parametrize(
    ("runs", "arrivals", "useless", "left"),
    [
        ({}, [50], True, 0),
        ({}, [150], False, 1),
        ({}, [50, 150], False, 1),
        ({"a@1": [50, ["x"], {}]}, [], True, 0),
        ({"a@1": [50, ["x"], {}]}, [150], False, 1),
        ({"a@1": [150, ["x"], {}]}, [50], False, 0),
        ({"a@1": [50, ["x"], {}], "b@1": [150, ["x"], {}]}, [], False, 0),
    ],
)
def test_a_unit_is_of_use_while_it_was_exposed_or_heard_of_lately(runs, arrivals, useless, left):
    record = {"r": copy.deepcopy(runs)} | ({"l": columns(*arrivals)} if arrivals else {})
    assert shed(record, arrived_before=100, exposed_before=100) is useless
    assert record["r"] == runs
    assert len(record.get("l", [[], []])[1]) == left
    assert ("l" in record) is bool(left)


@pytest.mark.parametrize("name", ["units_ms", "every_ms", "slice"])
def test_settings_are_positive(name):
    with pytest.raises(SettingsError, match="positive"):
        RetentionSettings(**{name: 0})
