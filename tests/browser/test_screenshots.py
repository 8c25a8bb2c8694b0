"""The pictures in the docs: ``ANABRANCH_SCREENSHOTS=1 pytest tests/browser`` takes them anew."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.browser.site import TOKEN, Site
from tests.browser.test_dashboard import PLOTTED, come
from tests.browser.test_manage import sign_in
from tests.browser.visit import Visit, expect

IMAGES = Path(__file__).parents[2] / "docs" / "images"
LIMIT = 200_000
PICTURES = {"light": "dashboard.png", "dark": "dashboard-dark.png"}
PARTS = ("dashboard-ramp.png", "dashboard-explain.png")

only_when_asked = pytest.mark.skipif(
    os.environ.get("ANABRANCH_SCREENSHOTS") != "1",
    reason="takes the docs' pictures anew; only with ANABRANCH_SCREENSHOTS=1",
)


@only_when_asked
@pytest.mark.parametrize("theme", PICTURES)
async def test_take(visit: Visit, site: Site, theme: str):
    await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    await come(visit, site.address)
    await visit.page.wait_for_function(PLOTTED)
    taken = await visit.page.screenshot()
    assert len(taken) < LIMIT
    (IMAGES / PICTURES[theme]).write_bytes(taken)


@only_when_asked
async def test_take_parts(visit: Visit, site: Site):
    await come(visit, site.address)
    await sign_in(visit, TOKEN)
    await visit.page.get_by_role("button", name="Ramp").click()
    await visit.page.get_by_label("Percent of eligible units").fill("50")
    await expect(visit.page.locator("#act .meaning")).to_contain_text("0.5")
    taken = {PARTS[0]: await visit.page.locator("#act").screenshot()}
    await visit.page.keyboard.press("Escape")
    await visit.page.get_by_label("User id").fill("ada")
    await visit.page.get_by_label("Attributes, as JSON").fill('{"segment": "vip"}')
    await visit.page.keyboard.press("Enter")
    await expect(visit.page.locator(".outcome")).to_be_visible()
    taken[PARTS[1]] = await visit.page.locator("[data-key=explain]").screenshot()
    for name, picture in taken.items():
        assert len(picture) < LIMIT
        (IMAGES / name).write_bytes(picture)


@pytest.mark.parametrize("name", [*PICTURES.values(), *PARTS])
def test_the_pictures_are_there_and_small(name: str):
    picture = (IMAGES / name).read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) < LIMIT
