"""OFREP over ASGI: one flag, all flags.

==============================================  ==================================================
``POST /ofrep/v1/evaluate/flags/{key}``         one flag; using it is an exposure
``POST /ofrep/v1/evaluate/flags``               all flags, with an ETag; a prefetch is no exposure
``/livez``, ``/readyz``, ``/metrics``           health, and what Prometheus reads
==============================================  ==================================================

A plain ASGI application: routing by two prefixes costs a tenth of a general router's.

Source: OpenFeature Remote Evaluation Protocol 0.3.0, which has no ``configuration`` any more; what
0.1.0 had there is answered all the same, for providers of that time.
"""

from __future__ import annotations

import logging
import math
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

import msgspec
from mmh3 import mmh3_x64_128_digest
from starlette.types import Receive, Scope, Send

from anabranch.assignment import ExperimentContext
from anabranch.assignment.segments import segments_of
from anabranch.engine.context import ABOUT
from anabranch.errors import EventSchemaError
from anabranch.flags import context_of
from anabranch.flags.answers import Reason
from anabranch.flags.exposures import Use
from anabranch.runtime.flags import LiveFlags
from anabranch.specs import Identity, Status
from anabranch.specs.explain import nearest
from anabranch.web.access import Access, Client
from anabranch.web.limits import RateLimit
from anabranch.web.ofrep.answers import Encoder
from anabranch.web.ofrep.problems import Problem
from anabranch.web.ofrep.requests import RequestInfo, Took

if TYPE_CHECKING:  # needs an optional extra
    from anabranch.runtime.spans import RequestSpan, RequestSpans

__all__ = ["EvaluationApi", "Use"]

log = logging.getLogger(__name__)

FLAGS: Final = "/ofrep/v1/evaluate/flags"
CONFIGURATION: Final = "/ofrep/v1/configuration"
_ONE: Final = FLAGS + "/"
_ROUTES: Final = {"flag": _ONE + "{key}", "flags": FLAGS, "configuration": CONFIGURATION}
_JSON: Final = (b"content-type", b"application/json")
_HEADERS: Final = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_POLL_MS: Final = 5_000

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_encode = msgspec.json.Encoder().encode

Answer = tuple[int, bytes, tuple[tuple[bytes, bytes], ...]]
"""Status, body, headers."""


class EvaluationApi:
    """The application.

    Args:
        flags: What there is.
        clock: Milliseconds since the epoch.
        monotonic: Seconds, for the rate limit and for how long requests take.
        use: Told of each single evaluation, for exposures.
        access: Who may ask; everybody when not given.
        limit: How often each client may; any number of times when not given.
        targeting_key: The identity that a ``targetingKey`` is.
        max_body: Most bytes of a request.
        ops: Answers whatever is not OFREP: health and metrics.
        spans: Makes a span of each request; none when not given.

    Attributes:
        requests: By endpoint (``flag``, ``flags``, ``configuration``, ``other``) and status.
        took: By endpoint, how long requests took on the monotonic clock.
        reasons: Evaluations by OpenFeature's reason.
        ops: What answers by path; may be added to.
    """

    def __init__(
        self,
        flags: LiveFlags,
        *,
        clock: Callable[[], int],
        monotonic: Callable[[], float],
        use: Use | None = None,
        access: Access | None = None,
        limit: RateLimit | None = None,
        targeting_key: Identity = "userId",
        max_body: int = 1 << 20,
        ops: Mapping[str, Callable[[], Answer]] | None = None,
        spans: RequestSpans | None = None,
    ) -> None:
        self._flags = flags
        self._clock = clock
        self._monotonic = monotonic
        self._use = use
        self._access = access or Access()
        self._limit = limit
        self._targeting_key = targeting_key
        self._max_body = max_body
        self.ops = dict(ops or {})
        self._spans = spans
        self._encoder = Encoder()
        self.requests: Counter[tuple[str, int]] = Counter()
        self.took = {name: Took() for name in _ROUTES}
        self.reasons: Counter[Reason] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path: str = scope["path"]
        key: str | None = None
        if path.startswith(_ONE):
            # The raw path, for a key may hold an encoded slash.
            raw: bytes = scope.get("raw_path") or path.encode()
            key = unquote(raw.decode("ascii", "replace").partition("?")[0])[len(_ONE) :]
            endpoint = "flag"
        else:
            endpoint = {FLAGS: "flags", CONFIGURATION: "configuration"}.get(path, "other")
        began = self._monotonic()
        request = RequestInfo(scope["method"], path, scope["headers"])
        asked = ABOUT.set(request)
        span = None
        if self._spans is not None and endpoint != "other":
            span = self._spans.begin(scope["method"], _ROUTES[endpoint], request.trace)
            request.trace = span.trace
        try:
            status, body, headers = await self._answer(scope, receive, endpoint, key, request, span)
        except Problem as problem:
            status, headers = problem.status, (_JSON, *problem.headers)
            body = problem.body(key)
        except Exception:
            log.exception("%s %s failed", scope["method"], path)
            defect = Problem(500, "a defect of the service: its log has the traceback", "GENERAL")
            status, body, headers = 500, defect.body(key), (_JSON,)
        finally:
            ABOUT.reset(asked)
        if log.isEnabledFor(logging.DEBUG):
            log.debug("%s %s: %d", scope["method"], path, status, extra=request())
        self.requests[endpoint, status] += 1
        if endpoint != "other":
            self.took[endpoint].add(self._monotonic() - began)
        if span is not None:
            span.end(status)
        length = (b"content-length", b"%d" % len(body))
        told = (b"x-request-id", request.id)
        head = [*headers, told, *_HEADERS] if status == 304 else [*headers, told, length, *_HEADERS]
        await send({"type": "http.response.start", "status": status, "headers": head})
        if scope["method"] == "HEAD":
            body = b""
        await send({"type": "http.response.body", "body": body})

    async def _answer(
        self,
        scope: Scope,
        receive: Receive,
        endpoint: str,
        key: str | None,
        request: RequestInfo,
        span: RequestSpan | None,
    ) -> Answer:
        method = scope["method"]
        if endpoint == "other":
            op = self.ops.get(scope["path"])
            if op is None:
                raise Problem(404, f"there is nothing at {scope['path']}: flags are at {FLAGS}")
            _only(method, "GET", "HEAD")
            return op()
        headers = scope["headers"]
        client = self._admit(headers)
        request.client = client.name
        if endpoint == "configuration":
            _only(method, "GET")
            return _tagged(_CONFIGURATION, headers)
        _only(method, "POST")
        given = await self._context(receive)
        if key is None:
            return _tagged(await self._all(given, client), headers)
        return 200, await self._one(key, given, client, request, span), (_JSON,)

    def _admit(self, headers: list[tuple[bytes, bytes]]) -> Client:
        client = self._access.find(headers)
        if client is None:
            raise Problem(
                401,
                "show a token that is known: `Authorization: Bearer TOKEN`",
                headers=((b"www-authenticate", b"Bearer"),),
            )
        if self._limit is not None:
            wait = self._limit.take(client.name, self._monotonic())
            if wait > 0:
                seconds = math.ceil(wait)
                raise Problem(
                    429,
                    f"{client.name} asks more than {self._limit.rate:g} times a second: wait "
                    f"{seconds} s",
                    headers=((b"retry-after", b"%d" % seconds),),
                )
        return client

    async def _context(self, receive: Receive) -> Mapping[str, Any]:
        body = await _body(receive, self._max_body)
        try:
            given = _decode(body)
        except (ValueError, RecursionError) as error:
            raise Problem(
                400,
                f'the body is no JSON object such as {{"context": {{}}}}: {error}',
                "PARSE_ERROR",
            ) from None
        context = given.get("context")
        if not isinstance(context, dict):
            raise Problem(
                400, "context: must be an object: put targetingKey and attributes there",
                "INVALID_CONTEXT",
            )  # fmt: skip
        return context

    def _read(self, given: Mapping[str, Any], key: str | None = None) -> ExperimentContext:
        try:
            return context_of(given, key, targeting_key=self._targeting_key)
        except EventSchemaError as error:
            raise Problem(400, str(error), "INVALID_CONTEXT") from None

    async def _one(
        self,
        key: str,
        given: Mapping[str, Any],
        client: Client,
        request: RequestInfo,
        span: RequestSpan | None,
    ) -> bytes:
        if not client.may_see(key):
            raise Problem(403, f"{client.name} may not see {key}", "GENERAL")
        spec = self._flags.find(key)
        if spec is None:
            known = [one for one in self._flags.keys() if client.may_see(one)]  # noqa: SIM118
            raise Problem(404, f"flag {key} not found: {nearest(key, known)}", "FLAG_NOT_FOUND")
        now = self._clock()
        context = self._read(given, key)
        found = await self._flags.evaluate(spec, context, now)
        if found.unit is None and spec.status is Status.RUNNING:
            raise Problem(
                400, _no_unit(key, spec.unit, self._targeting_key), "TARGETING_KEY_MISSING"
            )
        reason, body = self._encoder.encode(spec, found)
        self.reasons[reason] += 1
        if span is not None:
            span.evaluated(found, reason)
        if self._use is not None:
            self._use(found, now, request.trace, segments_of(spec.segments, context.attributes))
        return body

    async def _all(self, given: Mapping[str, Any], client: Client) -> bytes:
        context = self._read(given)
        if not (context.user_id or context.organization_id or context.session_id):
            raise Problem(
                400, "context: has no identity: give targetingKey", "TARGETING_KEY_MISSING"
            )
        now = self._clock()
        flags: list[bytes] = []
        for key in list(self._flags.keys()):
            spec = self._flags.find(key)
            if spec is None or not client.may_see(key):
                continue
            found = await self._flags.evaluate(spec, context.asking_for(key), now)
            if found.unit is None and spec.status is Status.RUNNING:
                why = _no_unit(key, spec.unit, self._targeting_key)
                flags.append(Problem(400, why, "TARGETING_KEY_MISSING").body(key))
                continue
            reason, body = self._encoder.encode(spec, found)
            self.reasons[reason] += 1
            flags.append(body)
        return b'{"flags":[' + b",".join(flags) + b"]}"


_CONFIGURATION: Final = _encode(
    {
        "name": "anabranch",
        "capabilities": {
            "cacheInvalidation": {"polling": {"enabled": True, "minPollingIntervalMs": _POLL_MS}},
            "flagEvaluation": {"supportedTypes": ["int", "float", "string", "boolean", "object"]},
            # Using a flag is an exposure, which a cached answer would not tell.
            "caching": {"enabled": False},
        },
    }
)


def _only(method: str, *allowed: str) -> None:
    if method not in allowed:
        allow = ", ".join(allowed)
        raise Problem(
            405, f"{method} is not taken: use {allow}", headers=((b"allow", allow.encode()),)
        )


async def _body(receive: Receive, most: int) -> bytes:
    message = await receive()
    body: bytes = message.get("body", b"")
    while message.get("more_body"):
        if len(body) > most:
            break
        message = await receive()
        body += message.get("body", b"")
    if len(body) > most:
        raise Problem(
            413, f"the body is longer than {most:,} bytes: send less context", "PARSE_ERROR"
        )
    return body


def _tagged(body: bytes, headers: list[tuple[bytes, bytes]]) -> Answer:
    """The body with its ETag; nothing but that where the client has it (RFC 9110, 13.1.2)."""
    tag = b'"' + mmh3_x64_128_digest(body).hex().encode() + b'"'
    for name, value in headers:
        if name == b"if-none-match":
            shown = {one.strip().removeprefix(b"W/") for one in value.split(b",")}
            if tag in shown or b"*" in shown:
                return 304, b"", ((b"etag", tag),)
    return 200, body, (_JSON, (b"etag", tag))


def _no_unit(key: str, wanted: tuple[Identity, ...], targeting_key: Identity) -> str:
    names = ["targetingKey" if one == targeting_key else one for one in wanted]
    return f"context: {key} is run on {' or '.join(names)}, and there is none"
