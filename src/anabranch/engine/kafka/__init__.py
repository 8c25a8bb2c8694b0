"""The Kafka runtime: Faust for membership and lifecycle, one transactional task a partition."""

from anabranch.engine.kafka.admin import Topics, TopicSettings
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.port import KafkaPort
from anabranch.engine.kafka.worker import KafkaWorker

__all__ = ["KafkaClient", "KafkaPort", "KafkaWorker", "TopicSettings", "Topics"]
