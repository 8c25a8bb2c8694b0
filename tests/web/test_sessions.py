"""Signing in, and what a page of another site cannot do with somebody's cookie."""

from __future__ import annotations

import pytest

from tests.web.desks import ADA, Office, signed_in

SOMETHING = {"experiment": "x", "version": "1.0.0", "action": "pause", "digest": "sha256:0"}


async def test_a_token_opens_a_session_that_scripts_cannot_read():
    async with Office().client() as http:
        assert (await http.get("/api/session")).json() == {"signedIn": False}
        answer = await http.post("/api/session", json={"token": ADA.token})
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert "secure" not in cookie
        assert ADA.token not in answer.headers["set-cookie"]
        told = (await http.get("/api/session")).json()
    assert (told["signedIn"], told["name"]) == (True, "ada")
    assert told["csrf"] == answer.json()["csrf"]
    assert told["csrf"] not in answer.headers["set-cookie"]


@pytest.mark.parametrize(
    "settings",
    [{"base": "https://test"}, {"headers": {"x-forwarded-proto": "https"}}],
)
async def test_where_the_browser_came_encrypted_the_cookie_never_goes_plain(settings):
    async with Office().client(**settings) as http:
        answer = await http.post("/api/session", json={"token": ADA.token})
    assert "secure" in answer.headers["set-cookie"].lower()


async def test_who_signs_out_is_out():
    async with Office().client() as http:
        headers = await signed_in(http)
        kept = http.cookies["anabranch-session"]
        assert (await http.delete("/api/session", headers=headers)).json() == {"signedIn": False}
        http.cookies.set("anabranch-session", kept)
        assert (await http.get("/api/session")).json() == {"signedIn": False}


async def test_a_session_ends_by_itself():
    office = Office()
    async with office.client() as http:
        headers = await signed_in(http)
        office.clock.now += 12 * 3600
        assert (await http.get("/api/session")).json() == {"signedIn": False}
        assert (await http.post("/api/actions", json=SOMETHING, headers=headers)).status_code == 401


async def test_a_session_is_of_one_dashboard():
    one, other = Office(), Office()
    async with one.client() as http, other.client() as there:
        await signed_in(http)
        there.cookies.set("anabranch-session", http.cookies["anabranch-session"])
        assert (await there.get("/api/session")).json() == {"signedIn": False}


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 403),
        ({"x-csrf-token": "guessed"}, 403),
        ({"x-csrf-token": "right", "origin": "http://evil.example"}, 403),
        ({"x-csrf-token": "right", "origin": "null"}, 403),
        ({"x-csrf-token": "right", "content-type": "text/plain"}, 415),
        ({"x-csrf-token": "right", "origin": "http://test"}, 404),
        ({"x-csrf-token": "right"}, 404),
    ],
)
async def test_a_cookie_alone_changes_nothing(headers, status):
    """404 is that of the unknown experiment: the request was let in."""
    async with Office().client() as http:
        right = await signed_in(http)
        sent = {"content-type": "application/json"} | headers
        if sent.get("x-csrf-token") == "right":
            sent |= right
        answer = await http.post(
            "/api/actions",
            content=b'{"experiment":"x","version":"1","action":"pause","digest":"d"}',
            headers=sent,
        )
    assert answer.status_code == status, answer.text


async def test_another_site_signs_nobody_in():
    async with Office().client() as http:
        answer = await http.post(
            "/api/session", json={"token": ADA.token}, headers={"origin": "http://evil.example"}
        )
    assert answer.status_code == 403
    assert "set-cookie" not in answer.headers


async def test_a_script_needs_its_token_only():
    async with Office().client() as http:
        bearer = {"authorization": f"Bearer {ADA.token}"}
        assert (await http.post("/api/actions", json=SOMETHING, headers=bearer)).status_code == 404
        wrong = {"authorization": "Bearer " + "x" * 16}
        answer = await http.post("/api/actions", json=SOMETHING, headers=wrong)
    assert answer.status_code == 401
    assert answer.json() == {"error": "nobody has that token"}


async def test_guessing_is_slow():
    office = Office()
    async with office.client() as http:
        tries = [
            (await http.post("/api/session", json={"token": f"guess-{n}"})).status_code
            for n in range(12)
        ]
        assert tries == [401] * 10 + [429] * 2
        office.clock.now += 5
        assert (await http.post("/api/session", json={"token": "guess"})).status_code == 401
        assert (await http.post("/api/session", json={"token": ADA.token})).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'{"token": 1}', 400),
        (b'{"token": "x", "more": 1}', 400),
        (b"\xff", 400),
        (b'{"token": "' + b"x" * 70_000 + b'"}', 413),
    ],
)
async def test_what_is_no_request_is_told_so(body, status):
    async with Office().client() as http:
        answer = await http.post(
            "/api/session", content=body, headers={"content-type": "application/json"}
        )
    assert answer.status_code == status
    assert answer.json()["error"]


async def test_without_tokens_there_is_nothing_to_sign_in_to():
    async with Office(people=()).client() as http:
        assert (await http.get("/api/session")).status_code == 404
        assert (await http.post("/api/actions", json=SOMETHING)).status_code in {404, 405}
