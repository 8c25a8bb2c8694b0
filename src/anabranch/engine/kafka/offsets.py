"""Committed offsets of a group, or an error: never taken for missing when they cannot be told.

aiokafka's own ``committed`` does not look at the error of the answer as a whole, which is where a
coordinator says since KIP-88 that it is still loading its log. A group whose broker has just been
started again would look like one that has never committed anything, and would begin anew. Nor does
it ask for stable offsets (KIP-447), so that what a transaction has committed might not be there
yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from aiokafka import TopicPartition
from aiokafka.errors import (
    CoordinatorLoadInProgressError,
    CoordinatorNotAvailableError,
    GroupAuthorizationFailedError,
    KafkaError,
    NotCoordinatorError,
    for_code,
)
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Boolean,
    CompactArray,
    CompactString,
    Int16,
    Int32,
    Int64,
    Schema,
    TaggedFields,
)

from anabranch.engine.kafka import _private

if TYPE_CHECKING:
    from aiokafka import AIOKafkaConsumer

_UNSTABLE_OFFSET_COMMIT = 88
_BACKOFF = 0.05
_PATIENCE = 60.0


async def committed_offsets(
    consumer: AIOKafkaConsumer, group: str, partitions: Iterable[TopicPartition]
) -> Mapping[TopicPartition, int]:
    """Partition to committed offset; partitions of which none was ever committed are not there.

    Waits while the coordinator is being elected, loads its log or settles a transaction.

    Args:
        consumer: Started, of that group.
        group: Consumer group.
        partitions: Which ones.

    Raises:
        KafkaError: They cannot be told.
    """
    coordinator = _private.coordinator(consumer)
    by_topic: dict[str, list[int]] = {}
    for tp in partitions:
        by_topic.setdefault(tp.topic, []).append(tp.partition)
    request = _StableOffsets(group, by_topic)
    async with asyncio.timeout(_PATIENCE):
        while True:
            await coordinator.ensure_coordinator_known()
            try:
                return _read(await coordinator._send_req(request), group)  # noqa: SLF001
            except (NotCoordinatorError, CoordinatorNotAvailableError):
                coordinator.coordinator_dead()
            except (CoordinatorLoadInProgressError, _UnstableError):
                pass
            except KafkaError as error:
                if not error.retriable:
                    raise
            await asyncio.sleep(_BACKOFF)


class _UnstableError(KafkaError):  # type: ignore[misc]
    """A transaction that commits offsets has not ended yet."""

    retriable = True


def _read(answer: _Answer, group: str) -> Mapping[TopicPartition, int]:
    _check(answer.error_code, group)
    found: dict[TopicPartition, int] = {}
    for topic, partitions, _ in answer.topics:
        for partition, offset, _, _, error_code, _ in partitions:
            _check(error_code, group)
            if offset >= 0:
                found[TopicPartition(topic, partition)] = offset
    return found


def _check(code: int, group: str) -> None:
    if code == _UNSTABLE_OFFSET_COMMIT:
        raise _UnstableError
    if code:
        error = for_code(code)
        raise error(group) if error is GroupAuthorizationFailedError else error()


class _Answer(Response):  # type: ignore[misc]
    """OffsetFetch response, version 7."""

    API_KEY = 9
    API_VERSION = 7
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                (
                    "partitions",
                    CompactArray(
                        ("partition", Int32),
                        ("offset", Int64),
                        ("leader_epoch", Int32),
                        ("metadata", CompactString("utf-8")),
                        ("error_code", Int16),
                        ("tags", TaggedFields),
                    ),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("error_code", Int16),
        ("tags", TaggedFields),
    )


class _Question(RequestStruct):  # type: ignore[misc]
    """OffsetFetch request, version 7 (Kafka 2.5): the first that asks for stable offsets."""

    API_KEY = 9
    API_VERSION = 7
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        ("group", CompactString("utf-8")),
        (
            "topics",
            CompactArray(
                ("topic", CompactString("utf-8")),
                ("partitions", CompactArray(Int32)),
                ("tags", TaggedFields),
            ),
        ),
        ("require_stable", Boolean),
        ("tags", TaggedFields),
    )


class _StableOffsets(Request[_Question]):  # type: ignore[misc]
    API_KEY = 9

    def __init__(self, group: str, partitions: Mapping[str, list[int]]) -> None:
        self._group = group
        self._partitions = partitions

    def build(self, request_struct_class: type[_Question]) -> _Question:
        no_tags: dict[int, bytes] = {}
        topics = [(topic, numbers, no_tags) for topic, numbers in self._partitions.items()]
        return request_struct_class(self._group, topics, True, no_tags)
