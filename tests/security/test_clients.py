"""From settings to what aiokafka and Faust take; files that cannot be used name their variable."""

from __future__ import annotations

import ssl

import faust
import pytest

from anabranch.engine.kafka import KafkaClient
from anabranch.engine.kafka.security import Security
from anabranch.engine.kafka.tokens import ClientCredentials, TokenFile
from anabranch.errors import SettingsError
from anabranch.runtime.security import kafka_security
from anabranch.security_settings import SecuritySettings
from tests.security.certificates import KEY_PASSWORD

SECRET = "correct-horse-of-clients"


def security(**settings) -> Security:
    return kafka_security(SecuritySettings(**settings))


def scram(**settings) -> Security:
    return security(
        security_protocol="SASL_SSL",
        sasl_mechanism="SCRAM-SHA-256",
        sasl_username="me",
        sasl_password=SECRET,
        **settings,
    )


def test_nothing_set_is_plain_text():
    plain = security()
    assert plain == Security()
    assert plain.for_aiokafka() == {"security_protocol": "PLAINTEXT"}
    assert plain.for_faust() is None
    assert plain.principal == "an anonymous client"


def test_scram_over_tls(certificates):
    chosen = scram(ssl_cafile=certificates.authority)
    assert chosen.for_aiokafka() == {
        "security_protocol": "SASL_SSL",
        "ssl_context": chosen.ssl_context,
        "sasl_mechanism": "SCRAM-SHA-256",
        "sasl_plain_username": "me",
        "sasl_plain_password": SECRET,
    }
    credentials = chosen.for_faust()
    assert isinstance(credentials, faust.SASLCredentials)
    assert (credentials.username, credentials.password) == ("me", SECRET)
    assert credentials.mechanism.value == "SCRAM-SHA-256"
    assert credentials.protocol.value == "SASL_SSL"
    assert credentials.ssl_context is chosen.ssl_context
    assert chosen.principal == "user me"


def test_a_login_without_tls_is_said(caplog):
    chosen = security(
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_username="me",
        sasl_password=SECRET,
    )
    assert "credentials and events travel unencrypted" in caplog.text
    assert SECRET not in caplog.text
    assert chosen.ssl_context is None
    assert chosen.for_faust().protocol.value == "SASL_PLAINTEXT"


def test_mutual_tls(certificates):
    chosen = security(
        security_protocol="SSL",
        ssl_cafile=certificates.authority,
        ssl_certfile=certificates.client,
        ssl_keyfile=certificates.locked_key,
        ssl_key_password=KEY_PASSWORD,
    )
    assert chosen.for_aiokafka() == {"security_protocol": "SSL", "ssl_context": chosen.ssl_context}
    assert chosen.for_faust().context is chosen.ssl_context
    assert chosen.principal == "our client certificate"


@pytest.mark.parametrize(
    ("settings", "kind"),
    [
        ({"oauth_token_file": "token"}, TokenFile),
        (
            {"oauth_token_url": "https://login.example/token", "oauth_client_id": "me",
             "oauth_client_secret": SECRET},
            ClientCredentials,
        ),
    ],
)  # fmt: skip
def test_tokens(settings, kind):
    chosen = security(security_protocol="SASL_SSL", sasl_mechanism="OAUTHBEARER", **settings)
    assert isinstance(chosen.tokens, kind)
    assert chosen.for_aiokafka()["sasl_oauth_token_provider"] is chosen.tokens
    assert "sasl_plain_password" not in chosen.for_aiokafka()
    credentials = chosen.for_faust()
    assert isinstance(credentials, faust.OAuthCredentials)
    assert credentials.oauth_cb is chosen.tokens
    assert credentials.ssl_context is chosen.ssl_context
    assert chosen.principal == "the subject of our OAuth token"


def test_the_server_is_always_held_against_its_certificate(certificates):
    for chosen in (scram(), scram(ssl_cafile=certificates.authority)):
        assert chosen.ssl_context.check_hostname
        assert chosen.ssl_context.verify_mode is ssl.CERT_REQUIRED


def test_the_password_is_in_no_representation():
    chosen = scram()
    client = KafkaClient("127.0.0.1:1", security=chosen)
    assert SECRET not in f"{chosen!r} {chosen} {client!r}"


# -- files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("variable", ["ssl_cafile", "ssl_certfile", "ssl_keyfile"])
def test_a_file_that_is_not_there(tmp_path, certificates, variable):
    files = {"ssl_certfile": certificates.client, "ssl_keyfile": certificates.client_key}
    missing = tmp_path / "missing.pem"
    with pytest.raises(SettingsError) as raised:
        security(security_protocol="SSL", **files | {variable: missing})
    assert str(raised.value) == (
        f"ANABRANCH_{variable.upper()}: cannot read {missing}: No such file or directory"
    )


def test_an_authority_that_is_no_certificate(tmp_path):
    path = tmp_path / "ca.pem"
    path.write_text("nonsense")
    with pytest.raises(
        SettingsError, match=r"ANABRANCH_SSL_CAFILE: .* holds no certificate in PEM"
    ):
        security(security_protocol="SSL", ssl_cafile=path)


@pytest.mark.parametrize("wrong", ["no password", "another password", "another key", "no PEM"])
def test_a_certificate_and_a_key_that_do_not_fit(tmp_path, certificates, wrong):
    key, password = certificates.locked_key, KEY_PASSWORD
    if wrong == "no password":
        password = None
    elif wrong == "another password":
        password = SECRET
    elif wrong == "another key":
        key, password = certificates.broker_key, None
    else:
        key = tmp_path / "key.pem"
        key.write_text("nonsense")
    with pytest.raises(SettingsError, match="is it the key of the certificate") as raised:
        security(
            security_protocol="SSL",
            ssl_certfile=certificates.client,
            ssl_keyfile=key,
            ssl_key_password=password,
        )
    assert "ANABRANCH_SSL_KEY_PASSWORD" in str(raised.value)
    assert SECRET not in str(raised.value)
