"""The protocol, request by request: bodies, status codes, tags, tokens."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from anabranch.runtime import LiveCatalog
from anabranch.runtime.flags import LiveFlags
from anabranch.specs import Catalog
from anabranch.web.ofrep import Access, Client, EvaluationApi, RateLimit
from tests.assignment.specs import experiment

NOW = 1_760_000_000_000
FLAGS = "/ofrep/v1/evaluate/flags"
KEY = "shop.button"
CONTEXT = {"context": {"targetingKey": "7"}}


def specs() -> list[Any]:
    return [
        experiment(key=KEY),
        experiment(key="shop.paused", status="paused"),
        experiment(key="shop.draft", status="draft"),
        experiment(key="team.plan", unit=["organizationId"]),
    ]


class Told:
    """Remembers what was used."""

    def __init__(self) -> None:
        self.uses: list[tuple[str, str | None, int]] = []

    def __call__(self, found, now, trace, segments) -> None:
        self.uses.append((found.experiment, found.unit, now))


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def api(**options) -> EvaluationApi:
    live = options.pop("live", None) or LiveCatalog(Catalog.of(specs()))
    options.setdefault("monotonic", Clock())
    return EvaluationApi(LiveFlags(live), clock=lambda: NOW, **options)


def client(app: EvaluationApi, **options) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        transport=httpx.ASGITransport(app=app), base_url="http://api", **options
    )


async def post(app: EvaluationApi, path: str, **options) -> httpx.Response:
    async with client(app) as http:
        return await http.post(path, **options)


# -- one flag ---------------------------------------------------------------------------------


async def test_one_flag():
    app = api()
    answer = await post(app, f"{FLAGS}/{KEY}", json=CONTEXT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    body = answer.json()
    assert body["key"] == KEY
    assert body["value"] == body["variant"]
    assert body["value"] in {"control", "treatment"}
    assert body["reason"] == "SPLIT"
    assert body["metadata"]["unit"] == "user:7"
    assert body["metadata"]["enrolled"] is True
    assert app.requests == {("flag", 200): 1}
    assert app.reasons == {"SPLIT": 1}


async def test_the_same_unit_has_the_same_value_as_in_process():
    live = LiveCatalog(Catalog.of(specs()))
    evaluator = LiveFlags(live)._sticky
    for n in range(20):
        answer = await post(api(live=live), f"{FLAGS}/{KEY}", json={"context": {"userId": str(n)}})
        found = await evaluator.choose_variant({"experiment": KEY, "userId": str(n)}, NOW)
        assert found is not None
        assert answer.json()["value"] == found.variant.id


async def test_a_use_is_told_a_prefetch_is_not():
    told = Told()
    app = api(use=told)
    await post(app, FLAGS, json=CONTEXT)
    assert told.uses == []
    await post(app, f"{FLAGS}/{KEY}", json=CONTEXT)
    assert told.uses == [(KEY, "user:7", NOW)]


@pytest.mark.parametrize(
    ("key", "body", "status", "code"),
    [
        (KEY, b"{", 400, "PARSE_ERROR"),
        (KEY, b"", 400, "PARSE_ERROR"),
        (KEY, b"[]", 400, "PARSE_ERROR"),
        (KEY, b"\xff", 400, "PARSE_ERROR"),
        (KEY, b"{}", 400, "INVALID_CONTEXT"),
        (KEY, b'{"context": []}', 400, "INVALID_CONTEXT"),
        (KEY, b'{"context": {"targetingKey": 7}}', 400, "INVALID_CONTEXT"),
        (KEY, b'{"context": {}}', 400, "TARGETING_KEY_MISSING"),
        (KEY, b'{"context": {"targetingKey": ""}}', 400, "TARGETING_KEY_MISSING"),
        ("team.plan", b'{"context": {"targetingKey": "7"}}', 400, "TARGETING_KEY_MISSING"),
        ("shop.buton", b'{"context": {"targetingKey": "7"}}', 404, "FLAG_NOT_FOUND"),
        ("shop.draft", b'{"context": {"targetingKey": "7"}}', 404, "FLAG_NOT_FOUND"),
        (KEY, b"[" * 100_000, 400, "PARSE_ERROR"),
    ],
)
async def test_what_is_wrong_with_one_flag(key, body, status, code):
    answer = await post(api(), f"{FLAGS}/{key}", content=body)
    assert answer.status_code == status
    assert answer.json()["key"] == key
    assert answer.json()["errorCode"] == code
    assert answer.json()["errorDetails"]


async def test_a_paused_experiment_gives_control_disabled():
    body = (await post(api(), f"{FLAGS}/shop.paused", json={"context": {}})).json()
    assert (body["value"], body["reason"]) == ("control", "DISABLED")
    assert body["metadata"]["enrolled"] is False


async def test_too_much_is_refused():
    app = api(max_body=100)
    answer = await post(app, f"{FLAGS}/{KEY}", json={"context": {"x": "y" * 200}})
    assert (answer.status_code, answer.json()["errorCode"]) == (413, "PARSE_ERROR")


async def test_a_defect_is_told_without_its_inside(caplog):
    def broken(*_):
        raise RuntimeError("secret")

    answer = await post(api(use=broken), f"{FLAGS}/{KEY}", json=CONTEXT)
    assert (answer.status_code, answer.json()["errorCode"]) == (500, "GENERAL")
    assert "secret" not in answer.text
    assert "secret" in caplog.text


# -- all flags --------------------------------------------------------------------------------


async def test_all_flags_with_those_that_cannot_be_told():
    body = (await post(api(), FLAGS, json=CONTEXT)).json()
    found = {flag["key"]: flag.get("reason") or flag["errorCode"] for flag in body["flags"]}
    assert found == {
        KEY: "SPLIT",
        "shop.paused": "DISABLED",
        "team.plan": "TARGETING_KEY_MISSING",
    }


async def test_what_is_known_is_not_sent_again():
    live = LiveCatalog(Catalog.of(specs()))
    app = api(live=live)
    first = await post(app, FLAGS, json=CONTEXT)
    tag = first.headers["etag"]
    for shown in (tag, f"W/{tag}", f'"other", {tag}', "*"):
        again = await post(app, FLAGS, json=CONTEXT, headers={"if-none-match": shown})
        assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await post(app, FLAGS, json=CONTEXT, headers={"if-none-match": '"other"'})
    assert other.status_code == 200
    context = {"context": {"targetingKey": "someone else"}}
    assert (await post(app, FLAGS, json=context, headers={"if-none-match": tag})).status_code == 200
    changed = api(live=LiveCatalog(Catalog.of([experiment(key=KEY, version="2.0.0")])))
    assert (
        await post(changed, FLAGS, json=CONTEXT, headers={"if-none-match": tag})
    ).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "PARSE_ERROR"),
        (b"{}", "INVALID_CONTEXT"),
        (b'{"context": {"flags": 1}}', "INVALID_CONTEXT"),
        (b'{"context": {"country": "de"}}', "TARGETING_KEY_MISSING"),
    ],
)
async def test_what_is_wrong_with_all(body, code):
    answer = await post(api(), FLAGS, content=body)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert "key" not in answer.json()


async def test_specs_that_change_are_seen_at_once():
    live = LiveCatalog(Catalog.of(specs()))
    app = api(live=live)
    assert (await post(app, f"{FLAGS}/{KEY}", json=CONTEXT)).status_code == 200
    live._files = Catalog()
    live.forget()
    assert (await post(app, f"{FLAGS}/{KEY}", json=CONTEXT)).status_code == 404
    assert (await post(app, FLAGS, json=CONTEXT)).json() == {"flags": []}


# -- tokens and limits ------------------------------------------------------------------------

ACCESS = Access([Client("web", "w" * 16), Client("team", "t" * 16, ("team.*",))])
WEB = {"authorization": f"Bearer {'w' * 16}"}
TEAM = {"x-api-key": "t" * 16}


@pytest.mark.parametrize("path", [FLAGS, f"{FLAGS}/{KEY}"])
@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}])
async def test_who_shows_no_token_is_turned_away(path, headers):
    answer = await post(api(access=ACCESS), path, json=CONTEXT, headers=headers)
    assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")


async def test_a_client_sees_what_it_may():
    app = api(access=ACCESS)
    context = {"context": {"organizationId": "acme"}}
    assert (await post(app, f"{FLAGS}/{KEY}", json=CONTEXT, headers=WEB)).status_code == 200
    assert (await post(app, f"{FLAGS}/{KEY}", json=CONTEXT, headers=TEAM)).status_code == 403
    assert (await post(app, f"{FLAGS}/no.such", json=CONTEXT, headers=TEAM)).status_code == 403
    flags = (await post(app, FLAGS, json=context, headers=TEAM)).json()["flags"]
    assert [flag["key"] for flag in flags] == ["team.plan"]


async def test_whoever_asks_too_often_is_told_when_to_come_back():
    clock = Clock()
    app = api(access=ACCESS, limit=RateLimit(0.5, 1), monotonic=clock)
    assert (await post(app, FLAGS, json=CONTEXT, headers=WEB)).status_code == 200
    late = await post(app, FLAGS, json=CONTEXT, headers=WEB)
    assert (late.status_code, late.headers["retry-after"]) == (429, "2")
    assert (await post(app, FLAGS, json=CONTEXT, headers=TEAM)).status_code == 200
    clock.now = 2.0
    assert (await post(app, FLAGS, json=CONTEXT, headers=WEB)).status_code == 200


# -- the rest ---------------------------------------------------------------------------------


async def test_configuration_with_its_tag():
    async with client(api()) as http:
        answer = await http.get("/ofrep/v1/configuration")
        assert answer.json()["name"] == "anabranch"
        tag = {"if-none-match": answer.headers["etag"]}
        assert (await http.get("/ofrep/v1/configuration", headers=tag)).status_code == 304


@pytest.mark.parametrize(
    ("method", "path", "status", "allow"),
    [
        ("GET", FLAGS, 405, "POST"),
        ("PUT", f"{FLAGS}/{KEY}", 405, "POST"),
        ("POST", "/livez", 405, "GET, HEAD"),
        ("GET", "/", 404, None),
        ("POST", "/ofrep/v2/evaluate/flags", 404, None),
    ],
)
async def test_other_methods_and_paths(method, path, status, allow):
    app = api(ops={"/livez": lambda: (200, b"{}", ())})
    async with client(app) as http:
        answer = await http.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allow)
    assert answer.json()["errorDetails"]


async def test_health_needs_no_token():
    app = api(access=ACCESS, ops={"/livez": lambda: (200, b"{}", ())})
    async with client(app) as http:
        assert (await http.get("/livez")).status_code == 200
        assert (await http.head("/livez")).content == b""


async def test_an_encoded_slash_is_part_of_the_key():
    answer = await post(api(), f"{FLAGS}/a%2Fb", json=CONTEXT)
    assert (answer.status_code, answer.json()["key"]) == (404, "a/b")
