"""What requests of the dashboard's pages bring, and how they are refused: JSON in, JSON out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from anabranch.errors import (
    AnabranchError,
    EngineError,
    KafkaAccessError,
    KafkaUnavailableError,
    LifecycleError,
    PublishConflictError,
    SpecError,
    UnknownSpecError,
)

__all__ = ["MOST_BYTES", "Refused", "answer", "ask", "refusal"]

MOST_BYTES: Final = 64 * 1024
"""Largest request taken in."""

_encode = msgspec.json.Encoder().encode
_Asked = TypeVar("_Asked", bound=msgspec.Struct)


class Refused(Exception):  # noqa: N818 - an answer, which no caller outside of the web layer sees
    """A request that is answered by an error.

    Args:
        status: Of HTTP.
        message: What was wrong and what to do.
        headers: Of the answer.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})


def answer(data: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """JSON that nobody keeps."""
    return Response(
        _encode(data),
        status,
        media_type="application/json",
        headers={"cache-control": "no-store", **(headers or {})},
    )


async def ask(request: Request, kind: type[_Asked]) -> _Asked:
    """What the request's JSON asks for.

    JSON is required by its media type, too: pages of other sites cannot send that unasked.

    Raises:
        Refused: It is too long, no JSON, or something else than the kind.
    """
    media = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media != "application/json":
        raise Refused(415, "send JSON, with content-type: application/json")
    body = b""
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST_BYTES:
            raise Refused(413, f"the request is longer than {MOST_BYTES} bytes")
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise Refused(400, f"the request is not as it should be: {error}") from None


_STATUS: Final[tuple[tuple[type[AnabranchError], int], ...]] = (
    (UnknownSpecError, 404),
    (PublishConflictError, 409),
    (LifecycleError, 422),
    (SpecError, 422),
    (KafkaUnavailableError, 503),
    (KafkaAccessError, 503),
    (EngineError, 503),
)


def refusal(error: Exception) -> Response:
    """The answer to a request that failed on purpose; any other error is raised again."""
    if isinstance(error, Refused):
        return answer({"error": str(error)}, error.status, error.headers)
    for kind, status in _STATUS:
        if isinstance(error, kind):
            return answer({"error": str(error), "kind": type(error).__name__}, status)
    raise error
