"""The Kafka runtime: Faust for membership and lifecycle, one transactional task a partition."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from anabranch.engine.kafka.admin import Topics, TopicSettings
    from anabranch.engine.kafka.client import KafkaClient
    from anabranch.engine.kafka.port import KafkaPort
    from anabranch.engine.kafka.worker import KafkaWorker

__all__ = ["KafkaClient", "KafkaPort", "KafkaWorker", "TopicSettings", "Topics"]

_WHERE = {
    "KafkaClient": "client",
    "KafkaPort": "port",
    "KafkaWorker": "worker",
    "TopicSettings": "admin",
    "Topics": "admin",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for: Faust takes a second, which only workers should wait for."""
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_WHERE[name]}"), name)
