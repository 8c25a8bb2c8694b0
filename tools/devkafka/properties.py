"""Server settings of a single development node."""

from collections.abc import Mapping

DEFAULT_VERSION = "4.1.0"

_SINGLE_NODE = {
    "process.roles": "broker,controller",
    "node.id": "1",
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "PLAINTEXT",
    "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
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
    # The default of 128 MiB would be a quarter of the heap.
    "log.cleaner.dedupe.buffer.size": str(16 * 1024 * 1024),
}


def server_properties(
    *,
    bind: str,
    port: int,
    controller_port: int,
    data: str,
    extra: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """The settings of one KRaft node that clients reach at ``127.0.0.1:port``.

    Args:
        bind: Address that the listeners bind to.
        port: Port of clients.
        controller_port: Port of the node's own controller.
        data: Directory of the logs.
        extra: More settings, or other values.
    """
    return {
        **_SINGLE_NODE,
        "controller.quorum.voters": f"1@127.0.0.1:{controller_port}",
        "listeners": f"PLAINTEXT://{bind}:{port},CONTROLLER://127.0.0.1:{controller_port}",
        "advertised.listeners": f"PLAINTEXT://127.0.0.1:{port}",
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
