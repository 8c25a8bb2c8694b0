"""What the broker refuses is told with the right that is missing, and ends with exit code 3."""

from __future__ import annotations

import asyncio
import json
import os
import time
from dataclasses import replace
from pathlib import Path

import pytest

from anabranch.cli.app import run
from anabranch.demo import demo_catalog
from anabranch.runtime import KafkaPipeline, Message, build_stages, kafka_worker
from anabranch.settings import environment, load_settings
from anabranch.topology import choose_stages
from tests.pipeline.test_dead_letters import EXPERIMENT
from tests.security.broker import (
    PLAIN_PASSWORD,
    Right,
    SecuredBroker,
    grant,
    make_user,
    unsecured_token,
)
from tests.security.grants import documented
from tests.support.clusters import eventually

PASSWORD = "correct-horse-of-access"
EXPOSURE = json.dumps(
    {"experiment": EXPERIMENT, "version": "1.0.0", "variant": "control", "unit": "user:u"}
).encode()
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


# -- what we may do -------------------------------------------------------------------------------


def test_a_worker_says_which_topics_it_may_not_use_before_it_starts(secured, prefix, command):
    """Each of its topics in turn; exit code 3, as the shell of a deployment sees it."""
    rights = documented("every worker", "assign", prefix=prefix)
    topics = sorted({right.name for right in rights if right.resource == "topic"})
    assert len(topics) == 10
    for topic in topics:
        settings = user(secured, f"{prefix}-{topic}", *(r for r in rights if r.name != topic))
        code, _, err = command(settings | {"prefix": prefix}, "worker", "assign")
        assert code == 3
        assert (
            f"user {prefix}-{topic}-user may not DESCRIBE topic {topic} on {secured.login}" in err
        )
        assert "docs/security.md lists the rights of every stage and command" in err


TAKEN = {
    # The right that is taken away: what stays instead, what the worker must then say.
    "READ topic contexts.v1": "DESCRIBE",
    "WRITE topic assignments.v1": "DESCRIBE",
    "WRITE topic contexts.v1.dlq": "DESCRIBE",
    "READ group -assign": None,
    "WRITE transactional id -assign-": None,
    "READ topic attribute-changelog.v1": "WRITE",
    "WRITE topic attribute-changelog.v1": "READ",
}


@pytest.mark.parametrize("taken", TAKEN)
async def test_a_running_worker_names_the_right_it_misses(secured, prefix, caplog, taken):
    stage = "attribute" if "attribute" in taken else "assign"
    kept = [
        one
        for right in documented("every worker", stage, prefix=prefix)
        for one in _without(right, taken, prefix)
    ]
    assert len(kept) >= len(documented("every worker", stage, prefix=prefix)) - 1
    name = f"{prefix}-worker"
    await make_user(secured, name, PASSWORD)
    await grant(secured, f"User:{name}", kept)
    common = {"prefix": prefix, "partitions": 1, "session_timeout": 6}
    chosen = load_settings(**secured.scram(name, PASSWORD), **common)
    operation, resource = taken.split(" ", 1)
    missing = _full(resource, prefix)
    now = int(time.time() * 1000)
    async with KafkaPipeline(load_settings(bootstrap=secured.owner, **common)) as owner:
        await owner.create_topics()
        await owner.publish(
            [
                Message("contexts", None, b'{"userId": "u"}', (), now),
                Message("contexts", None, b"{", (), now),
                Message("attribute-changelog", b"k", b"{}", (), now),
                Message("observations", b"user:u", b"{}", (), now),
                Message("exposures", b"user:u", EXPOSURE, (), now),
            ]
        )
        worker = kafka_worker(build_stages(demo_catalog(), chosen, choose_stages([stage])), chosen)
        await worker.start()
        try:
            said = f"user {name} may not {operation} {missing}"
            await eventually(lambda: said in caplog.text, 20, repr(said))
        finally:
            await worker.stop()
            await owner.destroy()
    assert "Traceback" not in caplog.text
    assert PASSWORD not in caplog.text


def _full(resource: str, prefix: str) -> str:
    """``topic contexts.v1`` with the prefix of this test."""
    kind, name = resource.rsplit(" ", 1)
    return f"{kind} {prefix}{name if name.startswith('-') else '.' + name}"


def _without(right: Right, taken: str, prefix: str) -> list[Right]:
    operation, resource = taken.split(" ", 1)
    if (right.operation, f"{right.resource} {right.name}") != (operation, _full(resource, prefix)):
        return [right]
    instead = TAKEN[taken]
    return [replace(right, operation=instead)] if instead else []
