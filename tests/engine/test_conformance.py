"""What both runtimes promise. Not a line of it knows which one it runs on."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest
from aiokafka.partitioner import DefaultPartitioner

from anabranch.engine import MemoryStore, Outbox, Stage
from anabranch.engine.disk import DiskStore
from anabranch.errors import FencedError, MalformedEventError, StateFormatError
from tests.engine.processors import Count, Faulty, FirstSeen, Join, counting, topics
from tests.support.clusters import EmbeddedCluster, KafkaCluster, drained, eventually


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


SIDES = ("left", "right")


def numbered(keys: int, each: int) -> list[tuple[bytes, bytes]]:
    return [(b"key-%d" % (i % keys), b"%d" % i) for i in range(keys * each)]


def exactly_once(outputs, keys: int, each: int) -> None:
    """Every key's counts are 1, 2, … in order: nothing lost, nothing twice, order kept."""
    by_key: dict[bytes, list[int]] = {}
    for record in outputs:
        by_key.setdefault(record.key, []).append(int(record.value))
    assert by_key == {b"key-%d" % k: list(range(1, each + 1)) for k in range(keys)}


async def test_every_record_is_processed_once_and_in_order(cluster):
    stage = counting()
    await cluster.create(topics(), compact=["count-changelog"])
    await cluster.produce("in", numbered(10, 50))
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    exactly_once(await cluster.read("out"), 10, 50)
    stats = [task.stats for host in worker.hosts for task in host.tasks.values()]
    assert not stats, "a stopped host keeps no tasks"


async def test_key_timestamp_and_headers_reach_the_output(cluster):
    stage = counting()
    await cluster.create(topics())
    await cluster.produce("in", [(b"k", b"v", [("trace", b"1")])])
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    (source,) = await cluster.read("in")
    (output,) = await cluster.read("out")
    assert (output.key, output.value) == (b"k", b"1")
    assert list(output.headers) == [("trace", b"1")]
    assert output.timestamp == source.timestamp


async def test_state_is_restored_from_the_changelog(cluster):
    stage = counting()
    await cluster.create(topics(), compact=["count-changelog"])
    for _ in range(2):
        await cluster.produce("in", numbered(5, 10))
        worker = cluster.worker(stage)
        await worker.start()
        await drained(cluster, stage)
        await worker.stop()

    exactly_once(await cluster.read("out"), 5, 20)


async def test_deleted_state_stays_deleted_after_a_restart(cluster):
    stage = counting()
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    await cluster.produce("in", [(b"a", b""), (b"b", b""), (b"a", b"forget")])
    for _ in range(2):
        worker = cluster.worker(stage)
        await worker.start()
        await worker.wait_ready()
        await drained(cluster, stage)
        (task,) = worker.hosts[0].tasks.values()
        await eventually(task.ready.is_set)
        assert task.store.snapshot() == {b"b": b'{"n":1}'}
        await worker.stop()


async def test_state_on_disk_is_there_after_a_restart_without_reading_the_changelog(
    cluster, tmp_path
):
    stage = counting(make_store=lambda partition: DiskStore(tmp_path / f"{partition}.sqlite3"))
    await cluster.create(topics(partitions=2), compact=["count-changelog"])
    restored = []
    for _ in range(3):
        await cluster.produce("in", numbered(10, 5))
        worker = cluster.worker(stage)
        await worker.start()
        await worker.wait_ready()
        await drained(cluster, stage)
        restored.append(sum(t.stats.restored for t in worker.hosts[0].tasks.values()))
        await worker.stop()

    assert restored == [0, 0, 0]
    exactly_once(await cluster.read("out"), 10, 15)


async def test_state_on_disk_that_fell_behind_is_told_what_it_missed(cluster, tmp_path):
    on_disk = counting(make_store=lambda partition: DiskStore(tmp_path / f"{partition}.sqlite3"))
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    for stage in (on_disk, counting(), on_disk):
        await cluster.produce("in", numbered(10, 5))
        worker = cluster.worker(stage)
        await worker.start()
        await worker.wait_ready()
        await drained(cluster, stage)
        (task,) = worker.hosts[0].tasks.values()
        restored = task.stats.restored
        await worker.stop()

    assert 0 < restored <= 11, "the second worker's changes, not the first's"
    exactly_once(await cluster.read("out"), 10, 15)


async def test_a_crash_in_the_middle_is_mended_from_the_changelog_where_the_disk_is_behind(
    cluster, tmp_path
):
    class Forgetful(DiskStore):
        """Killed, by turns, before what was committed reached the disk."""

        writes = 0

        def apply(self, changes, position=None):
            Forgetful.writes += 1
            if Forgetful.writes % 3 == 0:
                raise RuntimeError("killed between the commit and the disk")
            super().apply(changes, position)

    stage = counting(
        max_records=7,
        make_store=lambda partition: Forgetful(tmp_path / f"{partition}.sqlite3"),
    )
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    await cluster.produce("in", numbered(10, 10))
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    assert Forgetful.writes > 10
    exactly_once(await cluster.read("out"), 10, 10)


async def test_an_older_changelog_is_read_and_a_newer_one_is_refused(cluster):
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    for version in (1, 2):
        stage = counting(state_format=version)
        await cluster.produce("in", numbered(3, 5))
        worker = cluster.worker(stage)
        await worker.start()
        await drained(cluster, stage)
        await worker.stop()
    exactly_once(await cluster.read("out"), 3, 10)

    await cluster.produce("in", numbered(3, 5))
    worker = cluster.worker(counting(state_format=1))
    with pytest.raises(StateFormatError, match=r"format 2, and this version .* up to 1"):
        await _started(worker)
    await worker.stop()
    assert await cluster.lag(counting()) == 15


async def _started(worker) -> None:
    await worker.start()
    await worker.wait_ready()


async def test_sources_are_read_in_step_as_far_as_both_are_there(cluster):
    seen: list[dict[str, list[int]]] = []

    class Watch:
        def process(self, batch, state, cache, out) -> None:
            seen.append({side: [r.timestamp for r in batch.sources[side]] for side in SIDES})

    stage = Stage("join", SIDES, ("out",), Watch, max_records=20, in_step=True)
    await cluster.create(dict.fromkeys((*SIDES, "out", "left.dlq", "right.dlq"), 1))
    left, right = range(1_000, 1_100), (1_030, 1_060, 1_999)
    await cluster.produce("left", [(b"k", b"l", (), at) for at in left])
    await cluster.produce("right", [(b"k", b"r", (), at) for at in right])
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    assert [at for batch in seen for at in batch["left"]] == list(left)
    assert [at for batch in seen for at in batch["right"]] == list(right)
    for n, batch in enumerate(seen):
        before = [at for earlier in seen[:n] for at in earlier["left"]]
        so_far = [*before, *batch["left"]]
        for at in batch["right"]:
            assert all(other <= at for other in before), "left ran ahead of right"
            assert len(so_far) == sum(other <= max(so_far) for other in left)
            assert max(so_far) >= min(at, left[-1]), "right ran ahead of left"


async def test_a_crash_in_the_middle_loses_nothing_and_repeats_nothing(cluster):
    stage = counting(max_records=7)
    await cluster.create(topics(), compact=["count-changelog"])
    await cluster.produce("in", numbered(10, 60))
    for committed in (70, 210, 350):
        worker = cluster.worker(stage)
        await worker.start()
        await eventually(lambda n=committed: _more_than(cluster, n), what="some progress")
        await worker.kill()

    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()
    exactly_once(await cluster.read("out"), 10, 60)


async def _more_than(cluster, count: int) -> bool:
    return len(await cluster.read("out")) > count


async def test_workers_share_partitions_and_take_over_from_each_other(cluster):
    stage = counting(max_records=10)
    await cluster.create(topics(partitions=4), compact=["count-changelog"])
    first, second = cluster.worker(stage), cluster.worker(stage)
    await first.start()
    await cluster.produce("in", numbered(20, 20))
    await second.start()
    await eventually(
        lambda: [len(w.hosts[0].tasks) for w in (first, second)] == [2, 2],
        what="two partitions each",
    )
    await cluster.produce("in", numbered(20, 20))
    await first.stop()
    await eventually(lambda: len(second.hosts[0].tasks) == 4, what="all four partitions")
    await cluster.produce("in", numbered(20, 20))
    await drained(cluster, stage)
    await second.stop()

    exactly_once(await cluster.read("out"), 20, 60)


@pytest.mark.parametrize("after", [0.0, 0.02, 0.1, 0.2, 0.4])
async def test_a_worker_that_is_stopped_while_it_starts_does_stop(cluster, after):
    """Two at once, so that one is stopped while the group waits for the other."""
    stage = counting()
    await cluster.create(topics(partitions=2), compact=["count-changelog"])
    workers = [cluster.worker(stage) for _ in range(2)]
    for worker in workers:
        await worker.start()
    await asyncio.sleep(after)
    for worker in workers:
        async with asyncio.timeout(20):  # a session that must time out takes longer than that
            await worker.stop()


async def test_a_second_owner_fences_the_first(cluster):
    stage = counting()
    await cluster.create(topics(partitions=1))
    await cluster.produce("in", [(b"k", b"v")])
    old, new = cluster.port(stage, 0), cluster.port(stage, 0)
    try:
        for port in (old, new):
            await port.open()
            await port.restore(MemoryStore(), lambda: None)
        outbox = Outbox({})
        outbox.send("out", b"k", b"from the zombie")
        with pytest.raises(FencedError):
            await old.commit(outbox, {b"k": b"zombie"}, {"in": 1})

        outbox = Outbox({})
        outbox.send("out", b"k", b"from the owner")
        await new.commit(outbox, {}, {"in": 1})
    finally:
        await old.close()
        await new.close()

    assert [r.value for r in await cluster.read("out")] == [b"from the owner"]
    assert await cluster.read("count-changelog") == []


async def test_a_fenced_task_takes_the_partition_back_while_it_is_the_owner(cluster):
    stage = counting()
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    worker = cluster.worker(stage)
    await worker.start()
    await worker.wait_ready()
    intruder = cluster.port(stage, 0)
    await intruder.open()
    await intruder.close()
    await cluster.produce("in", numbered(3, 5))
    await drained(cluster, stage)
    (task,) = worker.hosts[0].tasks.values()
    assert task.stats.fenced == 1
    await worker.stop()

    exactly_once(await cluster.read("out"), 3, 5)


async def test_a_cancellation_that_a_client_lets_out_does_not_end_the_task(cluster, monkeypatch):
    """aiokafka does so when it is closed, or loses its broker, with requests on their way."""
    stage = counting()
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    worker = cluster.worker(stage)
    await worker.start()
    await worker.wait_ready()
    (task,) = worker.hosts[0].tasks.values()
    polls = task._port.poll
    escaped = iter([True, True])

    async def poll(limit, wait):
        if next(escaped, False):
            raise asyncio.CancelledError
        return await polls(limit, wait)

    monkeypatch.setattr(task._port, "poll", poll)
    await eventually(lambda: task.stats.failures == 2, what="two cancellations")
    await cluster.produce("in", numbered(3, 5))
    await drained(cluster, stage)
    assert task.stats.failures == 2
    await worker.stop()

    exactly_once(await cluster.read("out"), 3, 5)


async def test_a_failing_batch_is_dropped_whole_and_tried_again(cluster):
    failures = iter([True, True, True])

    def fault(_batch) -> None:
        if next(failures, False):
            raise RuntimeError("a dependency is down")

    stage = counting(lambda: Faulty(fault))
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    await cluster.produce("in", numbered(4, 10))
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    exactly_once(await cluster.read("out"), 4, 10)
    assert await cluster.read("in.dlq") == []


async def test_a_record_that_always_raises_becomes_a_dead_letter_alone(cluster):
    def fault(batch) -> None:
        if any(r.value == b"poison" for r in batch.sources["in"]):
            raise ZeroDivisionError("cannot divide by this record")

    stage = counting(lambda: Faulty(fault))
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    messages = numbered(4, 10)
    messages.insert(17, (b"key-1", b"poison"))
    await cluster.produce("in", messages)
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    exactly_once(await cluster.read("out"), 4, 10)
    (letter,) = await cluster.read("in.dlq")
    headers = dict(letter.headers)
    assert (letter.key, letter.value) == (b"key-1", b"poison")
    assert headers["__streams.errors.exception"] == b"ZeroDivisionError"
    assert headers["__streams.errors.message"] == b"cannot divide by this record"
    assert b"Traceback" in headers["__streams.errors.stacktrace"]
    assert headers["__streams.errors.topic"].endswith(b".in")
    assert headers["__streams.errors.partition"] == b"0"
    assert headers["__streams.errors.offset"] == b"17"


async def test_an_invalid_record_is_a_dead_letter_and_disturbs_nothing(cluster):
    stage = counting()
    await cluster.create(topics(), compact=["count-changelog"])
    await cluster.produce("in", numbered(3, 4))
    await cluster.produce("in", [(b"key-1", b"invalid", [("ce_id", b"7")])])
    await cluster.produce("in", numbered(3, 4))
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    exactly_once(await cluster.read("out"), 3, 8)
    (letter,) = await cluster.read("in.dlq")
    headers = dict(letter.headers)
    assert (letter.key, letter.value, headers["ce_id"]) == (b"key-1", b"invalid", b"7")
    assert headers["__streams.errors.exception"] == b"MalformedEventError"
    assert headers["__streams.errors.message"] == b"value: it says so itself"


async def test_a_dropped_batch_leaves_nothing_in_the_cache(cluster):
    failures = iter([True])

    def fault(_batch) -> None:
        if next(failures, False):
            raise RuntimeError("once")

    stage = counting(lambda: FirstSeen(fault))
    await cluster.create(topics(partitions=1))
    await cluster.produce("in", [(b"a", b"1"), (b"b", b"2"), (b"a", b"3")])
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    assert [r.value for r in await cluster.read("out")] == [b"1", b"2"]


async def test_keys_partition_as_any_kafka_client_partitions_them(cluster):
    stage = counting()
    await cluster.create(topics(partitions=3), compact=["count-changelog"])
    keys = [b"user:%d" % i for i in range(200)]
    await cluster.produce("in", [(key, b"") for key in keys])
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    partitioner, numbers = DefaultPartitioner(), [0, 1, 2]
    outputs = await cluster.read("out")
    assert len(outputs) == 200
    for record in outputs:
        assert record.partition == partitioner(record.key, numbers, numbers)


async def test_a_stage_joins_two_co_partitioned_sources(cluster):
    stage = Stage("join", ("left", "right"), ("out",), Join, changelog="join-changelog")
    names = ("left", "right", "out", "left.dlq", "right.dlq", "join-changelog")
    await cluster.create(dict.fromkeys(names, 3), compact=["join-changelog"])
    worker = cluster.worker(stage)
    await worker.start()
    await cluster.produce("left", [(b"%d" % i, b"L%d" % i) for i in range(60)])
    await cluster.produce("right", [(b"%d" % i, b"R%d" % i) for i in reversed(range(60))])
    await drained(cluster, stage)
    await worker.stop()

    joined = Counter(r.value for r in await cluster.read("out"))
    assert joined == Counter(b"L%dR%d" % (i, i) for i in range(60))


async def test_stages_chain_in_one_worker(cluster):
    first = counting(name="first")
    second = Stage("second", ("out",), ("last",), _Relay, changelog=None)
    await cluster.create(topics(name="first") | {"out.dlq": 2, "last": 2})
    await cluster.produce("in", numbered(6, 30))
    worker = cluster.worker(first, second)
    await worker.start()
    await drained(cluster, first, second)
    await worker.stop()

    exactly_once(await cluster.read("last"), 6, 30)


class _Relay:
    async def process(self, batch, state, cache, out) -> None:
        await asyncio.sleep(0)
        for record in batch.sources["out"]:
            out.send("last", record.key, record.value)


async def test_outputs_larger_than_one_record_batch_all_arrive(cluster):
    class Inflate:
        def process(self, batch, state, cache, out) -> None:
            for record in batch.sources["in"]:
                out.send("out", record.key, record.value * 50_000)

    stage = counting(Inflate)
    await cluster.create(topics(partitions=1))
    await cluster.produce("in", [(b"k", b"%010d" % i) for i in range(10)])
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    await worker.stop()

    values = [r.value for r in await cluster.read("out")]
    assert values == [(b"%010d" % i) * 50_000 for i in range(10)]


async def test_what_a_task_did_is_counted_only_once_committed(cluster):
    failures = iter([True, True])

    def fault(_batch) -> None:
        if next(failures, False):
            raise RuntimeError("not yet")

    stage = counting(lambda: Faulty(fault))
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    await cluster.produce("in", numbered(2, 10))
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    (task,) = worker.hosts[0].tasks.values()
    assert task.stats.records == 20
    assert task.stats.counters == {"counted": 20}
    assert task.stats.failures == 2
    await worker.stop()


async def test_a_flood_of_dead_letters_pauses_the_partition_until_it_is_mended(cluster):
    """A broken deploy must not drain a topic into the dead letters."""
    broken = True

    class Deploy(Count):
        def process(self, batch, state, cache, out) -> None:
            if not broken:
                return super().process(batch, state, cache, out)
            for record in batch.sources["in"]:
                out.dead_letter(record, MalformedEventError("the new version reads nothing"))
            return None

    stage = counting(Deploy, max_records=50)
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    await cluster.produce("in", numbered(10, 40))
    worker = cluster.worker(stage)
    await worker.start()
    await worker.wait_ready()
    (task,) = worker.hosts[0].tasks.values()
    await eventually(lambda: task.paused, what="the breaker to open")
    dead = len(await cluster.read("in.dlq"))
    assert dead < 100
    assert f"of the last {dead + 50}" in task.paused

    broken = False
    await drained(cluster, stage)
    assert task.paused is None
    assert len(await cluster.read("out")) == 400 - dead
    assert len(await cluster.read("in.dlq")) == dead
    await worker.stop()


async def test_a_few_dead_letters_pause_nothing(cluster):
    stage = counting()
    await cluster.create(topics(partitions=1), compact=["count-changelog"])
    messages = numbered(10, 40)
    for n in range(0, 400, 3):
        messages.insert(n, (b"k", b"invalid"))
    await cluster.produce("in", messages)
    worker = cluster.worker(stage)
    await worker.start()
    await drained(cluster, stage)
    (task,) = worker.hosts[0].tasks.values()
    assert task.stats.pauses == 0
    assert task.stats.dead_letters == 134
    await worker.stop()
