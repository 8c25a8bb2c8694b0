"""docs/observability.md: its snippet joins the trace, its line is one that a worker writes."""

from __future__ import annotations

import json
import logging
import re
from importlib.util import find_spec
from pathlib import Path

import pytest

from anabranch.cli.app import run
from anabranch.cli.logs import configure_logging
from anabranch.engine import Stage
from anabranch.runtime import EmbeddedPipeline, build_stages
from anabranch.runtime.pipeline import Message
from anabranch.settings import load_settings
from anabranch.specs import Catalog, ExperimentSpec
from tests.support.clusters import EmbeddedCluster, drained

PAGE = (Path(__file__).parents[2] / "docs/observability.md").read_text(encoding="utf-8")
TRACE = "0af7651916cd43dd8448eb211c80319c"


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    return found


@pytest.fixture
def restored():
    """Handlers and levels are the process's."""
    loggers = [logging.getLogger(name) for name in ("", "anabranch", "aiokafka")]
    handlers, levels = list(loggers[0].handlers), [one.level for one in loggers]
    yield
    configure_logging("info")
    loggers[0].handlers[:] = handlers
    for one, level in zip(loggers, levels, strict=True):
        one.setLevel(level)


def lines(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


@pytest.mark.skipif(find_spec("opentelemetry.sdk") is None, reason="the extra is not installed")
async def test_the_snippet_joins_the_trace_of_the_context():
    spec = ExperimentSpec.model_validate(
        {
            "meta": {"key": "shop.checkout", "version": 1},
            "controlVariant": "control",
            "variants": [{"id": "control"}, {"id": "short"}],
            "allocation": {"type": "random"},
        }
    )
    settings = load_settings(prefix="t", partitions=1)
    headers = [("traceparent", f"00-{TRACE}-b7ad6b7169203331-01".encode())]
    async with EmbeddedPipeline(build_stages(Catalog.of([spec]), settings), settings) as pipeline:
        await pipeline.publish([Message("contexts", None, b'{"userId": "ada"}', headers, None)])
        await pipeline.drain()
        [record] = await pipeline.records("assignments")
    known = {"record": record}
    exec(compile(block("python"), "docs/observability.md", "exec"), known)
    assert f"{known['span'].get_span_context().trace_id:032x}" == TRACE


async def test_the_line_is_one_that_a_worker_writes(restored, capsys):
    configure_logging("info", "json")

    class Fails:
        def process(self, batch, state, cache, out) -> None:
            if batch.sources["in"]:
                raise KeyError("plan")

    cluster = EmbeddedCluster()
    await cluster.create({"in": 1, "out": 1, "in.dlq": 1})
    await cluster.produce("in", [(b"k", b"v")])
    stage = Stage("assign", ("in",), ("out",), Fails)
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    shown = json.loads(block("json"))
    [written] = [line for line in lines(capsys) if "dead letters" in line["message"]]
    assert list(written) == list(shown)
    assert list(written["error"]) == list(shown["error"])
    assert written["level"] == shown["level"]
    assert written["logger"] == shown["logger"]


def test_the_error_that_ends_a_process_is_a_line(restored, capsys):
    assert run(["--log-format", "json", "worker", "nonsense"]) == 4
    [line] = lines(capsys)
    assert line["exit_code"] == 4
    assert "there is no stage 'nonsense'" in line["message"]
    assert "error" not in line, "what went wrong is said; a traceback is for --debug and defects"
