"""Which settings contradict each other, with every message; and that another process gets them."""

from __future__ import annotations

import pytest

from anabranch.errors import SettingsError
from anabranch.security_settings import SecuritySettings
from anabranch.settings import Settings, environment, load_settings
from tests.security.grants import table

SECRET = "correct-horse-of-settings"
TOKEN_URL = "https://login.example/token"


def given(text: str) -> dict[str, str]:
    """``"a=b c=d"`` as settings; short names for the long ones."""
    return dict(part.split("=", 1) for part in text.split())


SCRAM = "security_protocol=SASL_SSL sasl_mechanism=SCRAM-SHA-512"
OAUTH = "security_protocol=SASL_SSL sasl_mechanism=OAUTHBEARER"
CLIENT = f"oauth_client_id=me oauth_client_secret={SECRET}"

CONTRADICTIONS = {
    # -- a protocol without what it needs, or with what it does not take
    "security_protocol=SASL_SSL": (
        "ANABRANCH_SECURITY_PROTOCOL is SASL_SSL, but ANABRANCH_SASL_MECHANISM is not set: choose "
        "PLAIN, SCRAM-SHA-256, SCRAM-SHA-512 or OAUTHBEARER"
    ),
    f"sasl_password={SECRET}": (
        "ANABRANCH_SASL_PASSWORD is set, but ANABRANCH_SECURITY_PROTOCOL is PLAINTEXT: it takes "
        "SASL_SSL or SASL_PLAINTEXT"
    ),
    "security_protocol=SSL sasl_mechanism=PLAIN sasl_username=me": (
        "ANABRANCH_SASL_MECHANISM, ANABRANCH_SASL_USERNAME is set, but "
        "ANABRANCH_SECURITY_PROTOCOL is SSL: it takes SASL_SSL or SASL_PLAINTEXT"
    ),
    f"security_protocol=SSL {CLIENT}": (
        "ANABRANCH_OAUTH_CLIENT_ID, ANABRANCH_OAUTH_CLIENT_SECRET is set, but "
        "ANABRANCH_SECURITY_PROTOCOL is SSL: it takes SASL_SSL or SASL_PLAINTEXT"
    ),
    "ssl_cafile=ca.pem": (
        "ANABRANCH_SSL_CAFILE is set, but ANABRANCH_SECURITY_PROTOCOL is PLAINTEXT: it takes SSL "
        "or SASL_SSL"
    ),
    f"security_protocol=SASL_PLAINTEXT sasl_mechanism=PLAIN sasl_username=me "
    f"sasl_password={SECRET} ssl_cafile=ca.pem": (
        "ANABRANCH_SSL_CAFILE is set, but ANABRANCH_SECURITY_PROTOCOL is SASL_PLAINTEXT: it takes "
        "SSL or SASL_SSL"
    ),
    # -- half a certificate
    "security_protocol=SSL ssl_certfile=me.pem": (
        "ANABRANCH_SSL_CERTFILE is set, but ANABRANCH_SSL_KEYFILE is not"
    ),
    "security_protocol=SSL ssl_keyfile=me.key": (
        "ANABRANCH_SSL_KEYFILE is set, but ANABRANCH_SSL_CERTFILE is not"
    ),
    f"security_protocol=SSL ssl_key_password={SECRET}": (
        "ANABRANCH_SSL_KEY_PASSWORD is set, but ANABRANCH_SSL_KEYFILE is not"
    ),
    # -- a password's half
    f"{SCRAM} sasl_password={SECRET}": (
        "ANABRANCH_SASL_MECHANISM is SCRAM-SHA-512, but ANABRANCH_SASL_USERNAME is not set"
    ),
    f"{SCRAM} sasl_username=me": (
        "ANABRANCH_SASL_MECHANISM is SCRAM-SHA-512, but ANABRANCH_SASL_PASSWORD is not set or is "
        "empty"
    ),
    f"{SCRAM} sasl_username=me sasl_password=": (
        "ANABRANCH_SASL_MECHANISM is SCRAM-SHA-512, but ANABRANCH_SASL_PASSWORD is not set or is "
        "empty"
    ),
    f"{SCRAM} sasl_username=me sasl_password={SECRET} oauth_token_url={TOKEN_URL}": (
        "ANABRANCH_OAUTH_TOKEN_URL is set, but ANABRANCH_SASL_MECHANISM is SCRAM-SHA-512: it takes "
        "OAUTHBEARER"
    ),
    # -- tokens from nowhere, or from two places
    OAUTH: (
        "ANABRANCH_SASL_MECHANISM is OAUTHBEARER, but neither ANABRANCH_OAUTH_TOKEN_URL nor "
        "ANABRANCH_OAUTH_TOKEN_FILE is set"
    ),
    f"{OAUTH} sasl_username=me oauth_token_file=token": (
        "ANABRANCH_SASL_USERNAME is set, but ANABRANCH_SASL_MECHANISM is OAUTHBEARER"
    ),
    f"{OAUTH} sasl_password={SECRET} oauth_token_file=token": (
        "ANABRANCH_SASL_PASSWORD is set, but ANABRANCH_SASL_MECHANISM is OAUTHBEARER"
    ),
    f"{OAUTH} {CLIENT} oauth_token_file=token": (
        "ANABRANCH_OAUTH_TOKEN_FILE is set, and so is ANABRANCH_OAUTH_CLIENT_ID, "
        "ANABRANCH_OAUTH_CLIENT_SECRET: the token comes from the one or the other"
    ),
    f"{OAUTH} oauth_token_url={TOKEN_URL} oauth_client_secret={SECRET}": (
        "ANABRANCH_OAUTH_TOKEN_URL is set, but ANABRANCH_OAUTH_CLIENT_ID is not"
    ),
    f"{OAUTH} oauth_token_url={TOKEN_URL} oauth_client_id=me": (
        "ANABRANCH_OAUTH_TOKEN_URL is set, but ANABRANCH_OAUTH_CLIENT_SECRET is not"
    ),
    f"{OAUTH} oauth_token_url={TOKEN_URL} oauth_client_id=me oauth_client_secret=": (
        "ANABRANCH_OAUTH_TOKEN_URL is set, but ANABRANCH_OAUTH_CLIENT_SECRET is not"
    ),
    **{
        f"{OAUTH} {CLIENT} oauth_token_url={url}": (
            "ANABRANCH_OAUTH_TOKEN_URL is not an https:// address: the client secret is sent there "
            "(http:// is taken on loopback only)"
        )
        for url in ("http://login.example/token", "login.example", "https:///token", "file:///etc")
    },
}  # fmt: skip


@pytest.mark.parametrize("settings", CONTRADICTIONS, ids=str)
def test_a_contradiction_names_its_variables_and_no_secret(settings):
    with pytest.raises(SettingsError) as raised:
        load_settings(**given(settings))
    assert str(raised.value) == f"settings: {CONTRADICTIONS[settings]}"
    assert SECRET not in repr(raised.value.__cause__) + str(raised.value.__cause__)


def test_a_value_that_is_none_of_those_allowed_names_the_variable():
    with pytest.raises(SettingsError, match=r"ANABRANCH_SASL_MECHANISM.*SCRAM-SHA-512") as raised:
        load_settings(security_protocol="SASL_SSL", sasl_mechanism="GSSAPI", sasl_password=SECRET)
    assert SECRET not in str(raised.value)


GOOD = [
    "",
    "security_protocol=SSL",
    "security_protocol=SSL ssl_cafile=ca.pem",
    f"security_protocol=SSL ssl_certfile=me.pem ssl_keyfile=me.key ssl_key_password={SECRET}",
    f"security_protocol=SASL_PLAINTEXT sasl_mechanism=PLAIN sasl_username=me sasl_password={SECRET}",
    f"{SCRAM} sasl_username=me sasl_password={SECRET} ssl_cafile=ca.pem",
    f"{OAUTH} oauth_token_file=token",
    f"{OAUTH} oauth_token_url={TOKEN_URL} oauth_scope=kafka {CLIENT}",
    f"{OAUTH} oauth_token_url=http://127.0.0.1:8080/token {CLIENT}",
]


@pytest.mark.parametrize("settings", GOOD)
def test_the_environment_gives_another_process_the_same_settings(monkeypatch, settings):
    chosen = load_settings(bootstrap="b:1", window_sizes=(60, 300), **given(settings))
    for name, value in environment(chosen).items():
        monkeypatch.setenv(name, value)
    assert load_settings() == chosen


def test_no_secret_is_in_the_representation_or_the_dump():
    chosen = load_settings(**given(GOOD[3])), load_settings(**given(GOOD[5]))
    for settings in (*chosen, load_settings(**given(GOOD[7]))):
        told = f"{settings!r} {settings} {settings.model_dump()} {settings.model_dump_json()}"
        assert SECRET not in told
        assert SECRET in environment(settings).values()


def test_the_page_lists_every_setting_with_its_description():
    documented = {name.strip("`"): meaning for name, meaning in table("Settings")}
    fields = SecuritySettings.model_fields
    assert documented == {f"ANABRANCH_{n.upper()}": f.description for n, f in fields.items()}
    assert set(fields) < set(Settings.model_fields)
