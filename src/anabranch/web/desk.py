"""What the dashboard offers beyond looking: explanations, history, and actions for those let in."""

from __future__ import annotations

from collections.abc import Callable

from starlette.routing import Route

from anabranch.runtime.publishing import SpecStore
from anabranch.runtime.specs import LiveCatalog
from anabranch.web.access import Access
from anabranch.web.explaining import Explaining
from anabranch.web.lifecycle import Lifecycle
from anabranch.web.sessions import Sessions

__all__ = ["Desk"]


class Desk:
    """Over the specs that hold and their topic.

    Args:
        live: What holds.
        store: The specs topic and its audit.
        clock: Seconds since the epoch.
        access: Who may change something; nobody where it has no clients.

    Attributes:
        offers: For the page: ``explain``, ``history``, and ``actions`` where somebody may act.
        routes: What is answered.
    """

    def __init__(
        self,
        live: LiveCatalog,
        store: SpecStore,
        *,
        clock: Callable[[], float],
        access: Access | None = None,
    ) -> None:
        acting = access is not None and not access.open
        sessions = Sessions(access, clock) if access is not None and acting else None
        self.offers = ("explain", "history", *(("actions",) if acting else ()))
        self.routes: list[Route] = [
            *Explaining(live, clock).routes,
            *Lifecycle(store, clock, sessions).routes,
            *(sessions.routes if sessions is not None else ()),
        ]
