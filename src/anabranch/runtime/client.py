"""Where the brokers are and what is kept there: for whoever runs no stages, so without Faust."""

from __future__ import annotations

from anabranch.engine.kafka.admin import TopicSettings
from anabranch.engine.kafka.client import KafkaClient
from anabranch.errors import SettingsError
from anabranch.runtime.security import kafka_security
from anabranch.runtime.spec_logs import KafkaSpecsLog
from anabranch.runtime.specs import Following, LiveCatalog
from anabranch.settings import Settings
from anabranch.topology import TOPICS, Names

__all__ = ["follow_specs", "kafka_client", "topic_settings"]


def kafka_client(settings: Settings) -> KafkaClient:
    """The brokers that the settings name.

    Raises:
        SettingsError: They name none, or a certificate that cannot be used.
    """
    if settings.bootstrap is None:
        raise SettingsError(
            "no Kafka broker is named: give --bootstrap HOST:PORT or set ANABRANCH_BOOTSTRAP"
        )
    return KafkaClient(
        settings.bootstrap,
        transaction_timeout=settings.transaction_timeout,
        session_timeout=settings.session_timeout,
        security=kafka_security(settings),
    )


def follow_specs(live: LiveCatalog, settings: Settings, *, buries: bool = True) -> Following:
    """Takes the specs topic into the catalog; enter it before a worker of its stages starts.

    Args:
        live: Told what the topic says.
        settings: Brokers and prefix.
        buries: Whether refused records go to the dead letters; needs the right to write there.
    """
    log = KafkaSpecsLog(kafka_client(settings), Names(settings.prefix), buries=buries)
    return Following(live, log)


def topic_settings(settings: Settings, *, keep_all: bool = False) -> list[TopicSettings]:
    """Every topic as it should be on the broker.

    Args:
        settings: Prefix and partitions.
        keep_all: Without time limits. Brokers delete by record timestamp, so events of long ago
            would be gone within minutes.
    """
    names = Names(settings.prefix)
    unlimited = {"retention.ms": "-1"} if keep_all else {}
    return [
        TopicSettings(names.topic(topic.name), settings.partitions, topic.config() | unlimited)
        for topic in TOPICS
    ]
