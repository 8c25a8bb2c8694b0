"""Why a unit has its variant, by the specs that hold now: ``POST /api/explain``.

Nothing is written and nobody is exposed. Identities come in the body, so that no log has them.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from anabranch.assignment import ExperimentContext, Moment, explain_in
from anabranch.errors import AnabranchError, InvalidEventError
from anabranch.runtime.specs import LiveCatalog
from anabranch.web.asking import Refused, answer, ask, refusal

__all__ = ["Asked", "Explaining"]


class Asked(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """A unit, as a context has it.

    Attributes:
        experiment: Key.
        version: The one that holds when not given.
        user_id: Identity.
        session_id: Identity.
        organization_id: Identity.
        attributes: What targeting may ask.
        flags: Flags that are on.
        at: RFC 3339; now when not given.
    """

    experiment: str
    version: str | None = None
    user_id: str | None = None
    session_id: str | None = None
    organization_id: str | None = None
    attributes: dict[str, Any] | None = None
    flags: list[str] | None = None
    at: str | None = None


class Explaining:
    """Explains by a catalog.

    Args:
        live: What holds.
        clock: Seconds since the epoch.
    """

    def __init__(self, live: LiveCatalog, clock: Callable[[], float]) -> None:
        self._live = live
        self._clock = clock

    @property
    def routes(self) -> list[Route]:
        """One."""
        return [Route("/api/explain", self._explain, methods=["POST"])]

    async def _explain(self, request: Request) -> Response:
        try:
            asked = await ask(request, Asked)
            return answer(self._told(asked))
        except InvalidEventError as error:
            return refusal(Refused(422, str(error)))
        except (AnabranchError, Refused) as error:
            return refusal(error)

    def _told(self, asked: Asked) -> dict[str, Any]:
        catalog = self._live.catalog
        spec = None if asked.version else catalog.current(asked.experiment)
        if spec is None:
            spec = catalog.experiments.require(asked.experiment, asked.version)
        context = ExperimentContext(
            experiment=spec.key,
            version=asked.version,
            user_id=asked.user_id or None,
            session_id=asked.session_id or None,
            organization_id=asked.organization_id or None,
            attributes=asked.attributes or None,
            flags=asked.flags or None,
        )
        return explain_in(catalog, spec, context, self._moment(asked.at)).as_dict()

    def _moment(self, text: str | None) -> Moment:
        if not text:
            return int(self._clock() * 1000)
        try:
            moment = datetime.fromisoformat(text)
        except ValueError:
            raise Refused(422, f"{text!r} is no RFC 3339 time") from None
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
