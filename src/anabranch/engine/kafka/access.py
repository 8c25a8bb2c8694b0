"""What the broker refuses, said so that somebody can grant it."""

from __future__ import annotations

import ssl
from asyncio import IncompleteReadError
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    TransactionalIdAuthorizationFailed,
    UnsupportedSaslMechanismError,
)

from anabranch.engine.kafka import _private
from anabranch.errors import KafkaAccessError

if TYPE_CHECKING:
    from anabranch.engine.kafka.client import KafkaClient

_LOGIN = (
    AuthenticationFailedError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
    IllegalSaslStateError,
)
_HUNG_UP = (IncompleteReadError, ConnectionResetError, ssl.SSLEOFError)
_ADVICE = "Grant it: docs/security.md lists the rights of every stage and command"


def refused(
    error: BaseException,
    client: KafkaClient,
    *,
    right: Callable[[str], str] | str = "DESCRIBE",
    topics: Iterable[str] = (),
    group: str = "",
    group_right: str = "READ",
    transactional_id: str = "",
) -> KafkaAccessError | None:
    """The missing right behind an error; None when the broker did not refuse anything.

    Args:
        error: From aiokafka; its causes are looked through, too.
        client: Who was refused.
        right: What was wanted of a topic, if told by the topic's physical name.
        topics: Those that the request was about, where the error does not say.
        group: Likewise.
        group_right: What was wanted of it.
        transactional_id: Likewise.
    """
    for cause in _causes(error):
        said = _names(cause.args)
        if isinstance(cause, TopicAuthorizationFailedError):
            names = sorted(said or topics)
            wanted = [f"{right if isinstance(right, str) else right(n)} topic {n}" for n in names]
            missing = " and may not ".join(wanted) or "use a topic"
        elif isinstance(cause, GroupAuthorizationFailedError):
            missing = f"{group_right} group {group or ', '.join(said)}"
        elif isinstance(cause, TransactionalIdAuthorizationFailed):
            missing = f"WRITE transactional id {transactional_id or ', '.join(said)}"
        elif isinstance(cause, ClusterAuthorizationFailedError):
            missing = "WRITE any topic, nor IDEMPOTENT_WRITE the cluster"
        else:
            continue
        return KafkaAccessError(
            f"{client.security.principal} may not {missing} on {client.bootstrap}. {_ADVICE}"
        )
    return None


async def login_refused(client: KafkaClient) -> KafkaAccessError | None:
    """Whether it is our credentials or TLS that keep us out; None when it is something else.

    aiokafka reports any failure to connect as a broker that is not there. This connects once
    more and looks at what really happens.
    """
    try:
        await _private.try_login(client.bootstrap, client.security.for_aiokafka())
    except (OSError, KafkaError) as error:
        for cause in _causes(error):
            said = _kept_out(cause, client)
            if said is not None:
                return KafkaAccessError(said)
    return None


def _kept_out(cause: BaseException, client: KafkaClient) -> str | None:
    security = client.security
    if isinstance(cause, _LOGIN):
        return (
            f"{client.bootstrap} refuses the login of {security.principal} by "
            f"{security.mechanism}: {_plain(cause)}"
        )
    if isinstance(cause, _HUNG_UP):
        return (
            f"{client.bootstrap} takes the connection and ends it at once: is {security.protocol} "
            "what it speaks there? ANABRANCH_SECURITY_PROTOCOL says it"
        )
    if isinstance(cause, ssl.SSLError):
        reason = getattr(cause, "verify_message", "") or _words(cause.reason) or str(cause)
        return (
            f"no TLS connection to {client.bootstrap}: {reason}. Check ANABRANCH_SECURITY_PROTOCOL"
            " and the certificates that ANABRANCH_SSL_… name"
        )
    return None


def _words(reason: str | None) -> str:
    """``TLSV13_ALERT_CERTIFICATE_REQUIRED`` for people."""
    return (reason or "").replace("_", " ").lower()


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__


def _names(value: Any) -> list[str]:
    """Topic, group or transactional id names out of whatever aiokafka put into an error."""
    if isinstance(value, str):
        return [value]
    topic = getattr(value, "topic", None)
    if isinstance(topic, str):
        return [topic]
    if isinstance(value, Iterable):
        return sorted({name for part in value for name in _names(part)})
    return []


def _plain(error: BaseException) -> str:
    return " ".join(str(part) for part in error.args if isinstance(part, str)) or repr(error)
