"""The embedded runtime: the same tasks over a log in this process. Nothing outlives it."""

from anabranch.engine.embedded.log import Log, StoredRecord
from anabranch.engine.embedded.port import EmbeddedPort
from anabranch.engine.embedded.worker import EmbeddedWorker

__all__ = ["EmbeddedPort", "EmbeddedWorker", "Log", "StoredRecord"]
