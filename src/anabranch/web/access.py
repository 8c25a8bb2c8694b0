"""Who may ask for what: bearer tokens, compared in constant time."""

from __future__ import annotations

import hmac
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from anabranch.errors import SettingsError

__all__ = ["ANYBODY", "Access", "Client", "read_clients", "shown_token"]

_LEAST: Final = 16
"""Characters a token has at least: shorter ones are guessed."""


@dataclass(frozen=True, slots=True)
class Client:
    """Somebody with a token.

    Attributes:
        name: For metrics and the rate limit.
        token: What they show.
        experiments: Patterns of the keys they may see, such as ``checkout.*``.
    """

    name: str
    token: str = field(repr=False)
    experiments: tuple[str, ...] = ("*",)

    def may_see(self, key: str) -> bool:
        """Whether one of the patterns matches."""
        return any(one == "*" or fnmatchcase(key, one) for one in self.experiments)


ANYBODY: Final = Client("anybody", "")
"""Whoever asks where no tokens are set."""


class Access:
    """Finds the client of a request.

    Args:
        clients: With tokens; none lets everybody in.

    Raises:
        SettingsError: A token is too short, or two clients share a name or a token.
    """

    def __init__(self, clients: Iterable[Client] = ()) -> None:
        self._clients = [(sha256(one.token.encode()).digest(), one) for one in clients]
        for _, one in self._clients:
            if len(one.token) < _LEAST:
                raise SettingsError(
                    f"the token of {one.name!r} has {len(one.token)} characters: give it {_LEAST} "
                    "at least, such as `openssl rand -hex 32` makes"
                )
        names = [one.name for _, one in self._clients]
        if len(set(names)) < len(names) or len({digest for digest, _ in self._clients}) < len(
            names
        ):
            raise SettingsError("two clients share a name or a token")

    @property
    def open(self) -> bool:
        """Whether everybody is let in."""
        return not self._clients

    def find(self, headers: Sequence[tuple[bytes, bytes]]) -> Client | None:
        """Whose token the headers ``authorization`` or ``x-api-key`` show; None for nobody's.

        Every client's token is compared, in constant time, whichever matches.
        """
        return ANYBODY if self.open else self.whose(shown_token(headers))

    def whose(self, token: bytes) -> Client | None:
        """The client of a token; None for nobody's, also where there are no clients."""
        shown = sha256(token).digest()
        found = None
        for digest, client in self._clients:
            if hmac.compare_digest(digest, shown):
                found = client
        return found


def shown_token(headers: Sequence[tuple[bytes, bytes]]) -> bytes:
    """The token in a request's headers; empty where they show none."""
    for name, value in headers:
        if name == b"authorization" and value[:7].lower() == b"bearer ":
            return value[7:].strip()
        if name == b"x-api-key":
            return value.strip()
    return b""


def read_clients(
    tokens: Sequence[str], file: Path | None, *, setting: str = "ANABRANCH_SERVE_TOKENS_FILE"
) -> list[Client]:
    """The clients that settings name.

    Args:
        tokens: Each of a client that may see everything; named ``token-1`` and so on.
        file: JSON, a list of ``{"name", "token", "experiments"?}``.
        setting: Which names the file, for messages.

    Raises:
        SettingsError: The file cannot be read, or is not of that form.
    """
    clients = [Client(f"token-{n}", token) for n, token in enumerate(tokens, 1)]
    if file is None:
        return clients
    where = f"{setting} {file}"
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{where}: cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise SettingsError(f"{where}: is not JSON: {error}") from error
    if not isinstance(found, list):
        raise SettingsError(f"{where}: must be a list of objects with name and token")
    return clients + [_client(one, f"{where}[{n}]") for n, one in enumerate(found)]


def _client(given: Any, where: str) -> Client:
    if not isinstance(given, Mapping):
        raise SettingsError(f"{where}: must be an object with name and token")
    unknown = set(given) - {"name", "token", "experiments"}
    if unknown:
        raise SettingsError(f"{where}: has no field {', '.join(sorted(unknown))}")
    for name in ("name", "token"):
        if not isinstance(given.get(name), str) or not given[name]:
            raise SettingsError(f"{where}.{name}: must be text that is not empty")
    patterns = given.get("experiments", ["*"])
    if not isinstance(patterns, list) or not all(isinstance(one, str) for one in patterns):
        raise SettingsError(f"{where}.experiments: must be a list of patterns such as checkout.*")
    return Client(given["name"], given["token"], tuple(patterns))
