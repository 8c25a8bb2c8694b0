"""The broker that benchmarks run against."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from tools.devkafka import start


@contextmanager
def broker(bootstrap: str | None) -> Iterator[str]:
    """``host:port`` of the broker named, else of one started for the time of a ``with``."""
    named = bootstrap or os.environ.get("ANABRANCH_TEST_KAFKA")
    if named:
        yield named
        return
    with start() as found:
        yield found.bootstrap
