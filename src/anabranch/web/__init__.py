"""The dashboard: a live model of the output topics, and a small web application that shows it.

A feed from Kafka is in :mod:`anabranch.web.kafka_feed`; the rest needs no Kafka client.
"""

from anabranch.web.app import Info, create_app
from anabranch.web.board import Board
from anabranch.web.feed import Feed, FeedRecord, pump
from anabranch.web.server import serve, serving

__all__ = [
    "Board",
    "Feed",
    "FeedRecord",
    "Info",
    "create_app",
    "pump",
    "serve",
    "serving",
]
