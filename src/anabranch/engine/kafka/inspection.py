"""What a broker says of itself, its topics, groups and our rights; it changes no record.

The one thing tried rather than asked is a transaction that is aborted: under ids that no worker
has, so that nobody is fenced.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, Self

from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import KafkaError, for_code
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.transaction import (
    AddPartitionsToTxnRequest,
    EndTxnRequest,
    InitProducerIdRequest,
)

from anabranch.engine.kafka.admin import Topics, patiently
from anabranch.engine.kafka.client import KafkaClient
from anabranch.engine.kafka.requests import DescribeGroups, DescribeTransactions, Metadata

__all__ = ["Group", "Inspection", "TopicFacts", "Trial"]

_UNKNOWN_TOPIC = 3
_REFUSED = {29, 30, 31, 53}
_PATIENCE = {14, 15, 16, 51}
"""Coordinator loading, not there yet or elsewhere; a transaction still being ended."""
_OPERATIONS = {
    3: "READ",
    4: "WRITE",
    5: "CREATE",
    6: "DELETE",
    7: "ALTER",
    8: "DESCRIBE",
    10: "DESCRIBE_CONFIGS",
    11: "ALTER_CONFIGS",
}
_TRANSACTION = 1


@dataclass(frozen=True, slots=True)
class TopicFacts:
    """A topic as the broker has it.

    Attributes:
        partitions: How many.
        replicas: Of the partition that has fewest.
        short: Partitions with fewer replicas in sync than they should have.
        leaderless: Partitions that nobody leads.
        operations: What we may do: ``READ``, ``WRITE``, ….
    """

    partitions: int
    replicas: int
    short: int
    leaderless: int
    operations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Group:
    """A consumer group: ``Stable``, ``Empty``, ``Dead`` where there is none, …."""

    state: str
    members: int
    operations: frozenset[str]


@dataclass(frozen=True, slots=True)
class Trial:
    """How a transaction went that was begun and aborted.

    Attributes:
        failure: What the broker said no with; None when it went well.
        refused: Whether that was a missing right.
        skew: Seconds that the coordinator's clock is ahead of ours, at least; None if not known.
        took: Seconds.
    """

    failure: str | None = None
    refused: bool = False
    skew: float | None = None
    took: float = 0.0


@dataclass(slots=True)
class Inspection:
    """Questions to a broker over one connection; an async context manager.

    Args:
        client: The brokers.
        clock: Seconds since the epoch, to be held against the coordinator's.

    Raises:
        KafkaUnavailableError: On entering, when no broker answers.
        KafkaAccessError: On entering, when our login is refused.
    """

    client: KafkaClient
    clock: Callable[[], float]
    topics: Topics = field(init=False)

    def __post_init__(self) -> None:
        self.topics = Topics(self.client)

    async def __aenter__(self) -> Self:
        await self.topics.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.topics.__aexit__()

    async def _send(self, request: Any, node: int | None = None) -> Any:
        return await self.topics.send(request, node)

    async def brokers(self) -> int:
        """How many brokers there are."""
        return len((await self._send(Metadata([]))).brokers)

    async def versions(self) -> dict[int, tuple[int, int]]:
        """Kind of request to the lowest and highest version that the broker takes."""
        answer = await self._send(ApiVersionRequest())
        return {key: (low, high) for key, low, high in answer.api_versions}

    async def describe(self, names: Iterable[str]) -> tuple[dict[str, TopicFacts], list[str]]:
        """Facts of those that are there, and those that we may not even look at."""
        answer = await self._send(Metadata(sorted(names)))
        found: dict[str, TopicFacts] = {}
        hidden = []
        for code, name, _, partitions, operations in answer.topics:
            if code in _REFUSED:
                hidden.append(name)
            elif code == 0:
                found[name] = TopicFacts(
                    partitions=len(partitions),
                    replicas=min((len(p[4]) for p in partitions), default=0),
                    short=sum(len(p[5]) < len(p[4]) for p in partitions),
                    leaderless=sum(p[2] < 0 for p in partitions),
                    operations=_operations(operations),
                )
            elif code != _UNKNOWN_TOPIC:
                raise for_code(code)(name)
        return found, hidden

    async def configs(self, names: Iterable[str]) -> tuple[dict[str, dict[str, str]], list[str]]:
        """Configuration of topics, and those whose configuration we may not see."""
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in sorted(names)]
        if not resources:
            return {}, []
        found: dict[str, dict[str, str]] = {}
        hidden = []
        for answer in await self.topics.admin.describe_configs(resources):
            for code, _, _, name, entries in answer.resources:
                if code in _REFUSED:
                    hidden.append(name)
                elif code == 0:
                    found[name] = {entry[0]: entry[1] for entry in entries}
                else:
                    raise for_code(code)(name)
        return found, hidden

    async def group(self, name: str) -> Group | None:
        """A consumer group; None where we may not look at it."""

        async def look() -> Any:
            node = await self.topics.admin.find_coordinator(name)
            found = (await self._send(DescribeGroups([name]), node)).groups[0]
            if found[0] in _PATIENCE:
                raise for_code(found[0])(name)
            return found

        code, _, state, _, _, members, operations = await patiently(look)
        if code in _REFUSED:
            return None
        if code:
            raise for_code(code)(name)
        return Group(state, len(members), _operations(operations))

    async def try_transaction(self, transactional_id: str, topic: str) -> Trial:
        """Begin one that would write to the topic's first partition, look at it, abort it."""
        began = self.clock()

        async def coordinator() -> int:
            node: int = await self.topics.admin.find_coordinator(transactional_id, _TRANSACTION)
            return node

        try:
            node = await patiently(coordinator)
            opened = await self._ask(InitProducerIdRequest(transactional_id, 10_000), node)
            if opened.error_code:
                return _failed(opened.error_code)
            who = (transactional_id, opened.producer_id, opened.producer_epoch)
            before = self.clock()
            added = await self._ask(AddPartitionsToTxnRequest(*who, [(topic, [0])]), node)
            after = self.clock()
            code = max(_codes(added))
            if code:
                return _failed(code)
            try:
                described = await self._send(DescribeTransactions([transactional_id]), node)
            finally:
                ended = await self._ask(EndTxnRequest(*who, False), node)
        except KafkaError as error:
            return Trial(failure=f"{type(error).__name__}: {error}")
        if ended.error_code:
            return _failed(ended.error_code)
        started = described.transactions[0][4] / 1000
        # The broker's time is in whole milliseconds.
        skew = min(0.0, started + 0.001 - before) + max(0.0, started - after)
        return Trial(skew=skew, took=self.clock() - began)

    async def _ask(self, request: Any, node: int) -> Any:
        """Again while the coordinator is still busy with what was before."""
        for attempt in range(50):
            answer = await self._send(request, node)
            if attempt == 49 or not _PATIENCE & _codes(answer):
                return answer
            await asyncio.sleep(0.1)
        raise AssertionError


def _codes(answer: Any) -> set[int]:
    errors = getattr(answer, "errors", None)
    if errors is not None:
        return {code for _, parts in errors for _, code in parts}
    return {answer.error_code}


def _failed(code: int) -> Trial:
    return Trial(failure=for_code(code).__name__, refused=code in _REFUSED)


def _operations(bits: int) -> frozenset[str]:
    return frozenset(name for code, name in _OPERATIONS.items() if bits >> code & 1)
