"""Free loopback ports that stay free while a broker is down."""

import random
import socket
from collections.abc import Collection
from itertools import islice

_RANGE = range(20_000, 32_000)
"""Below what Linux gives to outgoing connections (32768 and up): a client that reconnects to a
broker which is down could otherwise be given that very port and talk to itself."""


def free_pair() -> int:
    """A port that is free on loopback, as is the next one."""
    for port in random.sample(_RANGE, k=200):
        if is_free(port) and is_free(port + 1):
            return port
    raise OSError("no two neighbouring ports are free between 20000 and 32000")


def free_ports(count: int, *, apart_from: Collection[int] = ()) -> list[int]:
    """So many different ports that are free on loopback, none of them ``apart_from``."""
    shuffled = random.sample(_RANGE, k=len(_RANGE))
    found = list(islice((p for p in shuffled if p not in apart_from and is_free(p)), count))
    if len(found) < count:
        raise OSError(f"fewer than {count} ports are free between 20000 and 32000")
    return found


def is_free(port: int) -> bool:
    """Whether nothing listens on the port of the loopback interface."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True
