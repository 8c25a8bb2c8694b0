"""Publishes specs, on either runtime: one transaction, and one publisher at a time.

All publishers of a prefix share one transactional id. Whoever begins fences whoever was at it, and
then reads what the topic says; so what is written was held against all that was written before.
A publisher that was fenced begins again, and is told if its own specs were changed meanwhile.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable, Sequence
from typing import Protocol

from aiokafka.errors import KafkaError, ProducerFenced

from anabranch.engine.embedded import Log
from anabranch.engine.kafka import KafkaClient, access
from anabranch.engine.kafka.transactions import transact, transactional
from anabranch.engine.murmur2 import partition_of
from anabranch.engine.outbox import Entry
from anabranch.errors import FencedError, OutcomeUnknownError
from anabranch.lifecycle import (
    AuditEntry,
    Publication,
    Published,
    Specs,
    decode_audit,
    encode_audit,
    encode_spec,
    fold,
)
from anabranch.processors.protocol import Record
from anabranch.runtime.spec_logs import read_all
from anabranch.specs import Catalog
from anabranch.topology import Names

__all__ = ["EmbeddedSpecStore", "KafkaSpecStore", "SpecStore"]

_ATTEMPTS = 20


class SpecStore(Protocol):
    """The specs topic and its audit."""

    async def look(self) -> Published:
        """What they say now."""
        ...

    async def publish(self, publication: Publication, audit: Sequence[AuditEntry]) -> None:
        """Write a publication and its audit, all or nothing.

        Raises:
            PublishConflictError: Its keys have changed since; nothing was written.
            SpecReferenceError: Its references do not hold any more; nothing was written.
        """
        ...


class EmbeddedSpecStore:
    """The topics of an in-process log.

    Args:
        log: With the topics created.
        names: Prefix of the topics.
        files: Specs that workers have in files.
    """

    def __init__(self, log: Log, names: Names, files: Catalog | None = None) -> None:
        self._log = log
        self._names = names
        self._files = files or Catalog()

    async def look(self) -> Published:
        return self._look()

    def _look(self) -> Published:
        topics = (self._names.topic(name) for name in ("specs", "audit"))
        return _published(self._files, *map(self._log.all, topics))

    async def publish(self, publication: Publication, audit: Sequence[AuditEntry]) -> None:
        name = self._names.group("specs")
        epoch = self._log.fence(name)
        publication.check(self._look())
        records = [
            (topic, partition_of(entry[0] or b"", self._log.partitions(topic)), *entry)
            for topic, entry in _records(self._names, publication, audit)
        ]
        self._log.transact(name, epoch, records, name, {})


class KafkaSpecStore:
    """The topics on brokers.

    Args:
        client: The brokers.
        names: Prefix of topics and of the transactional id.
        files: Specs that workers have in files.
    """

    def __init__(self, client: KafkaClient, names: Names, files: Catalog | None = None) -> None:
        self._client = client
        self._names = names
        self._files = files or Catalog()

    async def look(self) -> Published:
        """What the topics say now.

        Raises:
            KafkaUnavailableError: No broker answers.
            KafkaAccessError: The broker refuses us.
            TopologyError: A topic is missing.
        """
        specs, audit = (self._names.topic(name) for name in ("specs", "audit"))
        found = await read_all(self._client, [specs, audit])
        return _published(self._files, found[specs], found[audit])

    async def publish(self, publication: Publication, audit: Sequence[AuditEntry]) -> None:
        """As :meth:`SpecStore.publish`.

        Raises:
            FencedError: Others published all the time; nothing was written.
            OutcomeUnknownError: The broker went away in the middle.
        """
        for attempt in range(1, _ATTEMPTS + 1):
            try:
                await self._attempt(publication, audit, again=attempt > 1)
            except ProducerFenced:
                pause = random.uniform(0.02, 0.1) * attempt  # noqa: S311 - not a secret
                await asyncio.sleep(pause)
            else:
                return
        raise FencedError(
            f"others were publishing all the time: tried {_ATTEMPTS} times, and nothing was "
            "written; run it again"
        )

    async def _attempt(
        self, publication: Publication, audit: Sequence[AuditEntry], *, again: bool
    ) -> None:
        name = self._names.group("specs")
        try:
            async with transactional(self._client, name) as producer:
                now = await self.look()
                if again and audit and set(audit) <= set(now.audit):
                    return  # the commit had gone through when its answer was lost
                publication.check(now)
                await transact(producer, _records(self._names, publication, audit))
        except ProducerFenced:
            raise
        except KafkaError as error:
            topics = [self._names.topic(name) for name in ("specs", "audit")]
            why = access.refused(
                error,
                self._client,
                right="WRITE",
                topics=topics,
                transactional_id=name,
            )
            if why is not None:
                raise why from error
            raise OutcomeUnknownError(
                f"publishing failed in the middle: {error!r}. `anabranch history KEY` tells "
                "whether it was written"
            ) from error


def _published(files: Catalog, specs: Iterable[Record], audit: Iterable[Record]) -> Published:
    folded, _ = fold(Specs.of(files), specs)
    entries = [decode_audit(record) for record in audit]
    return Published(folded, sorted(entries, key=lambda entry: entry.at))


def _records(
    names: Names, publication: Publication, audit: Iterable[AuditEntry]
) -> Iterable[tuple[str, Entry]]:
    for proposed in publication.proposed:
        record = encode_spec(proposed.spec)
        yield names.topic("specs"), (record.key, record.value, record.headers, None)
    for entry in audit:
        yield names.topic("audit"), (*encode_audit(entry), (), None)
