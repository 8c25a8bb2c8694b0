"""Server settings of a single development node."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

DEFAULT_VERSION = "4.1.0"

_SINGLE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    # One node cannot replicate, and few partitions keep start-up and recovery short.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "1",
    # A group starts at once instead of waiting three seconds for more members.
    "group.initial.rebalance.delay.ms": "0",
    # After kill -9 the node registers again only when its last registration has run out.
    "broker.session.timeout.ms": "4000",
    "broker.heartbeat.interval.ms": "1000",
    # A misspelt topic is an error, never a new topic.
    "auto.create.topics.enable": "false",
    # Tests write records of long ago, and retention, which looks after 30 s, goes by timestamps.
    "log.retention.ms": "-1",
    "log.initial.task.delay.ms": str(24 * 60 * 60 * 1000),
    # The default of 128 MiB would be a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}


@dataclass(frozen=True, slots=True)
class Listener:
    """Another way in, beside the plain one that the probe and the broker itself use.

    Attributes:
        name: Upper case, as Kafka's listener names are.
        protocol: SSL, SASL_SSL or SASL_PLAINTEXT.
        port: Where.
    """

    name: str
    protocol: str
    port: int


def server_properties(
    *,
    bind: str,
    port: int,
    controller_port: int,
    data: str,
    listeners: Sequence[Listener] = (),
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The settings of one KRaft node that clients reach at ``127.0.0.1:port``.

    Args:
        bind: Address that the listeners bind to.
        port: Port of clients.
        controller_port: Port of the node's own controller.
        data: Directory of the logs.
        listeners: More ways in.
        extra: More settings, or other values.
    """
    bound = [f"{one.name}://{bind}:{one.port}" for one in listeners]
    advertised = [f"{one.name}://127.0.0.1:{one.port}" for one in listeners]
    protocols = [f"{one.name}:{one.protocol}" for one in listeners]
    return {
        **_SINGLE_NODE,
        "listener.security.protocol.map": ",".join(
            ["PLAINTEXT:PLAINTEXT", "CONTROLLER:PLAINTEXT", *protocols]
        ),
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": ",".join(
            [f"PLAINTEXT://{bind}:{port}", f"CONTROLLER://127.0.0.1:{controller_port}", *bound]
        ),
        "advertised.listeners": ",".join([f"PLAINTEXT://127.0.0.1:{port}", *advertised]),
        "log.dirs": data,
        **(extra or {}),
    }


def as_file(properties: Mapping[str, str]) -> str:
    """The settings as a Java properties file."""
    return "".join(f"{name}={_escape(value)}\n" for name, value in properties.items())


def as_environment(properties: Mapping[str, str]) -> dict[str, str]:
    """The settings as the environment of the apache/kafka image: ``a.b-c`` is ``KAFKA_A_B__C``."""
    return {
        "KAFKA_" + name.upper().replace("_", "___").replace("-", "__").replace(".", "_"): value
        for name, value in properties.items()
    }


def _escape(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\n", "\\n")
