"""Lines of JSON, what they are about, and what never stands in them."""

from __future__ import annotations

import json
import logging
from typing import get_args

import pytest
from pydantic import SecretStr

from anabranch.cli.logs import _SECRET, configure_logging, hide
from anabranch.engine import Stage
from anabranch.engine.context import ABOUT
from anabranch.errors import SettingsError
from anabranch.settings import Settings
from tests.support.clusters import EmbeddedCluster, drained

log = logging.getLogger("anabranch.test")


@pytest.fixture(autouse=True)
def restored():
    """Handlers and levels are the process's."""
    root = logging.getLogger()
    loggers = [root, logging.getLogger("anabranch"), logging.getLogger("aiokafka")]
    handlers, levels = list(root.handlers), [one.level for one in loggers]
    yield
    configure_logging("info")
    root.handlers[:] = handlers
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)


def fail(why: str) -> None:
    raise ValueError(why)


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def test_each_line_is_an_object(capsys):
    configure_logging("info", "json")
    log.info("hello %s", "wörld\nand more", extra={"topic": "contexts"})
    log.debug("not told")
    [line] = lines(capsys)
    time = line.pop("time")
    assert time.endswith("Z")
    assert len(time) == len("2026-01-31T12:00:00.000Z")
    assert line == {
        "level": "info",
        "logger": "anabranch.test",
        "message": "hello wörld\nand more",
        "topic": "contexts",
    }


def test_an_error_has_its_traceback_in_a_field(capsys):
    configure_logging("info", "json")
    try:
        fail("it says so itself")
    except ValueError:
        log.exception("it failed")
    [line] = lines(capsys)
    assert line["level"] == "error"
    assert line["error"]["type"] == "ValueError"
    assert line["error"]["message"] == "it says so itself"
    assert "Traceback" in line["error"]["stacktrace"]


def test_what_json_cannot_hold_is_told_as_text(capsys):
    configure_logging("info", "json")
    log.info("there", extra={"at": object(), "raw": b"x"})
    [line] = lines(capsys)
    assert line["raw"] == "b'x'"
    assert line["at"].startswith("<object")


def test_what_a_line_is_about_is_in_fields(capsys):
    configure_logging("info", "json")
    token = ABOUT.set(lambda: {"request_id": "r-1"})
    log.info("within")
    ABOUT.reset(token)
    log.info("after")
    within, after = lines(capsys)
    assert within["request_id"] == "r-1"
    assert "request_id" not in after


def test_an_unknown_layout_is_refused():
    with pytest.raises(SettingsError, match="log format 'xml': choose text or json"):
        configure_logging("info", "xml")


# -- a worker's lines -------------------------------------------------------------------------


class Fussy:
    """Raises at one record; warns before."""

    def process(self, batch, state, cache, out) -> None:
        for record in batch.sources["in"]:
            if record.value == b"bad":
                log.warning("a bad one")
                raise ValueError("it says so itself")


async def test_a_line_of_a_worker_says_stage_topic_partition_and_offset(capsys):
    configure_logging("info", "json")
    cluster = EmbeddedCluster()
    await cluster.create({"in": 1, "out": 1, "in.dlq": 1})
    await cluster.produce("in", [(b"k", b"good"), (b"k", b"bad"), (b"k", b"good")])
    stage = Stage("fussy", ("in",), ("out",), Fussy)
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    told = lines(capsys)
    place = {"stage": "fussy", "partition": 0, "topic": "t.in"}
    [dead] = [line for line in told if "dead letters" in line["message"]]
    assert dead.items() >= {**place, "offset": 1, "level": "error"}.items()
    [dropped] = [line for line in told if "dropped a batch of 3" in line["message"]]
    assert dropped.items() >= {**place, "offset": 0, "records": 3}.items()
    within = [line for line in told if line["message"] == "a bad one"]
    assert within
    assert all(line.items() >= place.items() and "offset" in line for line in within)


async def test_a_line_between_batches_says_where_the_task_goes_on(capsys):
    configure_logging("debug", "json")
    cluster = EmbeddedCluster()
    await cluster.create({"a": 1, "b": 1, "a.dlq": 1, "b.dlq": 1})

    class Nothing:
        def process(self, batch, state, cache, out) -> None:
            del batch

    stage = Stage("idle", ("a", "b"), (), Nothing)
    worker = cluster.worker(stage)
    await worker.start()
    await worker.wait_ready()
    await worker.stop()
    [opened] = [line for line in lines(capsys) if "opened" in line["message"]]
    assert opened["topic"] == ["t.a", "t.b"]
    assert opened["offset"] == [0, 0]


# -- secrets ----------------------------------------------------------------------------------


def secret_fields() -> list[str]:
    return [
        name
        for name, field in Settings.model_fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    ]


def test_every_secret_setting_is_known_for_one():
    assert "sasl_password" in secret_fields()
    assert "serve_tokens" in secret_fields()
    for name in secret_fields():
        assert _SECRET.search(f"ANABRANCH_{name.upper()}"), f"{name} would be logged"
    for name in set(Settings.model_fields) - set(secret_fields()):
        assert not _SECRET.search(f"ANABRANCH_{name.upper()}"), f"{name} is no secret"


@pytest.mark.parametrize("layout", ["text", "json"])
def test_secrets_are_in_no_line(layout, monkeypatch, capsys):
    monkeypatch.setenv("ANABRANCH_SASL_PASSWORD", 'correct "horse" ä')
    monkeypatch.setenv("ANABRANCH_SERVE_TOKENS", '["0123456789abcdef", "fedcba9876543210"]')
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_HEADERS", "x-key=collector-key")
    configure_logging("debug", layout)
    hide(["from-a-file-0123"])
    log.info("logging in as %r", {"password": 'correct "horse" ä'})
    log.info("sent %s", b"\x00user\x00fedcba9876543210")
    log.info("sent %s", 'correct "horse" ä'.encode())
    log.info("tokens 0123456789abcdef and from-a-file-0123, key collector-key")
    log.info("authorization: Bearer abc.def-ghi", extra={"header": "bearer abc.def-ghi"})
    try:
        fail("refused: fedcba9876543210")
    except ValueError:
        log.exception("it failed")
    told = capsys.readouterr().err
    for secret in ("horse", "0123456789abcdef", "fedcba", "from-a-file", "collector-key", "abc.d"):
        assert secret not in told
    assert told.count("***") >= 6
    assert "it failed" in told
