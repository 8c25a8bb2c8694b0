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


@pytest.fixture
def launchdarkly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    page = guides.text("migrate-from-launchdarkly")
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


def test_launchdarkly_flags_are_those_that_were_asked(launchdarkly: str) -> None:
    asked = [old["asked"] for old in PEERS["launchdarkly"]]
    assert [json.loads(block) for block in guides.blocks(launchdarkly, "json")] == asked, (
        "the page's JSON has changed: run tests/docs/freeze_peers.py"
    )


def test_launchdarkly_experiment_gave_what_the_spec_gives(launchdarkly: str) -> None:
    old = PEERS["launchdarkly"][0]
    plan = plan_of("specs/button.yaml")
    found = [plan.evaluate(ExperimentContext(user_id=key)) for key in freeze_shape.context_keys()]
    values = [old["asked"]["variations"][int(index)] for index in old["given"]]
    assert [e.variant.metadata.get("value", e.variant.id) for e in found] == values
    measured = ["t" if e.enrolled and e.variant.id != "untracked" else "-" for e in found]
    assert "".join(measured) == old["in_experiment"]
    assert set(values) == {"grey", "green"}
    assert 300 < measured.count("t") < 500


def test_launchdarkly_rollout_gave_what_the_spec_gives(launchdarkly: str) -> None:
    old = PEERS["launchdarkly"][1]
    contexts = [ExperimentContext(organization_id=key) for key in freeze_shape.context_keys()]
    assert set(old["given"]) == set("012")
    assert indexes(plan_of("specs-search/search.yaml"), contexts) == old["given"]


def test_launchdarkly_page_is_followed(launchdarkly: str, capsys) -> None:
    rows = list(zip(freeze_shape.context_keys(), PEERS["launchdarkly"][0]["given"], strict=True))
    with Path("viewed.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("key", "variation"), *rows])
    (sample,) = guides.blocks(launchdarkly, "text")
    assert set(sample.split()[1:]) < {",".join(row) for row in rows}
    guides.follow(launchdarkly, capsys)


def test_launchdarkly_check_finds_what_moves(launchdarkly: str, capsys) -> None:
    Path("viewed.csv").write_text("key,variation\nu0,1\nqa-1,1\n")
    shown = ["u0 saw green would see grey", "2 units, 1 would move"]
    guides.step(["python", "moved.py", "viewed.csv"], shown, capsys)


def test_launchdarkly_shadow_run_tells_differences(launchdarkly: str, caplog) -> None:
    compare = runpy.run_path("shadow.py")["compare"]
    assert compare("u0", "grey")
    assert not caplog.records
    assert not compare("qa-1", "grey")
    assert [record.message for record in caplog.records] == [
        "checkout.button: qa-1 has grey, not green"
    ]
