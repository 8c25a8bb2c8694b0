"""Results by an attribute of the units."""

from __future__ import annotations

import json

import pytest

from anabranch import analysis
from anabranch.analysis.segments import OTHER, UNKNOWN
from anabranch.events.cloudevents import format_time
from tests.analysis import shop

PLANS = ("free", "free", "free", "pro", "pro", "team", None)
"""By unit, over and over; the last kind of unit does not tell."""


def plan(n: int) -> str | None:
    return PLANS[n % len(PLANS)]


def rows(units: range = range(shop.UNITS)) -> list[dict]:
    """The shop's events, with contexts that tell plans. Later ones tell another, and come first.

    They ask for no experiment that there is, so they expose nobody.
    """
    told = []
    for n in units:
        for later, name in ((600, "gone"), (0, plan(n))):
            told.append(
                {
                    "time": shop.BEGIN + (n + later) * shop.MINUTE,
                    "type": "context",
                    "unit": f"user:{n}",
                    "experiment": "nothing.running",
                    "variant": None,
                    "name": None,
                    "amount": None,
                    "plan": name if plan(n) else None,
                }
            )
    wanted = {f"user:{n}" for n in units}
    did = [
        {**row, "plan": None, "type": "exposure" if row["variant"] else "telemetry"}
        for row in shop.rows()
        if row["unit"] in wanted
    ]
    return told + did


def segments(of: list[dict], **more) -> dict[str, analysis.Analysis]:
    return analysis.read_segments(shop.columns(of), specs=shop.catalog(), attribute="plan", **more)


def figures(found: analysis.Analysis) -> list[dict]:
    return [{k: v for k, v in row.items() if k != "as_of"} for row in found.rows("figures")]


def test_each_segment_is_what_its_units_alone_give():
    found = segments(rows())
    assert list(found) == ["free", "pro", "team", UNKNOWN]
    for name, one in found.items():
        wanted = {f"user:{n}" for n in range(shop.UNITS) if (plan(n) or UNKNOWN) == name}
        alone = [row for row in shop.rows() if row["unit"] in wanted]
        expected = analysis.read_frame(shop.columns(alone), specs=shop.catalog())
        assert figures(one) == figures(expected)
        assert one.rows("split")[0]["units"] == expected.rows("split")[0]["units"]


def test_segments_add_up_to_the_whole():
    whole = analysis.read_frame(shop.columns(shop.rows()), specs=shop.catalog())
    parts = segments(rows(), most=2)
    for at, row in enumerate(figures(whole)):
        for name in ("units", "events", "converted", "sum"):
            assert sum(figures(one)[at][name] for one in parts.values()) == row[name]


@pytest.mark.parametrize(
    ("most", "names"),
    [(1, ["free", OTHER, UNKNOWN]), (3, ["free", "pro", "team", UNKNOWN])],
)
def test_the_largest_are_told_and_the_rest_are_one(most, names):
    found = segments(rows(range(28)), most=most)
    assert list(found) == names
    units = [sum(row["units"] for row in one.rows("split")) for one in found.values()]
    sizes = {"free": 12, "pro": 8, "team": 4, UNKNOWN: 4}
    rest = sum(sizes[name] for name in sizes if name not in names)
    assert units == [sizes.get(name, rest) for name in names]


def test_a_column_of_exposures_tells_too():
    of = [{**row, "plan": "even" if int(row["unit"][5:]) % 4 < 2 else 7} for row in shop.rows()]
    found = segments(of)
    assert list(found) == ["7", "even"]
    assert [sum(row["units"] for row in one.rows("split")) for one in found.values()] == [60, 60]


def test_event_files_tell_by_their_contexts(tmp_path):
    lines = [
        {
            "specversion": "1.0",
            "id": f"context-{n}",
            "source": "shop",
            "type": "anabranch.context.v1",
            "time": format_time(shop.BEGIN + n * shop.MINUTE),
            "data": {
                "userId": str(n),
                "exposure": False,
                "attributes": {"vip": n < 30} if n < 90 else {},
            },
        }
        for n in range(shop.UNITS)
    ]
    contexts = tmp_path / "contexts.jsonl"
    broken = [{**lines[0], "id": "broken", "data": {"userId": 5}}]
    contexts.write_text("\n".join(map(json.dumps, lines + broken)))
    events = shop.file(tmp_path / "events.jsonl")
    found = analysis.read_segments(
        [contexts, events], specs=shop.catalog(), attribute="vip", looks=3
    )
    assert list(found) == ["false", "true", UNKNOWN]
    units = [sum(row["units"] for row in one.rows("split")) for one in found.values()]
    assert units == [60, 30, 30]
    assert all(one.dead == {"contexts: EventSchemaError": 1} for one in found.values())
    assert all(len(one.history) == 3 for one in found.values())


def test_there_is_at_least_one_segment():
    with pytest.raises(ValueError, match="1 or more"):
        segments(rows(range(2)), most=0)
