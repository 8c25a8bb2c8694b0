"""The pictures in the README: ``ANABRANCH_SCREENSHOTS=1 pytest tests/browser`` takes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.site import Site
from tests.browser.test_dashboard import PLOTTED, come
from tests.browser.visit import Visit

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LIMIT = 200_000
PICTURES = {"light": "dashboard.png", "dark": "dashboard-dark.png"}


@pytest.mark.skipif(
    os.environ.get("ANABRANCH_SCREENSHOTS") != "1",
    reason="takes the docs' pictures anew; only with ANABRANCH_SCREENSHOTS=1",
)
@pytest.mark.parametrize("theme", PICTURES)
async def test_take(visit: Visit, site: Site, theme: str):
    await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    await come(visit, site.address)
    await visit.page.wait_for_function(PLOTTED)
    taken = await visit.page.screenshot()
    assert len(taken) < LIMIT
    (IMAGES / PICTURES[theme]).write_bytes(taken)


@pytest.mark.parametrize("name", PICTURES.values())
def test_the_pictures_are_there_and_small(name: str):
    picture = (IMAGES / name).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < LIMIT
