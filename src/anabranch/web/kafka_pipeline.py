"""Offsets of the stages' groups on Kafka, over a connection that is made anew when it broke."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Final, Self

from aiokafka.errors import KafkaError

from anabranch.engine.kafka import KafkaClient, Topics
from anabranch.engine.place import Place
from anabranch.errors import KafkaUnavailableError
from anabranch.topology import STAGES, Names

__all__ = ["KafkaLook"]

PATIENCE: Final = 15.0
"""Seconds after which a broker that does not answer counts as away."""


class KafkaLook:
    """Looks at the places of all stages; an async context manager, called for each look.

    Needs the rights to describe the stages' groups and topics.

    Args:
        client: The brokers.
        prefix: First part of topic and group names.
    """

    def __init__(self, client: KafkaClient, prefix: str) -> None:
        self._client = client
        self._names = Names(prefix)
        self._open = contextlib.AsyncExitStack()
        self._topics: Topics | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def _close(self) -> None:
        """Let the connection go, even one that is broken already."""
        self._topics = None
        with contextlib.suppress(KafkaError, OSError):
            await self._open.aclose()

    async def __call__(self) -> list[Place]:
        """The places now.

        Raises:
            KafkaUnavailableError: No broker answers.
            KafkaAccessError: A right is missing.
        """
        try:
            async with asyncio.timeout(PATIENCE):
                if self._topics is None:
                    self._topics = await self._open.enter_async_context(Topics(self._client))
                return await self._places(self._topics)
        except (KafkaError, OSError) as error:
            await self._close()
            raise KafkaUnavailableError(
                f"no Kafka broker answers at {self._client.bootstrap}: "
                f"{type(error).__name__} {error}. It is asked again"
            ) from error

    async def _places(self, topics: Topics) -> list[Place]:
        found = []
        for shape in STAGES:
            logical = {self._names.topic(source): source for source in shape.sources}
            offsets = await topics.offsets(self._names.group(shape.name), logical)
            found += [
                Place(shape.name, logical[topic], partition, begin, end, position)
                for (topic, partition), (begin, end, position) in offsets.items()
            ]
        return found
