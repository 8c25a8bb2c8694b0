"""The pages on moving here from other systems: each unit gets what their own SDK gave it.

What the SDKs gave is kept in peers.json, which freeze_peers.py wrote by asking them.
"""

from __future__ import annotations

import csv
import json
import runpy
from pathlib import Path

import pytest

from anabranch import ExperimentContext, load_specs
from anabranch.assignment import Plan
from tests.docs import freeze_shape, guides

PEERS = json.loads((Path(__file__).parent / "peers.json").read_text(encoding="utf-8"))


@pytest.fixture
def growthbook(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    page = guides.text("migrate-from-growthbook")
    guides.write_files(page, tmp_path)
    monkeypatch.chdir(tmp_path)
    return page


def plan_of(file: str) -> Plan:
    (spec,) = load_specs(file).experiments
    return Plan(spec)


def indexes(plan: Plan, contexts: list[ExperimentContext]) -> str:
    """A character a unit, as peers.json has it."""
    ids = [variant.id for variant in plan.spec.variants]
    found = [plan.evaluate(context) for context in contexts]
    return "".join(str(ids.index(e.variant.id)) if e.enrolled else "-" for e in found)


def test_growthbook_gave_what_the_spec_gives(growthbook: str) -> None:
    old = PEERS["growthbook"][0]
    assert [json.loads(block) for block in guides.blocks(growthbook, "json")] == [old["asked"]], (
        "the page's JSON has changed: run tests/docs/freeze_peers.py"
    )
    contexts = [
        ExperimentContext(user_id=unit, attributes={"country": country})
        for unit, country in freeze_shape.people()
    ]
    given = old["given"]
    assert len(given) == len(contexts) == 1000
    assert set(given) == set("012-")
    assert indexes(plan_of("specs/button.yaml"), contexts) == given


def test_growthbook_namespaces_go_as_an_attribute(growthbook: str) -> None:
    place = runpy.run_path("namespace.py")["place"]
    old = PEERS["growthbook"][1]
    assert '"namespace": ["pricing", 0.2, 0.6]' in growthbook
    assert old["asked"]["pricing"]["rules"][0]["namespace"] == ["pricing", 0.2, 0.6]
    contexts = [
        ExperimentContext(user_id=unit, attributes={"pricing": place(unit, "pricing")})
        for unit, _ in freeze_shape.people()
    ]
    assert indexes(plan_of("pricing.yaml"), contexts) == old["given"]


def test_growthbook_page_is_followed(growthbook: str, capsys) -> None:
    given = PEERS["growthbook"][0]["given"]
    rows = [
        (unit, country, variation)
        for (unit, country), variation in zip(freeze_shape.people(), given, strict=True)
        if variation != "-"
    ]
    with Path("viewed.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("user_id", "country", "variation_id"), *rows])
    (sample,) = guides.blocks(growthbook, "text")
    assert set(sample.split()[1:]) < {",".join(row) for row in rows}
    guides.follow(growthbook, capsys)


def test_growthbook_check_finds_what_moves(growthbook: str, capsys) -> None:
    Path("viewed.csv").write_text("user_id,country,variation_id\nu0,DE,1\nu3,DE,2\nu0,FR,0\n")
    shown = ["u0 had green would get grey", "3 units, 2 would move"]
    guides.step(["python", "moved.py", "viewed.csv"], shown, capsys)


def test_growthbook_shadow_run_tells_differences(growthbook: str, caplog) -> None:
    compare = runpy.run_path("shadow.py")["compare"]
    assert compare("u3", "DE", "blue", True)
    assert compare("u3", "FR", "grey", False)
    assert not caplog.records
    assert not compare("u3", "DE", "grey", False)
    assert [record.message for record in caplog.records] == [
        "checkout.button: u3 has grey, not blue"
    ]
