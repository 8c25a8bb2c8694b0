"""Who is signed in to the dashboard: a cookie that scripts cannot read, and a token against CSRF.

==========================  =====================================================================
``GET /api/session``        ``{"signedIn", "name", "csrf", "until"}``
``POST /api/session``       ``{"token"}`` signs in; the answer sets the cookie
``DELETE /api/session``     signs out
==========================  =====================================================================

Sessions are kept in this process: a restart signs everybody out. The cookie is ``HttpOnly`` and
``SameSite=Strict``. What changes something must show the session's CSRF token besides, in the
header ``x-csrf-token``, which pages of other origins cannot read (OWASP, synchronizer token).
Scripts sign nothing in: they send ``authorization: Bearer TOKEN``, which browsers never add by
themselves.
"""

from __future__ import annotations

import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from anabranch.web.access import Access, Client, shown_token
from anabranch.web.asking import Refused, answer, ask, refusal
from anabranch.web.limits import RateLimit

__all__ = ["COOKIE", "CSRF_HEADER", "Sessions"]

COOKIE: Final = "anabranch-session"
CSRF_HEADER: Final = "x-csrf-token"

_HOURS: Final = 12
_MOST: Final = 1000
"""Sessions at a time; beyond them the oldest ends."""

_TRIES_PER_SECOND: Final = 0.2
_TRIES_AT_ONCE: Final = 10


@dataclass(frozen=True, slots=True)
class _Session:
    client: Client
    csrf: str
    until: float


class _SignIn(msgspec.Struct, forbid_unknown_fields=True):
    token: str


class Sessions:
    """Lets people with tokens in.

    Args:
        access: Who has a token; nobody gets in where it has no clients.
        clock: Seconds since the epoch.
    """

    def __init__(self, access: Access, clock: Callable[[], float]) -> None:
        self._access = access
        self._clock = clock
        self._sessions: dict[str, _Session] = {}
        self._tries = RateLimit(_TRIES_PER_SECOND, _TRIES_AT_ONCE)

    @property
    def routes(self) -> list[Route]:
        """As the module's table has them."""
        return [
            Route("/api/session", self._show, methods=["GET"]),
            Route("/api/session", self._open, methods=["POST"]),
            Route("/api/session", self._close, methods=["DELETE"]),
        ]

    def client(self, request: Request) -> Client:
        """Who asks for a change, by bearer token or by session.

        Raises:
            Refused: Nobody is signed in, or the request may come from another site.
        """
        if token := shown_token(request.headers.raw):
            return self._whose(request, token)
        session = self._find(request)
        if session is None:
            raise Refused(401, "sign in first: your session has ended, or never began")
        _same_origin(request)
        shown = request.headers.get(CSRF_HEADER, "")
        if not hmac.compare_digest(shown.encode(), session.csrf.encode()):
            raise Refused(403, f"the header {CSRF_HEADER} does not fit the session: load it again")
        return session.client

    def _whose(self, request: Request, token: bytes) -> Client:
        where = request.client.host if request.client else ""
        found = self._access.whose(token)
        if found is None:
            wait = self._tries.take(where, self._clock())
            if wait:
                seconds = str(int(wait) + 1)
                raise Refused(
                    429, f"too many wrong tokens: wait {seconds} s", {"retry-after": seconds}
                )
            raise Refused(401, "nobody has that token", {"www-authenticate": "Bearer"})
        return found

    def _find(self, request: Request) -> _Session | None:
        session = self._sessions.get(request.cookies.get(COOKIE, ""))
        return session if session is not None and self._clock() < session.until else None

    # -- routes -------------------------------------------------------------------------------

    async def _show(self, request: Request) -> Response:
        session = self._find(request)
        if session is None:
            return answer({"signedIn": False})
        return answer(_told(session))

    async def _open(self, request: Request) -> Response:
        try:
            _same_origin(request)
            asked = await ask(request, _SignIn)
            client = self._whose(request, asked.token.encode())
        except Refused as error:
            return refusal(error)
        now = self._clock()
        self._sessions = {key: one for key, one in self._sessions.items() if now < one.until}
        while len(self._sessions) >= _MOST:
            del self._sessions[next(iter(self._sessions))]
        name = secrets.token_urlsafe(32)
        session = _Session(client, secrets.token_urlsafe(32), now + _HOURS * 3600)
        self._sessions[name] = session
        response = answer(_told(session))
        response.set_cookie(
            COOKIE,
            name,
            max_age=_HOURS * 3600,
            path="/",
            secure=_encrypted(request),
            httponly=True,
            samesite="strict",
        )
        return response

    async def _close(self, request: Request) -> Response:
        try:
            self.client(request)
        except Refused as error:
            return refusal(error)
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        response = answer({"signedIn": False})
        response.delete_cookie(COOKIE, path="/", httponly=True, samesite="strict")
        return response


def _told(session: _Session) -> dict[str, object]:
    return {
        "signedIn": True,
        "name": session.client.name,
        "csrf": session.csrf,
        "until": round(session.until * 1000),
    }


def _encrypted(request: Request) -> bool:
    """Whether the browser came by https, also through a proxy: then the cookie never goes plain.

    Anybody may send the proxy's header, and only makes his own cookie stricter by it.
    """
    forwarded = request.headers.get("x-forwarded-proto", "").partition(",")[0].strip()
    return request.url.scheme == "https" or forwarded == "https"


def _same_origin(request: Request) -> None:
    """Browsers tell where a page came from that sends something; ``null`` is no origin of ours."""
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise Refused(403, f"a page of {origin} may not do this")
