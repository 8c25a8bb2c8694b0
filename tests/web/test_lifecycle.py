"""What was published, and acting on it from the dashboard: by whom, by what, told what it means."""

from __future__ import annotations

import pytest

from tests.lifecycle.records import experiment
from tests.web.desks import CHECKOUT, Office, signed_in

KEY = "checkout.button"
BUTTON = experiment(KEY)
SECOND = experiment(KEY, "2.0.0", coverage=0.5, title="Bolder")


@pytest.fixture
async def office() -> Office:
    office = Office()
    await office.publish(BUTTON, experiment("home.banner"), why="a beginning")
    return office


def wish(action: str, digest: str = BUTTON.digest, **more) -> dict:
    return {
        "experiment": KEY,
        "version": "1.0.0",
        "action": action,
        "digest": digest,
        **more,
    }


async def test_history_tells_versions_differences_and_who(office):
    await office.publish(SECOND, who="fay", why="bolder")
    async with office.client() as http:
        told = (await http.get(f"/api/published/{KEY}")).json()
    second, first = told["versions"]
    assert (second["version"], second["holds"], first["holds"]) == ("2.0.0", True, False)
    assert second["comparedWith"] == "1.0.0"
    assert {d["path"]: (d["before"], d["after"]) for d in second["differences"]} == {
        "coverage": (1, 0.5),
        "meta.title": (None, "Bolder"),
    }
    assert (first["comparedWith"], first["differences"]) == (None, [])
    assert first["actions"] == ["pause", "ramp", "stop"]
    assert first["document"] == BUTTON.document
    assert [(e["who"], e["version"], e["why"]) for e in told["audit"]] == [
        ("fay", "2.0.0", "bolder"),
        ("eve", "1.0.0", "a beginning"),
    ]


async def test_what_was_never_published_has_no_history(office):
    async with office.client() as http:
        told = (await http.get("/api/published/nothing")).json()
    assert told == {"experiment": "nothing", "versions": [], "audit": []}


async def test_a_look_before_the_leap_writes_nothing(office):
    async with office.client() as http:
        headers = await signed_in(http)
        answer = await http.post("/api/actions", json=wish("pause", dryRun=True), headers=headers)
        (told,) = answer.json()["specs"]
        assert answer.json()["published"] is False
        assert told["differences"] == [{"path": "status", "before": "running", "after": "paused"}]
        assert (told["impact"]["before"], told["impact"]["after"]) == (10_000, 0)
    assert await office.status(KEY) == "running"


async def test_a_pause_holds_and_is_remembered(office):
    async with office.client() as http:
        headers = await signed_in(http)
        answer = await http.post("/api/actions", json=wish("pause", why=" calls "), headers=headers)
        assert answer.json()["published"] is True
        told = (await http.get(f"/api/published/{KEY}")).json()
    assert await office.status(KEY) == "paused"
    last = told["audit"][0]
    assert (last["who"], last["via"], last["action"], last["why"]) == (
        "ada",
        "dashboard",
        "pause",
        "calls",
    )
    assert told["versions"][0]["actions"] == ["resume", "ramp", "stop"]


async def test_a_ramp_takes_a_share(office):
    async with office.client() as http:
        headers = await signed_in(http)
        done = await http.post("/api/actions", json=wish("ramp", percent=12.5), headers=headers)
        (told,) = done.json()["specs"]
    assert told["differences"] == [{"path": "coverage", "before": 1, "after": 0.125}]
    assert 1100 < told["impact"]["after"] < 1400
    assert told["impact"]["moved"] == 0


async def test_of_two_who_look_at_the_same_one_wins_and_the_other_is_told(office):
    async with office.client() as ada, office.client() as bob:
        hers, his = await signed_in(ada), await signed_in(bob, CHECKOUT)
        first = await ada.post("/api/actions", json=wish("pause", why="calls"), headers=hers)
        assert first.status_code == 200
        late = await bob.post("/api/actions", json=wish("stop"), headers=his)
    assert late.status_code == 409
    error = late.json()["error"]
    assert "is not any more what you were looking at: pause by ada at" in error
    assert "(calls)" in error
    assert await office.status(KEY) == "paused"


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        (wish("resume"), 422, "is running, and resume is not possible then: what is possible is"),
        (wish("start"), 422, "'start' is none of pause, resume, ramp, stop, retire"),
        (wish("promote"), 422, "'promote' is none of"),
        (wish("ramp"), 422, "a share from 0 to 100"),
        (wish("ramp", percent=101), 422, "a share from 0 to 100"),
        (wish("pause") | {"experiment": "nothing"}, 404, "there is no published Experiment"),
        (wish("pause") | {"version": "7"}, 404, "has no version 7"),
        (wish("pause") | {"version": "x y"}, 422, "version"),
        (wish("pause", digest="sha256:0"), 409, "not any more what you were looking at"),
    ],
)
async def test_what_cannot_be_is_said_and_nothing_is_written(office, asked, status, said):
    async with office.client() as http:
        headers = await signed_in(http)
        answer = await http.post("/api/actions", json=asked, headers=headers)
    assert answer.status_code == status, answer.text
    assert said in answer.json()["error"]
    assert len((await office.store.look()).audit) == 2


async def test_a_token_is_for_its_experiments_only(office):
    banner = experiment("home.banner")
    async with office.client() as http:
        headers = await signed_in(http, CHECKOUT)
        asked = wish("pause", banner.digest) | {"experiment": "home.banner"}
        answer = await http.post("/api/actions", json=asked, headers=headers)
        assert answer.status_code == 403
        assert answer.json() == {"error": "the token of bob is not for home.banner"}
        assert (
            await http.post("/api/actions", json=wish("pause"), headers=headers)
        ).status_code == 200
    assert await office.status("home.banner") == "running"


async def test_who_is_not_signed_in_changes_nothing(office):
    async with office.client() as http:
        answer = await http.post("/api/actions", json=wish("pause"))
    assert answer.status_code == 401
    assert await office.status(KEY) == "running"


@pytest.mark.parametrize("people", [(), (CHECKOUT,)])
async def test_the_page_is_told_what_it_may_offer(people):
    from anabranch.runtime import LiveCatalog
    from anabranch.web.access import Access
    from anabranch.web.desk import Desk

    office = Office()
    desk = Desk(LiveCatalog(), office.store, clock=office.clock, access=Access(people))
    assert desk.offers == (("explain", "history", "actions") if people else ("explain", "history"))
