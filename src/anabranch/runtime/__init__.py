"""The pipeline as a whole: four stages from specs and settings, on either runtime."""

from anabranch.runtime.embedded import EmbeddedPipeline
from anabranch.runtime.kafka import KafkaPipeline, kafka_client, kafka_worker
from anabranch.runtime.pipeline import Message, Pipeline, latest_values
from anabranch.runtime.stages import build_stages

__all__ = [
    "EmbeddedPipeline",
    "KafkaPipeline",
    "Message",
    "Pipeline",
    "build_stages",
    "kafka_client",
    "kafka_worker",
    "latest_values",
]
