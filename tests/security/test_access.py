"""What the broker refuses is told with the right that is missing, and ends with exit code 3."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from anabranch.cli.app import run
from anabranch.settings import environment, load_settings
from tests.security.broker import (
    PLAIN_PASSWORD,
    Right,
    SecuredBroker,
    grant,
    make_user,
    unsecured_token,
)

PASSWORD = "correct-horse-of-access"
SENT = "correct-horse-of-a-token"


@pytest.fixture
def command(monkeypatch, capsys):
    """Runs a command of the CLI with settings from the environment: exit code, output, errors."""

    def running(settings: dict, *arguments: str) -> tuple[int, str, str]:
        for name in os.environ:
            if name.startswith("ANABRANCH_"):
                monkeypatch.delenv(name)
        for name, value in environment(load_settings(**settings)).items():
            monkeypatch.setenv(name, value)
        capsys.readouterr()
        code = run(list(arguments))
        out, err = capsys.readouterr()
        said = " ".join(err.split())
        assert "Traceback" not in said
        for secret in (PASSWORD, PLAIN_PASSWORD, SENT):
            assert secret not in out + err
        return code, out, said

    return running


def user(secured: SecuredBroker, prefix: str, *rights: Right) -> dict:
    """Settings of a new user with these rights."""
    name = f"{prefix}-user"

    async def made() -> None:
        await make_user(secured, name, PASSWORD)
        if rights:
            await grant(secured, f"User:{name}", rights)

    asyncio.run(made())
    return secured.scram(name, PASSWORD) | {"prefix": prefix, "partitions": 1}


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


# -- who we are -----------------------------------------------------------------------------------


LOGINS = {
    "a wrong password": (
        lambda s, _: s.scram("nobody", PASSWORD),
        "refuses the login of user nobody by SCRAM-SHA-512: ",
    ),
    "a wrong password sent plainly": (
        lambda s, _: s.scram("plain", PASSWORD, "PLAIN"),
        "refuses the login of user plain by PLAIN: ",
    ),
    "a token that nobody can read": (
        lambda s, _: s.oauth(oauth_token_file=__file__ + ".missing"),
        "cannot be read: No such file or directory",
    ),
    "an authority that did not sign the broker's certificate": (
        lambda s, _: s.plain() | {"ssl_cafile": s.certificates.stranger},
        "no TLS connection to",
    ),
    "the system's authorities": (
        lambda s, _: s.plain() | {"ssl_cafile": None},
        "no TLS connection to",
    ),
    "no certificate where one is asked for": (
        lambda s, _: s.certificate() | {"ssl_certfile": None, "ssl_keyfile": None},
        "alert bad certificate. Check ANABRANCH_SECURITY_PROTOCOL and the certificates",
    ),
    "a token of nobody": (
        lambda s, at: s.oauth(oauth_token_file=written(at / "token", SENT)),
        "refuses the login of the subject of our OAuth token by OAUTHBEARER: the token is not",
    ),
    "an expired token": (
        lambda s, at: s.oauth(
            oauth_token_file=written(at / "token", unsecured_token("app", life=-60))
        ),
        "the token is not accepted (invalid_token). Has it expired?",
    ),
    "plain text where TLS is spoken": (
        lambda s, _: {"bootstrap": s.login},
        "is PLAINTEXT what it speaks there? ANABRANCH_SECURITY_PROTOCOL says it",
    ),
    "TLS where plain text is spoken": (
        lambda s, _: s.plain() | {"bootstrap": s.owner},
        "ANABRANCH_SECURITY_PROTOCOL",
    ),
    "no login where one is asked for": (
        lambda s, _: {k: v for k, v in s.plain().items() if "sasl" not in k}
        | {"security_protocol": "SSL"},
        "is SSL what it speaks there? ANABRANCH_SECURITY_PROTOCOL says it",
    ),
    "a login where none is asked for": (
        lambda s, _: s.plain() | {"bootstrap": s.mutual},
        "ANABRANCH_SECURITY_PROTOCOL",
    ),
}  # fmt: skip


@pytest.mark.parametrize("login", LOGINS)
def test_a_refused_login_says_whose(secured, command, tmp_path, login):
    settings, said = LOGINS[login]
    code, out, err = command(settings(secured, tmp_path), "topics", "describe")
    assert code == 3
    assert said in err
    assert out == ""
