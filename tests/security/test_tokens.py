"""Where OAUTHBEARER's tokens come from: kept until nearly expired, never shown to anybody."""

from __future__ import annotations

import asyncio
import base64
import logging
import threading

import pytest

from anabranch.engine.kafka.tokens import ClientCredentials, TokenError, TokenFile
from tests.security.authorization import authorization_server

SECRET = "correct-horse/of: tokens&co"


@pytest.fixture
def server():
    with authorization_server() as told:
        told.grant("first-token")
        yield told


class Clock:
    now = 1000.0

    def __call__(self) -> float:
        return self.now


def credentials(server, **options) -> ClientCredentials:
    return ClientCredentials(server.url, "the client", SECRET, **options)


async def refusal(tokens) -> str:
    with pytest.raises(TokenError) as raised:
        await tokens.token()
    assert SECRET not in str(raised.value)
    assert raised.value.__cause__ is None, "a cause could hold the request"
    return str(raised.value)


# -- the client-credentials grant -----------------------------------------------------------------


async def test_it_asks_as_the_rfc_says(server):
    assert await credentials(server, scope="kafka write").token() == "first-token"
    ((path, authorization, body),) = server.asked
    scheme, encoded = authorization.split()
    assert (path, scheme) == ("/token", "Basic")
    # Section 2.3.1: both form-encoded, so that the colon between them is the only one.
    assert base64.b64decode(encoded) == b"the+client:correct-horse%2Fof%3A+tokens%26co"
    assert body == "grant_type=client_credentials&scope=kafka+write"


async def test_without_a_scope_the_server_chooses(server):
    await credentials(server).token()
    assert server.asked[0][2] == "grant_type=client_credentials"


async def test_a_token_is_kept_for_four_fifths_of_its_life(server):
    clock = Clock()
    tokens = credentials(server, clock=clock)
    server.grant("first-token", life=100)
    assert await tokens.token() == "first-token"
    server.grant("second-token", life=100)
    clock.now += 79
    assert await tokens.token() == "first-token"
    assert len(server.asked) == 1
    clock.now += 2
    assert await tokens.token() == "second-token"
    assert len(server.asked) == 2


async def test_an_old_token_serves_while_the_server_is_ill_and_it_is_said(server, caplog):
    clock = Clock()
    tokens = credentials(server, clock=clock)
    server.grant("first-token", life=100)
    await tokens.token()
    server.answer(503, {})
    clock.now += 90
    with caplog.at_level(logging.WARNING):
        assert await tokens.token() == "first-token"
    assert "HTTP 503" in caplog.text
    assert "using the token we have while it is valid" in caplog.text
    clock.now += 11
    assert "HTTP 503" in await refusal(tokens)
    server.grant("second-token")
    assert await tokens.token() == "second-token"


@pytest.mark.parametrize("life", [None, "soon", [1]])
async def test_a_life_that_is_no_number_is_taken_for_five_minutes(server, life):
    clock = Clock()
    tokens = credentials(server, clock=clock)
    server.grant("first-token", life)
    await tokens.token()
    clock.now += 0.8 * 300 - 1
    await tokens.token()
    assert len(server.asked) == 1
    clock.now += 2
    await tokens.token()
    assert len(server.asked) == 2


async def test_many_at_once_ask_once_and_from_any_loop(server):
    tokens = credentials(server)
    found: list[str] = []
    threads = [
        threading.Thread(target=lambda: found.append(asyncio.run(tokens.token()))) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    found += await asyncio.gather(*(tokens.token() for _ in range(8)))
    await asyncio.to_thread(lambda: [thread.join() for thread in threads])
    assert found == ["first-token"] * 16
    assert len(server.asked) == 1


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (401, {"error": "invalid_client"}, "HTTP 401, invalid_client"),
        (400, {"error": f"echo {SECRET}", "error_description": SECRET}, "HTTP 400."),
        (500, SECRET.encode(), "HTTP 500."),
        (200, {"access_token": "two words"}, "without a usable access_token"),
        (200, {"access_token": "line\r\nbreak"}, "without a usable access_token"),
        (200, {"access_token": 7}, "without a usable access_token"),
        (200, ["access_token"], "without a usable access_token"),
        (200, b"<html>", "without a usable access_token"),
        (200, b"\xff", "without a usable access_token"),
    ],
)
async def test_a_refusal_says_what_to_do(server, status, body, said):
    server.answer(status, body)
    message = await refusal(credentials(server))
    assert message.startswith(server.url)
    assert said in message
    if status != 200:
        assert "Check ANABRANCH_OAUTH_CLIENT_ID and ANABRANCH_OAUTH_CLIENT_SECRET" in message


@pytest.mark.parametrize("status", [302, 307])
async def test_a_redirect_is_not_followed_with_our_secret(server, status):
    server.answers = [(status, {}), (200, {"access_token": "stolen"})]
    assert f"HTTP {status}" in await refusal(credentials(server))
    assert [path for path, *_ in server.asked] == ["/token"]


async def test_nobody_listens():
    tokens = ClientCredentials("http://127.0.0.1:1/token", "me", SECRET)
    assert "http://127.0.0.1:1/token gives no token: [Errno " in await refusal(tokens)


# -- a file ---------------------------------------------------------------------------------------


async def test_a_file_is_read_again_when_it_changes(tmp_path):
    path = tmp_path / "token"
    path.write_text("first-token\n")
    tokens = TokenFile(path)
    assert await tokens.token() == "first-token"
    # As Kubernetes does it: another file under the same name.
    other = tmp_path / "other"
    other.write_text("second-token")
    other.replace(path)
    assert await tokens.token() == "second-token"


async def test_a_file_that_is_missing_for_a_moment_is_not_remembered_as_missing(tmp_path):
    path = tmp_path / "token"
    tokens = TokenFile(path)
    message = await refusal(tokens)
    assert (
        message == f"{path} (ANABRANCH_OAUTH_TOKEN_FILE) cannot be read: No such file or directory"
    )
    path.write_text("a-token")
    assert await tokens.token() == "a-token"


@pytest.mark.parametrize("text", [b"", b"correct-horse/of: tokens&co", b"\xc3\xa4", b"a\nb"])
async def test_a_file_that_holds_no_token(tmp_path, text):
    path = tmp_path / "token"
    path.write_bytes(text)
    message = await refusal(TokenFile(path))
    assert message == f"{path} (ANABRANCH_OAUTH_TOKEN_FILE) does not hold a bearer token"


async def test_a_broken_file_does_not_bring_the_old_token_back(tmp_path):
    path = tmp_path / "token"
    path.write_text("a-token")
    tokens = TokenFile(path)
    await tokens.token()
    path.write_text("not a token")
    await refusal(tokens)
    assert "does not hold" in await refusal(tokens), "also when asked again"


async def test_neither_shows_its_secret(server, tmp_path):
    path = tmp_path / "token"
    path.write_text("a-token")
    fetched, read = credentials(server), TokenFile(path)
    await fetched.token()
    await read.token()
    assert repr(fetched) == f"<ClientCredentials of {server.url}>"
    assert repr(read) == f"<TokenFile {path}>"
