"""Settings of TLS and SASL, and which of them contradict each other."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

SecurityProtocol = Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]
SaslMechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class SecuritySettings(BaseSettings):
    """Credentials and encryption of every connection to the brokers; secrets are masked.

    Contradictions are found when the settings are read: half a configuration would show itself
    as a broker that does not answer.
    """

    model_config = SettingsConfigDict(
        env_prefix="ANABRANCH_", frozen=True, extra="forbid", hide_input_in_errors=True
    )

    security_protocol: SecurityProtocol = Field(
        "PLAINTEXT",
        description="How clients reach the brokers: encrypted, logged in, both, neither",
    )
    sasl_mechanism: SaslMechanism | None = Field(None, description="How clients log in")
    sasl_username: str | None = Field(None, min_length=1, description="Name for PLAIN and SCRAM")
    sasl_password: SecretStr | None = Field(None, description="Password for PLAIN and SCRAM")
    ssl_cafile: Path | None = Field(
        None, description="Certificates to trust (PEM); the system's when not given"
    )
    ssl_certfile: Path | None = Field(
        None, description="Our certificate, with its chain (PEM), for mutual TLS"
    )
    ssl_keyfile: Path | None = Field(None, description="Our certificate's private key (PEM)")
    ssl_key_password: SecretStr | None = Field(
        None, description="Password of the private key, where it has one"
    )
    oauth_token_url: str | None = Field(
        None, description="Token endpoint of the client-credentials grant, for OAUTHBEARER"
    )
    oauth_client_id: str | None = Field(None, min_length=1, description="Client id at the endpoint")
    oauth_client_secret: SecretStr | None = Field(None, description="Client secret at the endpoint")
    oauth_scope: str | None = Field(None, description="Scope to ask the endpoint for")
    oauth_token_file: Path | None = Field(
        None, description="File with the token instead, read again when it changes"
    )

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        login = self.security_protocol.startswith("SASL_")
        protocol = f"ANABRANCH_SECURITY_PROTOCOL is {self.security_protocol}"
        if not self.security_protocol.endswith("SSL"):
            self._none_of("ssl_", f"{protocol}: it takes SSL or SASL_SSL")
        if not login:
            self._none_of("sasl_", f"{protocol}: it takes SASL_SSL or SASL_PLAINTEXT")
            self._none_of("oauth_", f"{protocol}: it takes SASL_SSL or SASL_PLAINTEXT")
        self._certificate()
        if login and self.sasl_mechanism is None:
            raise ValueError(
                f"{protocol}, but ANABRANCH_SASL_MECHANISM is not set: choose PLAIN, "
                "SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
            )
        if self.sasl_mechanism == "OAUTHBEARER":
            self._oauth()
        elif login:
            self._password()
        return self

    def _certificate(self) -> None:
        if (self.ssl_certfile is None) != (self.ssl_keyfile is None):
            given, other = ("KEY", "CERT") if self.ssl_certfile is None else ("CERT", "KEY")
            raise ValueError(
                f"ANABRANCH_SSL_{given}FILE is set, but ANABRANCH_SSL_{other}FILE is not"
            )
        if self.ssl_key_password is not None and self.ssl_keyfile is None:
            raise ValueError("ANABRANCH_SSL_KEY_PASSWORD is set, but ANABRANCH_SSL_KEYFILE is not")

    def _password(self) -> None:
        mechanism = f"ANABRANCH_SASL_MECHANISM is {self.sasl_mechanism}"
        if self.sasl_username is None:
            raise ValueError(f"{mechanism}, but ANABRANCH_SASL_USERNAME is not set")
        if self.sasl_password is None or not self.sasl_password.get_secret_value():
            raise ValueError(f"{mechanism}, but ANABRANCH_SASL_PASSWORD is not set or is empty")
        self._none_of("oauth_", f"{mechanism}: it takes OAUTHBEARER")

    def _oauth(self) -> None:
        mechanism = "ANABRANCH_SASL_MECHANISM is OAUTHBEARER"
        for name in ("sasl_username", "sasl_password"):
            if getattr(self, name) is not None:
                raise ValueError(f"ANABRANCH_{name.upper()} is set, but {mechanism}")
        if self.oauth_token_file is not None:
            unused = [n for n in self._given("oauth_") if n != "oauth_token_file"]
            if unused:
                raise ValueError(
                    f"ANABRANCH_OAUTH_TOKEN_FILE is set, and so is {_variables(unused)}: the token "
                    "comes from the one or the other"
                )
            return
        if self.oauth_token_url is None:
            raise ValueError(
                f"{mechanism}, but neither ANABRANCH_OAUTH_TOKEN_URL nor "
                "ANABRANCH_OAUTH_TOKEN_FILE is set"
            )
        if self.oauth_client_id is None:
            raise ValueError(
                "ANABRANCH_OAUTH_TOKEN_URL is set, but ANABRANCH_OAUTH_CLIENT_ID is not"
            )
        secret = self.oauth_client_secret
        if secret is None or not secret.get_secret_value():
            raise ValueError(
                "ANABRANCH_OAUTH_TOKEN_URL is set, but ANABRANCH_OAUTH_CLIENT_SECRET is not"
            )
        url = urlsplit(self.oauth_token_url)
        near = url.scheme == "http" and url.hostname in _LOOPBACK
        if not url.hostname or not (url.scheme == "https" or near):
            raise ValueError(
                "ANABRANCH_OAUTH_TOKEN_URL is not an https:// address: the client secret is sent "
                "there (http:// is taken on loopback only)"
            )

    def _given(self, prefix: str) -> list[str]:
        names = SecuritySettings.model_fields
        return [n for n in names if n.startswith(prefix) and getattr(self, n) is not None]

    def _none_of(self, prefix: str, why: str) -> None:
        given = self._given(prefix)
        if given:
            raise ValueError(f"{_variables(given)} is set, but {why}")


def _variables(names: list[str]) -> str:
    return ", ".join(f"ANABRANCH_{name.upper()}" for name in names)
