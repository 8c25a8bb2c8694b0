"""Why a unit has its variant, asked of the dashboard."""

from __future__ import annotations

import json

import pytest

from anabranch.cli.app import run
from anabranch.demo import EXPERIMENT, SPECS, demo_catalog
from tests.lifecycle.records import experiment
from tests.web.desks import Office

PLAN = experiment("plans", expression="context.attributes?.plan === 'pro'")


async def told(asked: dict, *files) -> tuple[int, dict]:
    async with Office().client(*files) as http:
        answer = await http.post("/api/explain", json=asked)
    return answer.status_code, answer.json()


async def test_it_says_what_the_command_says(capsys):
    asked = {
        "experiment": EXPERIMENT,
        "userId": "ada",
        "attributes": {"segment": "vip"},
        "at": "2026-01-01T00:00:00Z",
    }
    status, found = await told(asked, *demo_catalog())
    command = ["explain", EXPERIMENT, "--specs", str(SPECS), "--user", "ada", "--json"]
    command += ["--attribute", "segment=vip", "--at", "2026-01-01T00:00:00Z"]
    assert run(command) == 0
    assert (status, found) == (200, json.loads(capsys.readouterr().out))


@pytest.mark.parametrize(("plan", "outcome"), [("pro", "matched"), ("free", "no match")])
async def test_rules_show_what_they_saw(plan, outcome):
    status, found = await told(
        {"experiment": "plans", "userId": "ada", "attributes": {"plan": plan}}, PLAN
    )
    assert status == 200
    assert found["rules"][0]["outcome"] == outcome


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ({"experiment": "plan", "userId": "ada"}, 404, "plans"),
        ({"experiment": "plans", "version": "9", "userId": "a"}, 404, "9"),
        ({"experiment": "plans", "userId": "a", "at": "soon"}, 422, "'soon' is no RFC 3339 time"),
        ({"experiment": "plans", "user": "a"}, 400, "unknown field `user`"),
        ({"userId": "a"}, 400, "`experiment`"),
        ({"experiment": "plans", "attributes": [1]}, 400, "attributes"),
    ],
)
async def test_what_cannot_be_explained_is_said(asked, status, said):
    found, answer = await told(asked, PLAN)
    assert found == status
    assert said in answer["error"]


async def test_nobody_is_told_without_an_identity():
    status, found = await told({"experiment": "plans"}, PLAN)
    assert status == 200
    assert found["enrolled"] is False
