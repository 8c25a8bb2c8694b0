"""The pipeline as a whole: four stages from specs and settings, on either runtime."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from anabranch.runtime.pipeline import Message, Pipeline, latest_values
from anabranch.runtime.specs import LiveCatalog

if TYPE_CHECKING:
    from anabranch.runtime.client import follow_specs, kafka_client
    from anabranch.runtime.embedded import EmbeddedPipeline
    from anabranch.runtime.kafka import KafkaPipeline, guard_experiments, kafka_worker
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

_WHERE = {
    "EmbeddedPipeline": "embedded",
    "KafkaPipeline": "kafka",
    "build_stages": "stages",
    "follow_specs": "client",
    "guard_experiments": "kafka",
    "kafka_client": "client",
    "kafka_worker": "kafka",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: stages and Faust take seconds that most commands can do without."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
