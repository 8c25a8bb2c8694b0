"""The development broker: it answers, keeps what was committed, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
import time
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import UnknownTopicOrPartitionError

from tools.devkafka import DevKafkaError, DevKafkaMissingError, LocalBroker, start
from tools.devkafka.broker import EXTERNAL
from tools.devkafka.ports import free_pair, free_ports, is_free
from tools.devkafka.probe import answers
from tools.devkafka.properties import Listener, as_environment, as_file, server_properties

GUARD = Path(__file__).parents[2] / "tools/devkafka/guard.py"


async def create(bootstrap: str, topic: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
    finally:
        await admin.close()


async def produce(bootstrap: str, topic: str, *values: bytes) -> None:
    async with AIOKafkaProducer(bootstrap_servers=bootstrap, acks="all") as producer:
        for value in values:
            await producer.send_and_wait(topic, value)


@asynccontextmanager
async def transactional(bootstrap: str, name: str):
    producer = AIOKafkaProducer(bootstrap_servers=bootstrap, transactional_id=name)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


async def committed(bootstrap: str, topic: str) -> list[bytes]:
    """Values of partition 0 that read_committed consumers see."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bootstrap, isolation_level="read_committed")
    await consumer.start()
    try:
        partition = TopicPartition(topic, 0)
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        values = []
        while await consumer.position(partition) < end:
            batches = await consumer.getmany(partition, timeout_ms=200)
            values += [record.value for records in batches.values() for record in records]
        return values
    finally:
        await consumer.stop()


@pytest.fixture(scope="module")
def own_broker(kafka: str):
    """A broker that may be killed; ``kafka`` is asked for so that its rules of skipping hold."""
    try:
        broker = LocalBroker()
    except DevKafkaMissingError as missing:
        pytest.skip(str(missing))
    with broker:
        broker.start()
        yield broker


# -- the broker of the session ------------------------------------------------------------------


async def test_the_broker_answers_and_keeps_records(kafka, topic_prefix):
    assert answers(kafka)
    topic = f"{topic_prefix}.kept"
    await create(kafka, topic)
    await produce(kafka, topic, b"one", b"two")
    assert await committed(kafka, topic) == [b"one", b"two"]


async def test_a_committed_transaction_is_seen_and_an_aborted_one_is_not(kafka, topic_prefix):
    topic = f"{topic_prefix}.transactions"
    await create(kafka, topic)
    async with transactional(kafka, f"{topic_prefix}-writer") as producer:
        async with producer.transaction():
            await producer.send(topic, b"committed")
        await producer.begin_transaction()
        await producer.send_and_wait(topic, b"aborted")
        await producer.abort_transaction()
    assert await committed(kafka, topic) == [b"committed"]


async def test_a_topic_nobody_created_is_an_error(kafka, topic_prefix):
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        (described,) = await admin.describe_topics([f"{topic_prefix}.misspelt"])
        assert described["error_code"] == UnknownTopicOrPartitionError.errno
    finally:
        await admin.close()


# -- a broker of one's own ----------------------------------------------------------------------


async def test_committed_records_survive_kill_9_and_restart(own_broker):
    topic = "survivors"
    await create(own_broker.bootstrap, topic)
    async with (
        transactional(own_broker.bootstrap, "survivor") as producer,
        producer.transaction(),
    ):
        await producer.send(topic, b"before the kill")
    first = own_broker.pid

    await asyncio.to_thread(own_broker.kill)
    assert not own_broker.running
    assert not answers(own_broker.bootstrap)
    await asyncio.to_thread(own_broker.start)

    assert own_broker.pid != first
    await produce(own_broker.bootstrap, topic, b"after it")
    assert await committed(own_broker.bootstrap, topic) == [b"before the kill", b"after it"]


def test_a_stopped_process_hangs_and_goes_on(own_broker):
    own_broker.signal(signal.SIGSTOP)
    try:
        assert silent(own_broker.bootstrap)
    finally:
        own_broker.signal(signal.SIGCONT)
    assert answers(own_broker.bootstrap, timeout=10.0)


def silent(bootstrap: str) -> bool:
    """Whether it stops answering; a busy thread may still be running when the signal is sent."""
    return any(not answers(bootstrap, timeout=0.5) for _ in range(20))


def test_stop_is_orderly_and_close_leaves_nothing(own_broker):
    own_broker.stop()
    assert own_broker.pid is None
    assert "shut down completed" in own_broker.log.read_text()
    own_broker.stop()
    with pytest.raises(DevKafkaError, match="not running"):
        own_broker.signal(signal.SIGTERM)
    own_broker.close()
    assert not own_broker.directory.exists()


def test_a_broker_that_cannot_start_says_why(own_broker):
    with pytest.raises(DevKafkaError, match=r"transaction\.max\.timeout\.ms"):
        start_with({"transaction.max.timeout.ms": "0"})


def start_with(extra):
    with LocalBroker(extra=extra) as broker:
        broker.start()


# -- where it comes from ------------------------------------------------------------------------


def test_the_named_broker_is_used(kafka, monkeypatch):
    monkeypatch.setenv(EXTERNAL, kafka)
    with start() as broker:
        assert broker.bootstrap == kafka
    assert answers(kafka), "closing does not end a broker that was not started here"


def test_a_named_broker_that_does_not_answer_is_an_error(monkeypatch):
    nowhere = f"127.0.0.1:{free_pair()}"
    monkeypatch.setenv(EXTERNAL, nowhere)
    with pytest.raises(DevKafkaError, match=nowhere):
        start()


def test_without_docker_java_and_maven_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.delenv(EXTERNAL, raising=False)
    monkeypatch.delenv("JAVA_HOME", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DevKafkaMissingError, match=r"Java 17\+ and Maven.*ANABRANCH_TEST_KAFKA"):
        start()


def test_settings_are_written_for_java_and_for_the_image():
    settings = server_properties(
        bind="127.0.0.1", port=1, controller_port=2, data="/d", extra={"num.partitions": "3"}
    )
    assert "auto.create.topics.enable=false\n" in as_file(settings)
    assert "num.partitions=3\n" in as_file(settings)
    assert as_environment({"a.b-c_d": "v"}) == {"KAFKA_A_B__C___D": "v"}


def test_more_ways_in_are_beside_the_plain_one():
    settings = server_properties(
        bind="0.0.0.0",
        port=1,
        controller_port=2,
        data="/d",
        listeners=[Listener("LOGIN", "SASL_SSL", 3)],
    )
    assert settings["listeners"].split(",")[-1] == "LOGIN://0.0.0.0:3"
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:1,LOGIN://127.0.0.1:3"
    assert settings["listener.security.protocol.map"].endswith(",LOGIN:SASL_SSL")


def test_ports_of_listeners_are_different_and_free():
    taken = set(free_ports(5))
    assert len(taken) == 5
    assert all(map(is_free, taken))
    with pytest.raises(OSError, match="fewer than 1 ports are free"):
        free_ports(1, apart_from=range(20_000, 32_000))


def test_ports_are_a_free_pair_outside_the_ephemeral_range():
    port = free_pair()
    assert 1024 < port < 32_000
    assert is_free(port)
    assert is_free(port + 1)


# -- nothing is left behind ---------------------------------------------------------------------


def gone(pid: int) -> bool:
    """Whether the process ended within five seconds (a zombie has: only nobody asked for it)."""
    for _ in range(100):
        try:
            if psutil.Process(pid).status() == psutil.STATUS_ZOMBIE:
                return True
        except psutil.NoSuchProcess:
            return True
        time.sleep(0.05)
    return False


# Starts a guarded `sleep`, tells its pid, and waits to be killed.
STARTER = """
import subprocess, sys, time
guard = subprocess.Popen(
    [sys.executable, sys.argv[1], "--remove=" + sys.argv[2], "--", "sleep", "60"],
    stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True,
)
print(guard.pid, guard.stdout.readline(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_the_process_and_its_data_go_with_whoever_started_it(tmp_path, number):
    data = tmp_path / "data"
    data.mkdir()
    with subprocess.Popen(
        [sys.executable, "-c", STARTER, str(GUARD), str(data)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    ) as starter:
        guard, child = map(int, starter.stdout.readline().split())
        starter.send_signal(number)
    assert gone(child)
    assert gone(guard)
    assert not data.exists()


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is of Linux")
def test_the_process_goes_with_its_guard():
    with subprocess.Popen(
        [sys.executable, str(GUARD), "--", "sleep", "60"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as guard:
        child = int(guard.stdout.readline())
        guard.kill()
    assert gone(child)
