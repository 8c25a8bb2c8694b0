"""From the settings of TLS and SASL to what the clients take."""

from __future__ import annotations

import logging
import ssl
from pathlib import Path

from pydantic import SecretStr

from anabranch.engine.kafka.security import Security
from anabranch.engine.kafka.tokens import ClientCredentials, TokenFile
from anabranch.errors import SettingsError
from anabranch.security_settings import SecuritySettings

log = logging.getLogger(__name__)


def kafka_security(settings: SecuritySettings) -> Security:
    """How clients prove who they are and whom they trust; reads the certificates.

    The server's name is always checked against its certificate.

    Raises:
        SettingsError: A file cannot be used; the message names its variable.
    """
    if settings.security_protocol == "SASL_PLAINTEXT":
        log.warning(
            "ANABRANCH_SECURITY_PROTOCOL is SASL_PLAINTEXT: credentials and events travel "
            "unencrypted"
        )
    encrypted = settings.security_protocol.endswith("SSL")
    return Security(
        protocol=settings.security_protocol,
        mechanism=settings.sasl_mechanism,
        username=settings.sasl_username,
        password=_secret(settings.sasl_password),
        ssl_context=_context(settings) if encrypted else None,
        tokens=_tokens(settings) if settings.sasl_mechanism == "OAUTHBEARER" else None,
    )


def _context(settings: SecuritySettings) -> ssl.SSLContext:
    if settings.ssl_cafile is None:
        context = ssl.create_default_context()
    else:
        _readable(settings.ssl_cafile, "ANABRANCH_SSL_CAFILE")
        try:
            context = ssl.create_default_context(cafile=settings.ssl_cafile)
        except ssl.SSLError as error:
            raise SettingsError(
                f"ANABRANCH_SSL_CAFILE: {settings.ssl_cafile} holds no certificate in PEM "
                f"({error.reason or error})"
            ) from error
    if settings.ssl_certfile is not None and settings.ssl_keyfile is not None:
        _readable(settings.ssl_certfile, "ANABRANCH_SSL_CERTFILE")
        _readable(settings.ssl_keyfile, "ANABRANCH_SSL_KEYFILE")
        try:
            # Without a password OpenSSL would ask for one on the terminal.
            password = _secret(settings.ssl_key_password) or ""
            context.load_cert_chain(settings.ssl_certfile, settings.ssl_keyfile, password)
        except ssl.SSLError as error:
            raise SettingsError(
                f"ANABRANCH_SSL_CERTFILE {settings.ssl_certfile} and ANABRANCH_SSL_KEYFILE "
                f"{settings.ssl_keyfile} cannot be used together ({error.reason or error}): is "
                "ANABRANCH_SSL_KEY_PASSWORD right, and is it the key of the certificate?"
            ) from error
    return context


def _tokens(settings: SecuritySettings) -> ClientCredentials | TokenFile:
    if settings.oauth_token_file is not None:
        return TokenFile(settings.oauth_token_file)
    context = ssl.create_default_context()
    if settings.ssl_cafile is not None:
        context.load_verify_locations(settings.ssl_cafile)
    return ClientCredentials(
        settings.oauth_token_url or "",
        settings.oauth_client_id or "",
        _secret(settings.oauth_client_secret) or "",
        scope=settings.oauth_scope,
        context=context,
    )


def _secret(value: SecretStr | None) -> str | None:
    return None if value is None else value.get_secret_value()


def _readable(path: Path, variable: str) -> None:
    try:
        with path.open("rb"):
            return
    except OSError as error:
        raise SettingsError(f"{variable}: cannot read {path}: {error.strerror}") from error
