"""What was published of an experiment, and what may be done to it from the dashboard.

==============================  ================================================================
``GET /api/published/{key}``    versions with documents and differences, legal actions, audit
``POST /api/actions``           :class:`Asked`; with ``dryRun`` only tells what it would change
==============================  ================================================================

An action names the digest of the spec that was looked at: whoever decided by what does not hold
any more is told so (409), and nothing is written. Promoting writes spec files and retiring a
version puts it away; the first is left to the command line.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from anabranch.errors import AnabranchError
from anabranch.events.cloudevents import format_time
from anabranch.lifecycle import (
    Action,
    AuditEntry,
    Published,
    acted,
    differences,
    legal,
    operations,
    propose,
    versions,
)
from anabranch.runtime.publishing import SpecStore
from anabranch.specs import ExperimentSpec
from anabranch.specs.version import version_key
from anabranch.web.asking import Refused, answer, ask, refusal
from anabranch.web.sessions import Sessions

__all__ = ["OFFERED", "Asked", "Lifecycle"]

OFFERED: Final = (Action.PAUSE, Action.RESUME, Action.RAMP, Action.STOP, Action.RETIRE)
"""Actions of the dashboard; others are of the command line."""

_ENTRIES: Final = 200
"""Latest entries of the audit that are told."""


class Asked(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """An action that somebody asks for.

    Attributes:
        experiment: Key.
        version: Of the experiment.
        action: One of :data:`OFFERED`.
        digest: Of the spec as it was looked at.
        percent: Share of eligible units that take part; for ``ramp``, 0 to 100.
        why: The reason, for the audit.
        dry_run: Write nothing.
    """

    experiment: str
    version: str
    action: str
    digest: str
    percent: float | None = None
    why: str = ""
    dry_run: bool = False


class Lifecycle:
    """Shows and changes what is published.

    Args:
        store: The specs topic and its audit.
        clock: Seconds since the epoch.
        sessions: Who may change something; nobody where it is not given.
    """

    def __init__(
        self, store: SpecStore, clock: Callable[[], float], sessions: Sessions | None = None
    ) -> None:
        self._store = store
        self._clock = clock
        self._sessions = sessions

    @property
    def routes(self) -> list[Route]:
        """As the module's table has them; without sessions nothing can be changed."""
        shown = [Route("/api/published/{key:path}", self._show, methods=["GET"])]
        if self._sessions is None:
            return shown
        return [*shown, Route("/api/actions", self._act, methods=["POST"])]

    async def _show(self, request: Request) -> Response:
        try:
            now = await self._store.look()
        except AnabranchError as error:
            return refusal(error)
        return answer(history(now, request.path_params["key"]))

    async def _act(self, request: Request) -> Response:
        try:
            return await self._acted(request)
        except (AnabranchError, Refused) as error:
            return refusal(error)

    async def _acted(self, request: Request) -> Response:
        if self._sessions is None:
            raise Refused(404, "this dashboard changes nothing")
        client = self._sessions.client(request)
        asked = await ask(request, Asked)
        if not client.may_see(asked.experiment):
            raise Refused(403, f"the token of {client.name} is not for {asked.experiment}")
        action, change = _action(asked)
        now = await self._store.look()
        spec = acted(
            now,
            asked.experiment,
            action,
            version=asked.version,
            change=change,
            seen=asked.digest,
        )
        publication = propose(now, [spec])
        millis = int(self._clock() * 1000)
        told = await asyncio.to_thread(operations.told, publication, millis)
        writing = bool(publication.proposed) and not asked.dry_run
        if writing:
            entries = publication.entries(
                at=format_time(millis),
                who=client.name,
                action=str(action),
                why=asked.why.strip(),
                via="dashboard",
            )
            await self._store.publish(publication, list(entries))
        return answer({"published": writing, "specs": told})


def _action(asked: Asked) -> tuple[Action, dict[str, object]]:
    if asked.action not in OFFERED:
        offered = ", ".join(OFFERED)
        raise Refused(422, f"{asked.action!r} is none of {offered}; others: anabranch --help")
    action = Action(asked.action)
    if action is not Action.RAMP:
        return action, {}
    if asked.percent is None or not 0 <= asked.percent <= 100:
        raise Refused(422, "a ramp takes a share from 0 to 100 percent")
    return action, {"coverage": round(asked.percent / 100, 9)}


def history(now: Published, key: str) -> dict[str, Any]:
    """What was published of an experiment.

    Args:
        now: What the topics say.
        key: The experiment's.

    Returns:
        ``{"experiment", "versions": [{"version", "digest", "status", "holds", "coverage",
        "actions", "document", "comparedWith", "differences": [{"path", "before", "after"}]}],
        "audit": [...]}``, the latest first; differences are those to the version before.
    """
    found = [
        spec for spec in versions(now, ExperimentSpec.kind, key) if isinstance(spec, ExperimentSpec)
    ]
    found.sort(key=lambda spec: version_key(spec.version))
    current = now.specs.catalog().current(key)
    before: ExperimentSpec | None = None
    shown: list[dict[str, Any]] = []
    for spec in found:
        shown.append(
            {
                "version": spec.version,
                "digest": spec.digest,
                "status": str(spec.status),
                "holds": current is not None and current.version == spec.version,
                "coverage": spec.coverage,
                "actions": [str(one) for one in legal(spec.status) if one in OFFERED],
                "document": spec.document,
                "comparedWith": None if before is None else before.version,
                "differences": []
                if before is None
                else [
                    {"path": d.path, "before": d.before, "after": d.after}
                    for d in differences(before, spec)
                ],
            }
        )
        before = spec
    audit: list[AuditEntry] = [
        entry for entry in now.history(key) if entry.kind == ExperimentSpec.kind
    ]
    return {
        "experiment": key,
        "versions": shown[::-1],
        "audit": [msgspec.to_builtins(entry) for entry in audit[-_ENTRIES:][::-1]],
    }
