"""PLAIN, SCRAM-SHA-256, OAUTHBEARER and mutual TLS: a context in, an assignment out.

All at debug level, with a failure among it: no secret is in any log or dead letter.
"""

from __future__ import annotations

import base64
import logging
import time
from pathlib import Path

import pytest

from anabranch.cli.app import run
from anabranch.demo import demo_catalog
from anabranch.runtime import (
    KafkaPipeline,
    LiveCatalog,
    Message,
    build_stages,
    follow_specs,
    kafka_worker,
)
from anabranch.settings import environment, load_settings
from anabranch.topology import choose_stages
from tests.security.authorization import authorization_server
from tests.security.broker import PLAIN_PASSWORD, grant, make_user, unsecured_token
from tests.security.certificates import KEY_PASSWORD
from tests.security.grants import documented
from tests.support.clusters import eventually

EXAMPLE = Path(__file__).parents[2] / "examples" / "onboarding"
PASSWORD = "correct-horse-of-mechanisms"
CLIENT_SECRET = "correct-horse-of-the-client"


@pytest.fixture
async def way_in(request, secured, prefix, tmp_path):
    """Settings, the broker's name for whoever has them, and what nobody may see."""
    way = request.param
    if way == "PLAIN":
        yield secured.plain(), "User:plain", [PLAIN_PASSWORD]
    elif way == "SCRAM-SHA-256":
        await make_user(secured, prefix, PASSWORD, way)
        yield secured.scram(prefix, PASSWORD, way), f"User:{prefix}", [PASSWORD]
    elif way == "mutual TLS":
        files = {"ssl_keyfile": secured.certificates.locked_key, "ssl_key_password": KEY_PASSWORD}
        yield secured.certificate() | files, "User:CN=mutual", [KEY_PASSWORD]
    elif way == "a token of a server":
        with authorization_server() as server:
            token = unsecured_token(prefix)
            server.grant(token)
            settings = secured.oauth(
                oauth_token_url=server.url,
                oauth_client_id="anabranch",
                oauth_client_secret=CLIENT_SECRET,
            )
            yield settings, f"User:{prefix}", [token, CLIENT_SECRET]
            # The worker, what follows the specs, the application: not once a connection.
            assert len(server.asked) == 3
    else:
        path = tmp_path / "token"
        path.write_text(unsecured_token(prefix))
        yield secured.oauth(oauth_token_file=path), f"User:{prefix}", [path.read_text()]


WAYS = ["PLAIN", "SCRAM-SHA-256", "a token of a server", "a token in a file", "mutual TLS"]


@pytest.mark.parametrize("way_in", WAYS, indirect=True)
async def test_a_context_in_an_assignment_out_and_no_secret_anywhere(
    way_in, secured, prefix, caplog
):
    for logger in ("", "aiokafka", "anabranch"):  # commands set the levels of theirs
        caplog.set_level(logging.DEBUG, logger)
    settings, principal, secrets = way_in
    await grant(secured, principal, documented("every worker", "assign", prefix=prefix))
    await grant(secured, principal, documented("applications", prefix=prefix))
    common = {"prefix": prefix, "partitions": 1, "session_timeout": 6}
    chosen = load_settings(**settings, **common)
    now = int(time.time() * 1000)
    async with KafkaPipeline(load_settings(bootstrap=secured.owner, **common)) as owner:
        await owner.create_topics()
        live = LiveCatalog(demo_catalog())
        stages = build_stages(live, chosen, choose_stages(["assign"]))
        worker = kafka_worker(stages, chosen)
        async with follow_specs(live, chosen), KafkaPipeline(chosen) as application:
            await worker.start()
            try:
                await application.publish(
                    [
                        Message("contexts", None, b"{", [("trace", b"7")], now),
                        Message("contexts", None, b'{"userId": "u"}', (), now),
                    ]
                )
                await eventually(lambda: application.records("assignments"))
            finally:
                await worker.stop()
        (letter,) = await owner.records("contexts.dlq")
        written = [letter, *await owner.records("assignments"), *await owner.records("exposures")]
        await owner.destroy()
    told = caplog.text + "".join(f"{r.key} {r.value} {r.headers}" for r in written)
    told += repr((chosen, worker, stages))
    assert "SaslAuthenticate" in caplog.text or way_is_tls(settings), "debug logs were on"
    for secret in secrets:
        assert_hidden(secret, told)


def way_is_tls(settings: dict) -> bool:
    return settings["security_protocol"] == "SSL"


def assert_hidden(secret: str, told: str) -> None:
    """Neither as it is nor in base64, at whatever place of a longer text that began."""
    assert secret not in told
    for shift in range(3):
        encoded = base64.b64encode(b"\0" * shift + secret.encode()).decode()
        # The first and the last group may hold bits of the neighbours.
        assert encoded[4 : len(encoded) // 4 * 4 - 4] not in told


def test_the_search_would_find_them():
    for shift in range(3):
        header = base64.b64encode(b"x" * shift + PASSWORD.encode() + b"tail").decode()
        with pytest.raises(AssertionError):
            assert_hidden(PASSWORD, f"Authorization: Basic {header}")


DEBUG_FAILURES = {
    "wrong password, PLAIN": lambda s, at: s.scram("plain", PASSWORD, "PLAIN"),
    "wrong password, SCRAM": lambda s, at: s.scram("nobody", PASSWORD),
    "refused token": lambda s, at: s.oauth(oauth_token_file=written(at / "token", PASSWORD)),
    "refused secret": lambda s, at: s.oauth(
        oauth_token_url="http://127.0.0.1:1/token",
        oauth_client_id="me",
        oauth_client_secret=PASSWORD,
    ),
    "wrong key password": lambda s, at: (
        s.certificate() | {"ssl_keyfile": s.certificates.locked_key, "ssl_key_password": PASSWORD}
    ),
    "no rights": lambda s, at: s.plain(),
}


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


@pytest.mark.parametrize("failure", DEBUG_FAILURES)
def test_a_failed_command_shows_no_secret_with_its_traceback(
    secured, tmp_path, monkeypatch, capsys, failure
):
    """With ``--debug``: the logs of the libraries, and the traceback."""
    chosen = load_settings(**DEBUG_FAILURES[failure](secured, tmp_path))
    for name, value in environment(chosen).items():
        monkeypatch.setenv(name, value)
    replay = ["replay", str(EXAMPLE / "events.jsonl"), "--specs", str(EXAMPLE / "specs"), "--json"]
    code = run(["--debug", *replay])
    out, err = capsys.readouterr()
    assert code == (4 if failure == "wrong key password" else 3), err
    assert "Traceback" in err, "it was asked for"
    assert "DEBUG aiokafka" in err or code == 4, "debug logs were on"
    for secret in (PASSWORD, PLAIN_PASSWORD):
        assert_hidden(secret, out + err)
