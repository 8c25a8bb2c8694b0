"""What a worker tells Prometheus: declared once, documented, and true of what it has done."""

from __future__ import annotations

import ast
import re
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

import anabranch.processors
from anabranch.engine.disk import DiskStore
from anabranch.engine.stats import BATCH_SECONDS, TaskStats
from anabranch.web.health import health_app
from anabranch.web.metrics import CONTENT_TYPE, METRICS, Metric, render
from anabranch.web.metrics.registry import COUNTED, EVALUATIONS, Distribution
from anabranch.web.metrics.worker import WorkerMetrics
from tests.engine.processors import Count, counting, topics
from tests.support.clusters import EmbeddedCluster, KafkaCluster, drained, eventually
from tools import metricsdocs

LINE = re.compile(r'^(\w+)(?:\{((?:\w+="(?:[^"\\\n]|\\.)*",?)*)\})? (\S+)$')


def parse(text: str) -> dict[tuple[str, ...], float]:
    """``("name", "stage=assign", …)`` to value; every line must be of the format."""
    found: dict[tuple[str, ...], float] = {}
    for line in text.splitlines():
        if line.startswith("#"):
            assert re.match(r"^# (HELP|TYPE) \w+ .", line), line
            continue
        match = LINE.match(line)
        assert match, line
        labels = re.findall(r'(\w+)="((?:[^"\\]|\\.)*)"', match[2] or "")
        key = (match[1], *(f"{name}={value}" for name, value in labels))
        assert key not in found, f"told twice: {line}"
        found[key] = float(match[3])
    return found


def of(worker) -> dict[tuple[str, ...], float]:
    samples = WorkerMetrics(lambda: worker.hosts, clock=time.time, monotonic=time.monotonic)
    return parse(render(samples()))


def summed(found: dict[tuple[str, ...], float], name: str) -> float:
    return sum(value for key, value in found.items() if key[0] == name)


# -- declared once ----------------------------------------------------------------------------


def test_the_page_has_the_table_of_the_registry():
    text = metricsdocs.PAGE.read_text(encoding="utf-8")
    assert metricsdocs.page(text) == text, "run `python -m tools.metricsdocs`"


def test_names_are_unique_and_follow_the_conventions():
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"(anabranch|process)_[a-z_]+", metric.name)
        assert metric.name.endswith("_total") == (metric.kind == "counter"), metric.name
        assert metric.help.endswith("."), metric.name


def counted() -> set[str]:
    """Names that processors count, as their code has them."""
    names: set[str] = set()
    for path in Path(anabranch.processors.__file__).parent.glob("*.py"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        calls = [
            node
            for node in ast.walk(tree)
            if isinstance(node, ast.Call)
            and getattr(node.func, "attr", getattr(node.func, "id", "")) in {"count", "_count"}
        ]
        for call in calls:
            for argument in call.args:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    names.add(argument.value)
                if isinstance(argument, ast.JoinedStr):
                    names.add(str(getattr(argument.values[0], "value", "")))
        for loop in (node for node in ast.walk(tree) if isinstance(node, ast.For)):
            if any(call in ast.walk(loop) for call in calls):
                names |= {
                    pair.elts[0].value
                    for pair in ast.walk(loop.iter)
                    if isinstance(pair, ast.Tuple)
                    and isinstance(pair.elts[0], ast.Constant)
                    and isinstance(pair.elts[0].value, str)
                }
    return names


def test_whatever_a_processor_counts_is_declared_and_nothing_else():
    assert counted() == {*COUNTED, "evaluations:"}


# -- the format -------------------------------------------------------------------------------


def test_labels_and_help_are_escaped():
    odd = Metric("anabranch_partition_open", "gauge", "x", ("stage", "partition"))
    assert odd not in METRICS
    text = render([EVALUATIONS.of(3, "assign", 0, 'a "b"\\\n')])
    assert text.splitlines()[1:] == [
        "# TYPE anabranch_evaluations_total counter",
        r'anabranch_evaluations_total{stage="assign",partition="0",reason="a \"b\"\\\n"} 3',
    ]


def test_a_histogram_is_cumulative_and_ends_with_infinity():
    (metric,) = (m for m in METRICS if m.name == "anabranch_batch_seconds")
    text = render([metric.of(Distribution((0.1, 1.0), [3, 1, 2], 9.5), "gate")])
    assert text.splitlines()[2:] == [
        'anabranch_batch_seconds_bucket{stage="gate",le="0.1"} 3',
        'anabranch_batch_seconds_bucket{stage="gate",le="1.0"} 4',
        'anabranch_batch_seconds_bucket{stage="gate",le="+Inf"} 6',
        'anabranch_batch_seconds_sum{stage="gate"} 9.5',
        'anabranch_batch_seconds_count{stage="gate"} 6',
    ]


def test_a_value_needs_the_labels_that_its_metric_declares():
    with pytest.raises(ValueError, match="takes the labels"):
        EVALUATIONS.of(1, "assign")


@pytest.mark.parametrize(
    ("seconds", "place"), [(0.0, 0), (0.005, 0), (0.006, 1), (10.0, 10), (60.0, 11)]
)
def test_a_batch_is_counted_in_the_class_that_it_belongs_to(seconds, place):
    stats = TaskStats()
    stats.timed(seconds, 0.0)
    assert stats.durations.index(1) == place
    assert len(stats.durations) == len(BATCH_SECONDS) + 1


# -- true of a worker -------------------------------------------------------------------------


@pytest.fixture(params=["embedded", "kafka"])
async def cluster(request):
    if request.param == "embedded":
        made = EmbeddedCluster()
    else:
        made = KafkaCluster(
            request.getfixturevalue("kafka"), request.getfixturevalue("topic_prefix")
        )
    yield made
    await made.close()


async def test_a_worker_tells_what_it_has_done(cluster):
    stage = counting()
    await cluster.create(topics(), compact=["count-changelog"])
    worker = cluster.worker(stage)
    await worker.start()
    await worker.wait_ready()
    # Not before they are open: partitions that have read nothing know of no end yet.
    await cluster.produce("in", [(b"key-%d" % (i % 10), b"%d" % i) for i in range(100)])
    await cluster.produce("in", [(b"key-1", b"invalid")])
    await drained(cluster, stage)
    await eventually(lambda: summed(of(worker), "anabranch_records_total") == 101)
    await eventually(lambda: summed(of(worker), "anabranch_lag_records") == 0)

    found = of(worker)
    assert summed(found, "anabranch_dead_letters_total") == 1
    assert "anabranch_dead_letters_total" in {
        k[0] for k in found if "reason=MalformedEventError" in k
    }
    assert summed(found, "anabranch_written_records_total") == 101
    read = sum(len(record.value) for record in await cluster.read("in"))
    assert summed(found, "anabranch_read_bytes_total") == read > 0
    assert summed(found, "anabranch_partition_open") == 2
    assert summed(found, "anabranch_restores_total") == 2
    assert summed(found, "anabranch_state_entries") == 10 + 2  # and the format of each changelog
    assert summed(found, "anabranch_batch_seconds_count") == summed(
        found, "anabranch_batches_total"
    )
    assert summed(found, "anabranch_processing_seconds_total") > 0
    assert {key[2:] for key in found if key[0] == "anabranch_lag_records"} == {
        ("partition=0", "topic=in"),
        ("partition=1", "topic=in"),
    }
    sent = {key[3]: n for key, n in found.items() if key[0] == "anabranch_written_bytes_total"}
    if cluster.name == "kafka":
        assert set(sent) == {"topic=out", "topic=in.dlq", "topic=count-changelog"}
        assert all(size > 50 for size in sent.values())
    await worker.stop()


async def test_lag_grows_while_a_partition_stands_still():
    class Stuck(Count):
        def process(self, batch, state, cache, out) -> None:
            raise OSError("no")

    cluster, stage = EmbeddedCluster(), counting(Stuck)
    await cluster.create(topics(partitions=1))
    worker = cluster.worker(stage)
    await worker.start()
    await cluster.produce("in", [(b"k", b"%d" % n) for n in range(40)])
    await eventually(lambda: summed(of(worker), "anabranch_failures_total") > 0)
    assert summed(of(worker), "anabranch_lag_records") > 0
    await worker.kill()


async def test_what_was_counted_stays_when_the_partition_moves_away():
    cluster, stage = EmbeddedCluster(), counting()
    await cluster.create(topics())
    worker = cluster.worker(stage)
    await worker.start()
    await cluster.produce("in", [(b"key-%d" % n, b"v") for n in range(50)])
    await drained(cluster, stage)
    (host,) = worker.hosts
    await host.assign([0])
    assert summed(of(worker), "anabranch_records_total") == 50
    assert summed(of(worker), "anabranch_partition_open") == 1
    await host.assign([0, 1])
    await worker.wait_ready()
    found = of(worker)
    assert summed(found, "anabranch_records_total") == 50
    assert found["anabranch_restores_total", "stage=count", "partition=1"] == 2
    await worker.stop()


async def test_fences_and_watermarks_are_told():
    class Late(Count):
        def process(self, batch, state, cache, out) -> None:
            super().process(batch, state, cache, out)
            out.level("watermark", 1_000_000)

    cluster, stage = EmbeddedCluster(), counting(Late)
    await cluster.create(topics(partitions=1))
    worker = cluster.worker(stage)
    await worker.start()
    await cluster.produce("in", [(b"k", b"v")])
    await drained(cluster, stage)
    samples = WorkerMetrics(lambda: worker.hosts, clock=lambda: 1_030.0, monotonic=time.monotonic)
    found = parse(render(samples()))
    assert found["anabranch_watermark_delay_seconds", "stage=count", "partition=0"] == 30.0
    cluster.log.fence("t-count-0")
    await cluster.produce("in", [(b"k", b"v")])
    await eventually(lambda: summed(of(worker), "anabranch_fences_total") == 1)
    await worker.stop()


async def test_state_on_disk_is_told_in_bytes(tmp_path):
    stage = counting(make_store=lambda n: DiskStore(tmp_path / f"{n}.sqlite3"))
    cluster = EmbeddedCluster()
    await cluster.create(topics(partitions=1))
    worker = cluster.worker(stage)
    await worker.start()
    await cluster.produce("in", [(b"key-%d" % n, b"v") for n in range(500)])
    await drained(cluster, stage)
    found = of(worker)
    assert summed(found, "anabranch_state_bytes") > 4096
    assert summed(found, "anabranch_state_entries") == 0
    await worker.stop()


async def test_the_address_answers_in_prometheus_format():
    app = health_app(
        list,
        lambda: True,
        metrics=WorkerMetrics(list, clock=time.time, monotonic=time.monotonic, refused=lambda: 2),
    )
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://worker") as client:
        answer = await client.get("/metrics")
    assert (answer.status_code, answer.headers["content-type"]) == (200, CONTENT_TYPE)
    found = parse(answer.text)
    assert found["anabranch_refused_specs",] == 2
    assert Counter(key[0] for key in found)["anabranch_build_info"] == 1
    assert found["process_cpu_seconds_total",] > 0
