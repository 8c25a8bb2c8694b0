"""Everything private of aiokafka that the engine touches, in one place; of Faust: ``_membership``.

Checked against faust-streaming 0.15.3 and aiokafka 0.14.0, which ``pyproject.toml`` pins. A test
(``tests/engine/test_private.py``) fails when an upgrade moves any of it.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka import conn as aiokafka_conn
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.conn import AIOKafkaConnection, collect_hosts
from aiokafka.errors import AuthenticationFailedError, KafkaError
from aiokafka.protocol.admin import ApiVersionRequest

from anabranch.engine.outbox import Entry
from anabranch.errors import OutcomeUnknownError

if TYPE_CHECKING:
    from aiokafka.producer.message_accumulator import BatchBuilder

log = logging.getLogger(__name__)


async def wait_for_producer_id(producer: AIOKafkaProducer) -> None:
    """Until the producer has its epoch, which fences every earlier owner.

    aiokafka's own wait never fails by itself: when the sender ends, so does this.

    Raises:
        OutcomeUnknownError: The sender ended without an error.
    """
    sender = producer._sender._sender_task  # noqa: SLF001
    waiting = asyncio.ensure_future(producer._txn_manager.wait_for_pid())  # noqa: SLF001
    try:
        await asyncio.wait([waiting, sender], return_when=asyncio.FIRST_COMPLETED)
        if not waiting.done():
            sender.result()
            raise OutcomeUnknownError("the producer's sender ended before it had an epoch")
    finally:
        waiting.cancel()


def sender_failure(producer: AIOKafkaProducer) -> BaseException | None:
    """What ended the producer's sender, or its transaction: the reason behind what came after.

    Nothing that such a sender has promised will come, and batches of such a transaction are sent
    all the same and refused for being outside of one.
    """
    waiter = producer._txn_manager._transaction_waiter  # noqa: SLF001
    for ended in (producer._sender._sender_task, waiter):  # noqa: SLF001
        if ended is not None and ended.done() and not ended.cancelled():
            failure: BaseException | None = ended.exception()
            if failure is not None:
                return failure
    return None


class Consumer(AIOKafkaConsumer):  # type: ignore[misc]
    """aiokafka's consumer, whose ``stop`` does not let out cancellations of its own.

    Where a fetch is on its way, or waits to be tried again, aiokafka cancels it, awaits it, and
    stops half-way with the cancellation: whoever stopped the consumer would end as if cancelled.
    """

    async def stop(self) -> None:
        stopping = asyncio.ensure_future(super().stop())
        try:
            await asyncio.wait([stopping])
        finally:
            stopping.cancel()
        if stopping.cancelled():
            await self._client.close()
        else:
            stopping.result()


def coordinator(consumer: AIOKafkaConsumer) -> Any:
    """What finds a started consumer's group, and sends to it."""
    return consumer._coordinator  # noqa: SLF001


async def ask(admin: AIOKafkaAdminClient, request: Any, node: int | None = None) -> Any:
    """A request's answer; the admin client has methods for some requests only."""
    return await admin._send_request(request, node)  # noqa: SLF001


async def let_go(client: AIOKafkaProducer | AIOKafkaConsumer) -> None:
    """End what a client that cannot be stopped in order still does, and close its connections.

    A producer waits for its batches to be sent, also when nobody will ever take them, and a
    consumer that cancels its fetches lets out the cancellation, half-way.
    """
    if isinstance(client, AIOKafkaProducer):
        sender = client._sender._sender_task  # noqa: SLF001
        if sender is not None:
            sender.cancel()
            await asyncio.wait([sender])
        await client.client.close()
    else:
        await client._client.close()  # noqa: SLF001


def fill(batch: BatchBuilder, entries: Sequence[Entry]) -> int:
    """Append entries to an empty batch until it is full, and close it; returns how many it took.

    The batch's own ``append`` costs as much again as what it calls. A first record is taken
    whatever its size; the broker refuses one that is too large.
    """
    append = batch._builder.append  # noqa: SLF001
    count = 0
    for key, value, headers, timestamp in entries:
        listed = headers if type(headers) is list else list(headers)
        if append(count, timestamp, key, value, listed) is None:
            break
        count += 1
    batch._relative_offset = count  # noqa: SLF001
    batch.close()
    return count


async def try_login(bootstrap: str, security: Mapping[str, Any]) -> None:
    """Connect and log in to the first broker that lets us, and leave again.

    Raises:
        OSError: As the last broker failed, TLS included (``ssl.SSLError``).
        KafkaError: The same, of Kafka's own.
    """
    failure: Exception | None = None
    for host, port, _ in collect_hosts(bootstrap):
        connection = AIOKafkaConnection(host, port, request_timeout_ms=5000, **security)
        try:
            await connection.connect()
            # A listener that wants a login lets everybody ask for its versions, but only once.
            await connection.send(ApiVersionRequest())
        except (OSError, KafkaError) as error:
            failure = error
        else:
            return
        finally:
            await _closed(connection)
    if failure is not None:
        raise failure


async def _closed(connection: AIOKafkaConnection) -> None:
    """Close, and wait until the socket is, which over TLS takes a message there and back."""
    opened = getattr(connection, "_protocol", None) is not None
    closed = connection.close()
    if opened and closed is not None:
        await asyncio.wait([closed], timeout=1.0)


class _HeardOut(aiokafka_conn.OAuthAuthenticator):  # type: ignore[misc]
    """Listens to the answer to a token, which aiokafka takes for a yes whatever it is.

    A refusal is an answer too, and the only one that is not empty (RFC 7628, section 3.2.2). Not
    heard, it looks like a cluster without brokers.
    """

    async def step(self, payload: bytes | None) -> Any:
        if self._token_sent and payload:
            status = re.search(rb'"status"\s*:\s*"([A-Za-z0-9_ -]{1,80})"', payload)
            said = f" ({status[1].decode()})" if status else ""
            raise AuthenticationFailedError(
                f"the token is not accepted{said}. Has it expired? Does the broker trust its "
                "issuer, take its audience and find its subject?"
            )
        return await super().step(payload)


aiokafka_conn.OAuthAuthenticator = _HeardOut


def take_note(producer: AIOKafkaProducer) -> None:
    """Look at how an open transaction ended, which nobody waits for once its offsets failed.

    Else asyncio would log it as forgotten whenever the garbage collector comes by.
    """
    manager = getattr(producer, "_txn_manager", None)
    waiter = getattr(manager, "_transaction_waiter", None)
    if waiter is not None and waiter.done() and not waiter.cancelled():
        waiter.exception()


class _NoLogins(logging.Filter):
    """Takes the bytes of logins out of records: aiokafka logs every request at debug level.

    With PLAIN they hold the password, with OAUTHBEARER the token, with SCRAM what a password can
    be guessed against.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                f"{type(a).__name__}(…)" if type(a).__name__.startswith("SaslAuthenticate") else a
                for a in record.args
            )
        return True


# A logger's filter sees only what is logged to that very logger, and no handler can undo it.
logging.getLogger("aiokafka.conn").addFilter(_NoLogins())
