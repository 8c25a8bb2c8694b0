"""Where OAUTHBEARER gets its tokens: an authorization server, or a file somebody keeps fresh.

Both are asked from several event loops at once (Faust's consumer has a thread of its own), so
they work on threads under a lock, and no event loop ever waits for the network or a disk.
"""

from __future__ import annotations

import asyncio
import base64
import json
import logging
import re
import ssl
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import Any

from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

log = logging.getLogger(__name__)

_FRESH = 0.8
"""Share of its life after which a token is replaced, as Kafka's own clients do (KIP-255)."""

_UNTOLD_LIFE = 300.0
_TIMEOUT = 10.0
_ANSWER_LIMIT = 1 << 20
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")
"""RFC 6750, section 2.1."""


class TokenError(AuthenticationFailedError):  # type: ignore[misc]
    """No token can be had; aiokafka takes it as a failed login and tries again."""

    def __str__(self) -> str:
        return str(self.args[0])


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]
    def __init__(self) -> None:
        self._lock = threading.Lock()

    async def token(self) -> str:
        """A token that has not expired.

        Raises:
            TokenError: There is none; the message never holds a token or a secret.
        """
        return await asyncio.to_thread(self._locked)

    def _locked(self) -> str:
        with self._lock:
            return self._current()

    def _current(self) -> str:
        raise NotImplementedError


class ClientCredentials(_Tokens):
    """Tokens of the client-credentials grant (RFC 6749, section 4.4), kept until nearly expired.

    Args:
        url: Token endpoint.
        client_id: Who we are.
        client_secret: Sent in the Authorization header only, and never after a redirect.
        scope: What to ask for; the server's default when None.
        context: Whom to trust over https.
        clock: Seconds that never run backwards.
    """

    def __init__(
        self,
        url: str,
        client_id: str,
        client_secret: str,
        *,
        scope: str | None = None,
        context: ssl.SSLContext | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__()
        self._url = url
        # Section 2.3.1: both are form-encoded first, so that a colon in either does no harm.
        pair = ":".join(urllib.parse.quote_plus(part) for part in (client_id, client_secret))
        self._authorization = "Basic " + base64.b64encode(pair.encode()).decode()
        self._form = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._opener = urllib.request.build_opener(
            _NoRedirects(), urllib.request.HTTPSHandler(context=context)
        )
        self._clock = clock
        self._token: str | None = None
        self._fresh_until = self._valid_until = float("-inf")

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._url}>"

    def _current(self) -> str:
        now = self._clock()
        if self._token is not None and now < self._fresh_until:
            return self._token
        try:
            token, life = self._fetch()
        except TokenError as error:
            if self._token is None or now >= self._valid_until:
                raise
            log.warning("%s; using the token we have while it is valid", error)
            return self._token
        self._token = token
        self._fresh_until, self._valid_until = now + _FRESH * life, now + life
        return token

    def _fetch(self) -> tuple[str, float]:
        request = urllib.request.Request(  # noqa: S310 - the settings let only http(s) through
            self._url,
            data=urllib.parse.urlencode(self._form).encode(),
            headers={"Authorization": self._authorization, "Accept": "application/json"},
        )
        try:
            with self._opener.open(request, timeout=_TIMEOUT) as answer:
                body = answer.read(_ANSWER_LIMIT)
        except urllib.error.HTTPError as error:
            with error:
                code = _error_code(error.read(_ANSWER_LIMIT))
            raise TokenError(
                f"{self._url} gives no token: HTTP {error.code}{code and f', {code}'}. Check "
                "ANABRANCH_OAUTH_CLIENT_ID and ANABRANCH_OAUTH_CLIENT_SECRET"
            ) from None
        except (OSError, HTTPException) as error:
            reason = getattr(error, "reason", error)
            raise TokenError(f"{self._url} gives no token: {reason}") from None
        return self._parse(body)

    def _parse(self, body: bytes) -> tuple[str, float]:
        answer = _json_object(body)
        token, life = answer.get("access_token"), answer.get("expires_in", _UNTOLD_LIFE)
        if not isinstance(token, str) or not _TOKEN.fullmatch(token):
            raise TokenError(f"{self._url} answers without a usable access_token (RFC 6749, 5.1)")
        try:
            return token, max(0.0, float(life))
        except (TypeError, ValueError):
            return token, _UNTOLD_LIFE


class TokenFile(_Tokens):
    """The token in a file, read again whenever the file changes, as Kubernetes mounts one.

    Args:
        path: The file; white space around the token is dropped.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self._seen: tuple[int, int, int] | None = None
        self._token = ""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self._path}>"

    def _current(self) -> str:
        try:
            state = self._path.stat()
            seen = (state.st_ino, state.st_mtime_ns, state.st_size)
            if seen != self._seen:
                token = self._path.read_text(encoding="ascii").strip()
                if not _TOKEN.fullmatch(token):
                    raise TokenError(
                        f"{self._path} (ANABRANCH_OAUTH_TOKEN_FILE) does not hold a bearer token"
                    )
                self._token, self._seen = token, seen
        except OSError as error:
            raise TokenError(
                f"{self._path} (ANABRANCH_OAUTH_TOKEN_FILE) cannot be read: {error.strerror}"
            ) from None
        except UnicodeDecodeError:
            raise TokenError(
                f"{self._path} (ANABRANCH_OAUTH_TOKEN_FILE) does not hold a bearer token"
            ) from None
        return self._token


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    """A redirect would take the Authorization header along to wherever it points."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _error_code(body: bytes) -> str:
    """The ``error`` of RFC 6749, section 5.2; nothing else of the body, which may echo us."""
    code = _json_object(body).get("error")
    return code if isinstance(code, str) and re.fullmatch(r"[a-z_]{1,40}", code) else ""


def _json_object(body: bytes) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}
