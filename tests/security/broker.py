"""A broker that lets nobody in without a login and nobody do what was not granted."""

from __future__ import annotations

import base64
import hashlib
import json
import os
import time
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import SaslAuthenticationFailed
from aiokafka.protocol.admin import DescribeAclsRequest
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    CompactArray,
    CompactBytes,
    CompactString,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

from anabranch.engine.kafka import _private
from anabranch.runtime import kafka_client
from anabranch.settings import load_settings
from tests.security.certificates import Certificates
from tests.support.clusters import eventually
from tools.devkafka import LocalBroker

PLAIN_PASSWORD = "correct-horse-of-plain"
_MODULE = "org.apache.kafka.common.security"


@dataclass(frozen=True)
class SecuredBroker:
    """Two ways in: ``login`` takes SASL over TLS, ``mutual`` a client certificate.

    The plain listener belongs to the broker's owner, who may do everything: rights and users are
    made there.
    """

    broker: LocalBroker
    certificates: Certificates

    @property
    def owner(self) -> str:
        return self.broker.bootstrap

    @property
    def login(self) -> str:
        return self.broker.address("LOGIN")

    @property
    def mutual(self) -> str:
        return self.broker.address("MUTUAL")

    def scram(self, user: str, password: str, mechanism: str = "SCRAM-SHA-512") -> dict[str, Any]:
        """Settings of somebody who logs in with a password that is proved, not sent."""
        return self._tls("SASL_SSL", self.login) | {
            "sasl_mechanism": mechanism,
            "sasl_username": user,
            "sasl_password": password,
        }

    def plain(self) -> dict[str, Any]:
        """Settings of user ``plain``."""
        return self.scram("plain", PLAIN_PASSWORD, "PLAIN")

    def oauth(self, **settings: object) -> dict[str, Any]:
        return self._tls("SASL_SSL", self.login) | {"sasl_mechanism": "OAUTHBEARER"} | settings

    def certificate(self) -> dict[str, Any]:
        """Settings of ``CN=mutual``."""
        return self._tls("SSL", self.mutual) | {
            "ssl_certfile": self.certificates.client,
            "ssl_keyfile": self.certificates.client_key,
        }

    def _tls(self, protocol: str, bootstrap: str) -> dict[str, Any]:
        return {
            "bootstrap": bootstrap,
            "security_protocol": protocol,
            "ssl_cafile": self.certificates.authority,
        }


def secured_broker(certificates: Certificates) -> SecuredBroker:
    """Not running yet."""
    plain = f'{_MODULE}.plain.PlainLoginModule required user_plain="{PLAIN_PASSWORD}";'
    oauth = f'{_MODULE}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="broker";'
    handler = (
        f"{_MODULE}.oauthbearer.internals.unsecured.OAuthBearerUnsecuredValidatorCallbackHandler"
    )
    scram = f"{_MODULE}.scram.ScramLoginModule required;"
    at = "listener.name.login"
    extra = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "false",
        # Whoever comes by the plain listener, the broker itself among them.
        "super.users": "User:ANONYMOUS",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.certificate.chain": certificates.broker.read_text(),
        "ssl.keystore.key": certificates.broker_key.read_text(),
        "ssl.truststore.type": "PEM",
        "ssl.truststore.certificates": certificates.authority.read_text(),
        "listener.name.mutual.ssl.client.auth": "required",
        "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512,OAUTHBEARER",
        f"{at}.plain.sasl.jaas.config": plain,
        f"{at}.scram-sha-256.sasl.jaas.config": scram,
        f"{at}.scram-sha-512.sasl.jaas.config": scram,
        f"{at}.oauthbearer.sasl.jaas.config": oauth,
        f"{at}.oauthbearer.sasl.server.callback.handler.class": handler,
    }
    listeners = {"LOGIN": "SASL_SSL", "MUTUAL": "SSL"}
    return SecuredBroker(LocalBroker(extra=extra, listeners=listeners), certificates)


def unsecured_token(subject: str, life: float = 3600.0) -> str:
    """A token of KIP-255's validator for development: a JWT that nobody has signed."""
    now = time.time()
    claims = {"sub": subject, "iat": now, "exp": now + life}
    return f"{_encoded({'alg': 'none'})}.{_encoded(claims)}."


def _encoded(value: Mapping[str, object]) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


# -- what the owner does ------------------------------------------------------------------------

_ANY = 1
RESOURCES = {"topic": 2, "group": 3, "cluster": 4, "transactional id": 5}
PATTERNS = {"literal": 3, "prefixed": 4}
OPERATIONS = {
    "READ": 3,
    "WRITE": 4,
    "CREATE": 5,
    "DELETE": 6,
    "ALTER": 7,
    "DESCRIBE": 8,
    "DESCRIBE_CONFIGS": 10,
    "IDEMPOTENT_WRITE": 12,
}


@dataclass(frozen=True)
class Right:
    """One operation on one resource, in the words of ``kafka-acls``."""

    resource: str
    name: str
    pattern: str
    operation: str

    def __str__(self) -> str:
        return f"{self.operation} {self.resource} {self.name} ({self.pattern})"


async def grant(broker: SecuredBroker, principal: str, rights: Iterable[Right]) -> None:
    """Returns when the broker's authorizer knows them."""
    creations = {
        (
            RESOURCES[r.resource],
            r.name,
            PATTERNS[r.pattern],
            principal,
            "*",
            OPERATIONS[r.operation],
            3,
        )
        for r in rights
    }
    async with _owner(broker) as owner:
        response = await owner._send_to_controller(_CreateAcls(sorted(creations)))
        assert all(code == 0 for code, _ in response.creation_responses), response

        async def known() -> bool:
            any_of = DescribeAclsRequest(_ANY, None, _ANY, principal, None, _ANY, _ANY)
            described = await owner._send_request(any_of)
            return sum(len(acls) for *_, acls in described.resources) >= len(creations)

        await eventually(known, what=f"the rights of {principal}")


async def make_user(
    broker: SecuredBroker, user: str, password: str, mechanism: str = "SCRAM-SHA-512"
) -> None:
    """A user of SCRAM, known to the broker when this returns (RFC 5802: it learns no password)."""
    salt, iterations = os.urandom(16), 4096
    digest, number = {"SCRAM-SHA-256": ("sha256", 1), "SCRAM-SHA-512": ("sha512", 2)}[mechanism]
    salted = hashlib.pbkdf2_hmac(digest, password.encode(), salt, iterations)
    upsertion = (user, number, iterations, salt, salted, {})
    async with _owner(broker) as owner:
        response = await owner._send_to_controller(_AlterScram([upsertion]))
        assert all(result[1] == 0 for result in response.results), response
    settings = broker.scram(user, password, mechanism)
    security = kafka_client(load_settings(**settings)).security.for_aiokafka()

    async def known() -> bool:
        try:
            await _private.try_login(broker.login, security)
        except SaslAuthenticationFailed:
            return False
        return True

    await eventually(known, what=f"user {user}")


@asynccontextmanager
async def _owner(broker: SecuredBroker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(bootstrap_servers=broker.owner)
    try:
        await admin.start()
        yield admin
    finally:
        await admin.close()


class _CreateAclsAnswer(Response):
    API_KEY = 30
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("creation_responses", Array(("error_code", Int16), ("error_message", String("utf-8")))),
    )


class _CreateAclsV1(RequestStruct):
    API_KEY = 30
    API_VERSION = 1
    RESPONSE_TYPE = _CreateAclsAnswer
    SCHEMA = Schema(
        (
            "creations",
            Array(
                ("resource_type", Int8),
                ("resource_name", String("utf-8")),
                ("resource_pattern_type", Int8),
                ("principal", String("utf-8")),
                ("host", String("utf-8")),
                ("operation", Int8),
                ("permission_type", Int8),
            ),
        )
    )


class _CreateAcls(Request[_CreateAclsV1]):
    """aiokafka's own request creates one right at a time, and its admin client none."""

    API_KEY = 30

    def __init__(self, creations: list[tuple[Any, ...]]) -> None:
        self._creations = creations

    def build(self, request_struct_class: type[_CreateAclsV1]) -> _CreateAclsV1:
        return request_struct_class(self._creations)


class _AlterScramAnswer(Response):
    API_KEY = 51
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        (
            "results",
            CompactArray(
                ("user", CompactString("utf-8")),
                ("error_code", Int16),
                ("error_message", CompactString("utf-8")),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterScramV0(RequestStruct):
    """KIP-554."""

    FLEXIBLE_VERSION = True
    API_KEY = 51
    API_VERSION = 0
    RESPONSE_TYPE = _AlterScramAnswer
    SCHEMA = Schema(
        (
            "deletions",
            CompactArray(
                ("name", CompactString("utf-8")), ("mechanism", Int8), ("tags", TaggedFields)
            ),
        ),
        (
            "upsertions",
            CompactArray(
                ("name", CompactString("utf-8")),
                ("mechanism", Int8),
                ("iterations", Int32),
                ("salt", CompactBytes),
                ("salted_password", CompactBytes),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _AlterScram(Request[_AlterScramV0]):
    API_KEY = 51

    def __init__(self, upsertions: list[tuple[Any, ...]]) -> None:
        self._upsertions = upsertions

    def build(self, request_struct_class: type[_AlterScramV0]) -> _AlterScramV0:
        return request_struct_class([], self._upsertions, {})
