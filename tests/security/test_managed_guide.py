"""docs/guides/managed-kafka.md: its settings are whole, and its rights and commands are enough."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import re
import shlex

import pytest

from anabranch.cli.app import run
from anabranch.security_settings import SecuritySettings
from anabranch.settings import environment, load_settings
from anabranch.topology import TOPICS
from tests.docs import guides
from tests.security.broker import Right, grant, make_user

PAGE = guides.text("managed-kafka")
PASSWORD = "correct-horse-of-the-service"
FILES = {
    block.split("\n", 1)[0].removeprefix("# "): block
    for block in guides.blocks(PAGE, "sh")
    if block.startswith("# ")
}


def granted(prefix: str) -> list[Right]:
    """The rights of the page's commands, for another prefix."""
    (block,) = (b for b in guides.blocks(PAGE, "sh") if b.startswith("kafka-acls"))
    parser = argparse.ArgumentParser()
    parser.add_argument("--operation", action="append")
    parser.add_argument("--resource-pattern-type")
    for kind in ("topic", "group", "transactional-id"):
        parser.add_argument(f"--{kind}")
    rights = []
    for line in block.replace("\\\n", "").splitlines():
        given, rest = parser.parse_known_args(shlex.split(line)[1:])
        assert rest == ["--add", "--allow-principal", "User:anabranch"]
        ((kind, name),) = (
            (kind, name)
            for kind in ("topic", "group", "transactional_id")
            if (name := getattr(given, kind))
        )
        rights += [
            Right(
                kind.replace("_", " "),
                prefix + name.removeprefix("anabranch"),
                given.resource_pattern_type,
                operation,
            )
            for operation in given.operation
        ]
    return rights


@pytest.mark.parametrize("name", FILES)
def test_settings_of_services_do_not_contradict_each_other(name, monkeypatch):
    for variable in [v for v in os.environ if v.startswith("ANABRANCH_")]:
        monkeypatch.delenv(variable)
    for variable, value in re.findall(r"^(ANABRANCH_\w+)=(.+)$", FILES[name], re.MULTILINE):
        monkeypatch.setenv(variable, value)
    chosen = load_settings()
    assert chosen.bootstrap.rpartition(":")[2].isdigit()
    security = SecuritySettings()
    assert security.security_protocol in {"SASL_SSL", "SSL"}
    assert (security.sasl_password is None) == (security.ssl_certfile is not None)


def test_there_are_settings_of_four_services():
    assert [name.removesuffix(".env") for name in FILES] == [
        "confluent",
        "msk",
        "aiven",
        "aiven-certificate",
        "redpanda",
    ]


def test_what_the_page_says_of_topics():
    assert f"| {len(TOPICS)} topics of one number" in PAGE
    assert f"{len(TOPICS)} topics: 16 partitions each are {16 * len(TOPICS)}" in PAGE
    most = max(topic.max_bytes or 0 for topic in TOPICS)
    assert f"more than {most:,} bytes" in PAGE
    assert f"up to {most:,} bytes" in PAGE
    assert {t.name for t in TOPICS if t.cleanup == "compact,delete"} == {
        "assignments",
        "metric-windows",
    }


def test_the_steps_are_enough_on_a_broker_that_asks_for_rights(
    secured, prefix, monkeypatch, capsys
):
    user = f"{prefix}-managed"

    async def made() -> None:
        await make_user(secured, user, PASSWORD)
        await grant(secured, f"User:{user}", granted(prefix))

    asyncio.run(made())
    for variable in [v for v in os.environ if v.startswith("ANABRANCH_")]:
        monkeypatch.delenv(variable)
    chosen = load_settings(**secured.scram(user, PASSWORD), prefix=prefix)
    for variable, value in environment(chosen).items():
        monkeypatch.setenv(variable, value)
    guides.follow(PAGE.replace('"anabranch.specs', f'"{prefix}.specs'), capsys)
    assert run(["doctor", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    levels = {(f["check"], f["level"]) for f in report["findings"]}
    for check in ("topics", "configuration", "rights", "transactions", "versions"):
        assert (check, "ok") in levels, report
    for command in (["list"], ["history"], ["dlq", "list"]):
        assert run([*command, "--json"]) == 0
