"""How clients prove who they are and check who answers: TLS and SASL, for aiokafka and Faust."""

from __future__ import annotations

import ssl
from dataclasses import dataclass, field
from typing import Any, Literal

import faust
from aiokafka.abc import AbstractTokenProvider

Protocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


@dataclass(frozen=True, slots=True)
class Security:
    """Credentials and encryption of every connection to the brokers; none by default.

    Attributes:
        protocol: Kafka's ``security.protocol``.
        mechanism: Kafka's ``sasl.mechanism``; needed by the SASL protocols.
        username: Of PLAIN and SCRAM.
        password: Of PLAIN and SCRAM; never in the representation.
        ssl_context: Whom to trust and, for mutual TLS, our certificate; needed by the SSL
            protocols.
        tokens: Where OAUTHBEARER gets its tokens. Faust asks from a thread of its own, so it
            may not belong to one event loop.
    """

    protocol: Protocol = "PLAINTEXT"
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ssl_context: ssl.SSLContext | None = None
    tokens: AbstractTokenProvider | None = field(default=None, repr=False)

    @property
    def principal(self) -> str:
        """Whom the broker takes us for, as far as we know, for messages to people."""
        if self.username is not None:
            return f"user {self.username}"
        if self.mechanism == "OAUTHBEARER":
            return "the subject of our OAuth token"
        return "our client certificate" if self.protocol == "SSL" else "an anonymous client"

    def for_aiokafka(self) -> dict[str, Any]:
        """Arguments of every aiokafka client."""
        arguments: dict[str, Any] = {"security_protocol": self.protocol}
        if self.ssl_context is not None:
            arguments["ssl_context"] = self.ssl_context
        if self.mechanism is not None:
            arguments["sasl_mechanism"] = self.mechanism
        if self.mechanism == "OAUTHBEARER":
            arguments["sasl_oauth_token_provider"] = self.tokens
        elif self.mechanism is not None:
            arguments["sasl_plain_username"] = self.username
            arguments["sasl_plain_password"] = self.password
        return arguments

    def for_faust(self) -> faust.Credentials | None:
        """``broker_credentials`` of a Faust app; None without security."""
        if self.mechanism == "OAUTHBEARER":
            return faust.OAuthCredentials(oauth_cb=self.tokens, ssl_context=self.ssl_context)
        if self.mechanism is not None:
            return faust.SASLCredentials(
                username=self.username,
                password=self.password,
                mechanism=self.mechanism,
                ssl_context=self.ssl_context,
            )
        return None if self.ssl_context is None else faust.SSLCredentials(self.ssl_context)
