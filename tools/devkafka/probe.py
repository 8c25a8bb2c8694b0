"""Whether a broker answers, asked in Kafka's own protocol over a plain socket.

No client library: it must work from synchronous and asynchronous callers alike, and a client's
retries would hide what is asked here.
"""

import socket
import struct

_METADATA = 3
_VERSION = 1
_REQUEST = struct.pack(">hhih", _METADATA, _VERSION, 0, -1) + struct.pack(">i", 0)
"""Metadata request, version 1, no client id, no topics (https://kafka.apache.org/protocol)."""


def answers(bootstrap: str, *, timeout: float = 1.0) -> bool:
    """Whether the broker at ``host:port`` answers a metadata request and names itself in it."""
    host, _, port = bootstrap.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=timeout) as link:
            link.settimeout(timeout)
            link.sendall(struct.pack(">i", len(_REQUEST)) + _REQUEST)
            (size,) = struct.unpack(">i", _read(link, 4))
            _correlation, brokers = struct.unpack(">ii", _read(link, size)[:8])
    except (OSError, struct.error):
        return False
    return int(brokers) > 0


def _read(link: socket.socket, size: int) -> bytes:
    received = b""
    while len(received) < size:
        chunk = link.recv(size - len(received))
        if not chunk:
            raise ConnectionError("the broker closed the connection")
        received += chunk
    return received
