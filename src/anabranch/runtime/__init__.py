"""The pipeline as a whole: four stages from specs and settings, on either runtime."""

from anabranch.runtime.embedded import EmbeddedPipeline
from anabranch.runtime.kafka import (
    KafkaPipeline,
    follow_specs,
    guard_experiments,
    kafka_client,
    kafka_worker,
)
from anabranch.runtime.pipeline import Message, Pipeline, latest_values
from anabranch.runtime.specs import LiveCatalog
from anabranch.runtime.stages import build_stages

__all__ = [
    "EmbeddedPipeline",
    "KafkaPipeline",
    "LiveCatalog",
    "Message",
    "Pipeline",
    "build_stages",
    "follow_specs",
    "guard_experiments",
    "kafka_client",
    "kafka_worker",
    "latest_values",
]
