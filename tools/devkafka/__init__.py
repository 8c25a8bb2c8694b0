"""A real Apache Kafka broker for development and tests: one node, loopback only, thrown away.

    with start() as broker:
        ...  # broker.bootstrap is "127.0.0.1:PORT"

Where it comes from, in this order (:func:`start`): a broker that ``ANABRANCH_TEST_KAFKA`` names,
a Docker engine that answers, Java 17+ with Maven. ``python -m tools.devkafka`` runs one in the
foreground.

Neither needs anything of the package itself, so that a broken checkout can still start a broker.
"""

from tools.devkafka.broker import Broker, ExternalBroker, LocalBroker, start
from tools.devkafka.errors import DevKafkaError, DevKafkaMissingError
from tools.devkafka.properties import DEFAULT_VERSION

__all__ = [
    "DEFAULT_VERSION",
    "Broker",
    "DevKafkaError",
    "DevKafkaMissingError",
    "ExternalBroker",
    "LocalBroker",
    "start",
]
