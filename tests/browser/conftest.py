"""Chromium, driven by Playwright: one browser for all, a page of its own for every test.

``ANABRANCH_TEST_CHROMIUM`` names the browser where it is not on the path. Where there is none the
tests are skipped, in CI they fail: a page that no browser has drawn proves nothing.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import pytest_asyncio

from tests.browser.site import Site, demo_site

if TYPE_CHECKING:
    from playwright.async_api import Browser

    from tests.browser.visit import Visit

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        here = Path(__file__).parent in item.path.parents
        if here and "visit" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.browser)
            item.add_marker(pytest.mark.asyncio(loop_scope="package"), append=False)


@pytest.fixture(scope="session")
def chromium() -> str:
    named = os.environ.get("ANABRANCH_TEST_CHROMIUM")
    found = named or next(filter(None, map(shutil.which, NAMES)), None)
    if found is not None:
        return found
    missing = (
        f"no browser: install one of {', '.join(NAMES)}, or name it in ANABRANCH_TEST_CHROMIUM"
    )
    if os.environ.get("CI") == "true":
        pytest.fail(f"CI must test in a real browser: {missing}")
    pytest.skip(missing)


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def browser(chromium: str) -> AsyncIterator[Browser]:
    from playwright.async_api import async_playwright

    async with async_playwright() as started:
        launched = await started.chromium.launch(executable_path=chromium, args=list(FLAGS))
        yield launched
        await launched.close()


@pytest_asyncio.fixture(scope="package", loop_scope="package")
async def site() -> AsyncIterator[Site]:
    async with demo_site() as running:
        yield running


@pytest_asyncio.fixture(loop_scope="package")
async def visit(browser: Browser) -> AsyncIterator[Visit]:
    """A page whose console must stay quiet and which must ask nobody else."""
    from tests.browser.visit import PATIENCE_MS, Visit

    context = await browser.new_context(
        viewport={"width": 1280, "height": 900},
        color_scheme="light",
        locale="en-GB",
        timezone_id="UTC",
        reduced_motion="reduce",
    )
    context.set_default_timeout(PATIENCE_MS)
    visited = Visit(await context.new_page())
    visited.watch()
    yield visited
    await context.close()
    assert visited.errors == []
    assert visited.strangers == []
