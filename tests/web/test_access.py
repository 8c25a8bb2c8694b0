"""Tokens: who is let in, who sees what, what a file may say."""

from __future__ import annotations

import json

import pytest

from anabranch.errors import SettingsError
from anabranch.web.access import ANYBODY, Access, Client, read_clients

WEB = Client("web", "w" * 16)
APP = Client("app", "a" * 16, ("checkout.*", "home.banner"))
ACCESS = Access([WEB, APP])


@pytest.mark.parametrize(
    ("name", "value", "found"),
    [
        (b"authorization", b"Bearer " + b"w" * 16, WEB),
        (b"authorization", b"bearer  " + b"a" * 16, APP),
        (b"x-api-key", b"a" * 16, APP),
        (b"authorization", b"Basic " + b"w" * 16, None),
        (b"authorization", b"Bearer " + b"w" * 15, None),
        (b"authorization", b"Bearer ", None),
        (b"cookie", b"w" * 16, None),
    ],
)
def test_a_token_tells_the_client(name, value, found):
    assert ACCESS.find([(b"host", b"x"), (name, value)]) is found


def test_without_clients_everybody_is_let_in():
    assert Access().open
    assert Access().find([]) is ANYBODY


@pytest.mark.parametrize(
    ("key", "may"),
    [
        ("checkout.button", True),
        ("home.banner", True),
        ("home.banner2", False),
        ("Checkout.x", False),
    ],
)
def test_patterns_of_keys(key, may):
    assert APP.may_see(key) is may
    assert WEB.may_see(key)


def test_a_token_is_never_shown():
    assert "wwww" not in repr(WEB)


@pytest.mark.parametrize(
    "clients",
    [[Client("a", "short")], [WEB, Client("web", "x" * 16)], [WEB, Client("b", WEB.token)]],
)
def test_weak_and_shared_ones_are_refused(clients):
    with pytest.raises(SettingsError):
        Access(clients)


def test_tokens_and_a_file_together(tmp_path):
    file = tmp_path / "tokens.json"
    file.write_text(json.dumps([{"name": "app", "token": "a" * 16, "experiments": ["x.*"]}]))
    first, second = read_clients(["t" * 16], file)
    assert (first.name, first.experiments) == ("token-1", ("*",))
    assert (second.name, second.token, second.experiments) == ("app", "a" * 16, ("x.*",))


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("{", "is not JSON"),
        ("{}", "must be a list"),
        ("[1]", r"\[0\]: must be an object"),
        ('[{"name": "a"}]', r"\[0\].token"),
        ('[{"name": "a", "token": "b", "scope": 1}]', "no field scope"),
        ('[{"name": "a", "token": "b", "experiments": "x"}]', "list of patterns"),
    ],
)
def test_a_file_that_is_wrong_is_told_where(tmp_path, text, named):
    file = tmp_path / "tokens.json"
    file.write_text(text)
    with pytest.raises(SettingsError, match=named):
        read_clients([], file)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(SettingsError, match="cannot be read"):
        read_clients([], tmp_path / "none.json")
