"""What goes wrong with a request, with the status and the body that OFREP gives it."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

__all__ = ["ErrorCode", "Problem"]

ErrorCode = Literal[
    "PARSE_ERROR", "TARGETING_KEY_MISSING", "INVALID_CONTEXT", "FLAG_NOT_FOUND", "GENERAL"
]

_encode: Final = msgspec.json.Encoder().encode


class Problem(Exception):  # noqa: N818 - it is an answer, raised to leave early
    """An answer that is no evaluation.

    Args:
        status: Of HTTP.
        details: What was wrong, and what to do.
        code: OpenFeature's; None where the protocol has none for the status.
        headers: Besides those that every answer has.
    """

    def __init__(
        self,
        status: int,
        details: str,
        code: ErrorCode | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(details)
        self.status = status
        self.details = details
        self.code = code
        self.headers = headers

    def body(self, key: str | None) -> bytes:
        """JSON; with the key of the flag where one was asked for."""
        body = {} if key is None or self.code is None else {"key": key}
        if self.code is not None:
            body["errorCode"] = self.code
        body["errorDetails"] = self.details
        return _encode(body)
