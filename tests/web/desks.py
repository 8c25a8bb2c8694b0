"""A dashboard over an in-process specs topic, and people who may sign in to it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx

from anabranch.engine.embedded import Log
from anabranch.lifecycle import propose
from anabranch.runtime import LiveCatalog
from anabranch.runtime.publishing import EmbeddedSpecStore
from anabranch.runtime.spec_logs import EmbeddedSpecsLog
from anabranch.runtime.specs import Following
from anabranch.specs import Catalog, Spec
from anabranch.topology import Names
from anabranch.web import Board, create_app
from anabranch.web.access import Access, Client
from anabranch.web.desk import Desk
from tests.web.records import NOW

ADA = Client("ada", "a" * 16)
CHECKOUT = Client("bob", "b" * 16, ("checkout.*",))


@dataclass
class Clock:
    """Attributes:
    now: Seconds since the epoch.
    """

    now: float = NOW / 1000

    def __call__(self) -> float:
        return self.now


@dataclass
class Office:
    """What is published, and the dashboard that shows and changes it.

    Attributes:
        people: Who may change something.
    """

    people: tuple[Client, ...] = (ADA, CHECKOUT)
    clock: Clock = field(default_factory=Clock)
    log: Log = field(default_factory=Log)
    names: Names = field(default_factory=lambda: Names("t"))

    def __post_init__(self) -> None:
        for name in ("specs", "audit"):
            self.log.create_topic(self.names.topic(name), 3)
        self.store = EmbeddedSpecStore(self.log, self.names)

    async def publish(self, *specs: Spec, who: str = "eve", why: str = "") -> None:
        publication = propose(await self.store.look(), specs)
        entries = publication.entries(at="2026-01-01T00:00:00Z", who=who, action="publish", why=why)
        await self.store.publish(publication, list(entries))

    async def status(self, key: str) -> str:
        current = (await self.store.look()).specs.catalog().current(key)
        assert current is not None
        return str(current.status)

    def desk(self, live: LiveCatalog) -> Desk:
        return Desk(live, self.store, clock=self.clock, access=Access(self.people))

    @asynccontextmanager
    async def live(self) -> AsyncIterator[LiveCatalog]:
        """What holds, as it is published."""
        live = LiveCatalog()
        async with Following(live, EmbeddedSpecsLog(self.log, self.names)):
            yield live

    def client(self, *files: Spec, base: str = "http://test", **settings: Any) -> httpx.AsyncClient:
        """A browser of its own, cookies and all."""
        desk = self.desk(LiveCatalog(Catalog.of(files)))
        app = create_app(Board(), clock=self.clock, desk=desk)
        return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=base, **settings)


async def signed_in(http: httpx.AsyncClient, person: Client = ADA) -> dict[str, str]:
    """Sign in; the headers that changes need from then on."""
    answer = await http.post("/api/session", json={"token": person.token})
    assert answer.status_code == 200, answer.text
    return {"x-csrf-token": answer.json()["csrf"]}
