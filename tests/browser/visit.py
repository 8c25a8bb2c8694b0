"""A page in the browser, and what happens on it that should not.

Without Playwright whatever imports this is skipped; in CI it fails.
"""

from __future__ import annotations

import importlib.util
import os
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import pytest

if importlib.util.find_spec("playwright") is None and os.environ.get("CI") != "true":
    pytest.skip(
        "the browser tests need Playwright, which is in requirements-extras.lock",
        allow_module_level=True,
    )

from playwright.async_api import ConsoleMessage, Page, Request, expect

__all__ = ["PATIENCE_MS", "Visit", "expect"]

PATIENCE_MS = 20_000

expect.set_options(timeout=PATIENCE_MS)


@dataclass
class Visit:
    """A page, and what happened on it that should not.

    Attributes:
        page: The page.
        errors: From its console, and exceptions that nobody caught.
        strangers: Addresses that were asked for elsewhere than where the page came from.
        offline: The test stops the server: failed requests are no surprise.
        refused: Statuses of HTTP that the test provokes, of which the console tells, too.
    """

    page: Page
    errors: list[str] = field(default_factory=list)
    strangers: list[str] = field(default_factory=list)
    offline: bool = False
    refused: set[int] = field(default_factory=set)

    def watch(self) -> None:
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._asked)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type not in {"error", "warning"}:
            return
        if self.offline and "ERR_" in message.text:
            return
        if any(f"status of {status} " in message.text for status in self.refused):
            return
        self.errors.append(f"{message.text} ({message.location.get('url')})")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.scheme not in {"data", "blob"} and address.hostname != "127.0.0.1":
            self.strangers.append(request.url)
