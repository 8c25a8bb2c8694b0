"""How to reach the brokers, and the clients a task needs, with the settings that matter."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient

from anabranch.engine.kafka._private import Consumer
from anabranch.engine.kafka.security import Security

MAX_BATCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class KafkaClient:
    """Where the brokers are and how sure of a live peer the clients are.

    Attributes:
        bootstrap: ``host:port``, several separated by commas.
        transaction_timeout: Seconds after which the broker aborts a transaction left open.
        session_timeout: Seconds without a heartbeat after which a worker is taken for dead.
        security: How every client proves who it is and whom it trusts.
    """

    bootstrap: str
    transaction_timeout: float = 30.0
    session_timeout: float = 10.0
    security: Security = field(default_factory=Security)

    def producer(self, transactional_id: str) -> AIOKafkaProducer:
        """A transactional producer that sends a batch the moment it is there.

        Kafka 4 answers CONCURRENT_TRANSACTIONS for some milliseconds after a commit; aiokafka's
        default back-off of 100 ms would cost most of the throughput.
        """
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            transactional_id=transactional_id,
            transaction_timeout_ms=int(self.transaction_timeout * 1000),
            linger_ms=0,
            max_batch_size=MAX_BATCH_BYTES,
            retry_backoff_ms=5,
            **self.security.for_aiokafka(),
        )

    def consumer(self, group: str | None = None, **settings: Any) -> AIOKafkaConsumer:
        """A consumer of committed records that joins no group; partitions are assigned by hand."""
        merged: dict[str, Any] = {
            "enable_auto_commit": False,
            "isolation_level": "read_committed",
            "auto_offset_reset": "none",
            "fetch_max_wait_ms": 100,
            "max_partition_fetch_bytes": 2 * MAX_BATCH_BYTES,
            "retry_backoff_ms": 20,
            **settings,
        }
        return Consumer(
            bootstrap_servers=self.bootstrap,
            group_id=group,
            **merged,
            **self.security.for_aiokafka(),
        )

    def plain_producer(self) -> AIOKafkaProducer:
        """An idempotent producer, for applications, replays and tests."""
        return AIOKafkaProducer(
            bootstrap_servers=self.bootstrap,
            enable_idempotence=True,
            linger_ms=5,
            max_batch_size=MAX_BATCH_BYTES,
            max_request_size=16 * MAX_BATCH_BYTES,
            **self.security.for_aiokafka(),
        )

    def admin(self) -> AIOKafkaAdminClient:
        """An admin client; start and close it."""
        return AIOKafkaAdminClient(bootstrap_servers=self.bootstrap, **self.security.for_aiokafka())
