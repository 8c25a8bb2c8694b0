"""A thousand experiments in the list: found, sorted, paged, read, reached."""

from __future__ import annotations

import re

from anabranch.web import Board
from tests.browser.site import server
from tests.browser.test_dashboard import CONTRAST, THEMES, come
from tests.browser.visit import Visit, expect
from tests.web.records import many_runs

ROWS = ".listed tbody tr"


async def leave(visit: Visit) -> None:
    await visit.page.goto("about:blank")  # its stream ends before the server does


def thousand() -> Board:
    board = Board()
    many_runs(board, 1000)
    return board


async def test_a_thousand_are_paged_found_and_sorted(visit: Visit):
    async with server(thousand()) as address:
        await come(visit, address, "/?view=experiments")
        rows = visit.page.locator(ROWS)
        await expect(rows).to_have_count(50)
        await visit.page.get_by_role("button", name="Next").click()
        await expect(visit.page.locator(".pager")).to_contain_text("Page 2 of 20")
        await visit.page.get_by_label("Search").fill("shop.e0777")
        await expect(rows).to_have_count(1)
        await expect(visit.page.locator(".facts")).to_have_text("1 of 1,000")
        await visit.page.get_by_label("Search").fill("nothing like it")
        await expect(visit.page.locator("main")).to_contain_text("No experiment is like that.")
        await visit.page.get_by_role("button", name="Show all").click()
        await expect(rows).to_have_count(50)
        await visit.page.get_by_role("button", name="Units").click()
        await expect(rows.first).to_contain_text("shop.e0999")
        await visit.page.get_by_label("Health").select_option("mismatch")
        await expect(rows).to_have_count(10)
        await rows.first.get_by_role("link").click()
        await expect(visit.page).to_have_url(re.compile("experiment=shop.e0900"))
        await expect(visit.page.locator("h1")).to_have_text("shop.e0900")
        beside = visit.page.locator("#experiments li")
        assert await beside.count() <= 21
        await expect(visit.page.locator("#experiments .all")).to_have_text("All 1,000 experiments")
        await leave(visit)


async def test_the_list_works_by_keyboard(visit: Visit):
    async with server(thousand()) as address:
        await come(visit, address, "/?view=experiments")
        await visit.page.get_by_label("Search").focus()
        await visit.page.keyboard.type("e0042")
        await expect(visit.page.locator(ROWS)).to_have_count(1)
        await expect(visit.page.get_by_label("Search")).to_be_focused()
        await visit.page.locator(".listed tbody a").focus()
        await visit.page.keyboard.press("Enter")
        await expect(visit.page.locator("h1")).to_have_text("shop.e0042")
        await leave(visit)


async def test_the_list_can_be_read_on_a_phone(visit: Visit):
    await visit.page.set_viewport_size({"width": 390, "height": 844})
    async with server(thousand()) as address:
        await come(visit, address, "/?view=experiments")
        await expect(visit.page.locator(ROWS)).to_have_count(50)
        for theme in THEMES:
            await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            found = await visit.page.evaluate(CONTRAST)
            assert found["checked"] > 80
            assert found["poor"] == []
        assert await visit.page.evaluate("document.scrollingElement.scrollWidth") <= 390
        await leave(visit)
