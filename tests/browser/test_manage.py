"""Experiments are changed, explained and looked up on the dashboard by people who are let in."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from anabranch.lifecycle import find
from anabranch.web import Board
from tests.browser.site import server
from tests.browser.test_dashboard import CONTRAST, THEMES, come
from tests.browser.visit import Visit, expect
from tests.lifecycle.records import experiment
from tests.web.desks import ADA, Office

KEY = "checkout.button"
PATH = f"/?experiment={KEY}"
BUTTON = experiment(
    KEY, title="Button", expression="context.attributes?.plan === 'pro'", status="running"
)


@asynccontextmanager
async def opened(office: Office, *specs) -> AsyncIterator[str]:
    """A dashboard that follows what is published; its address."""
    await office.publish(*specs, why="a beginning")
    board = Board()
    async with office.live() as live:
        board.follow(live)
        async with server(board, desk=office.desk(live)) as address:
            yield address


async def sign_in(visit: Visit, token: str = ADA.token) -> None:
    await visit.page.get_by_role("button", name="Sign in to change it").click()
    await visit.page.get_by_label("Token").fill(token)
    await visit.page.keyboard.press("Enter")


def actions(visit: Visit):
    return visit.page.locator("[data-key=actions] button")


async def leave(visit: Visit) -> None:
    await visit.page.goto("about:blank")  # its stream ends before the server does


async def test_a_pause_by_somebody_who_was_let_in(visit: Visit):
    office = Office()
    visit.refused = {401}
    async with opened(office, BUTTON) as address:
        await come(visit, address, PATH)
        await sign_in(visit, "not-the-right-token")
        await expect(visit.page.locator("#act .problem")).to_have_text("nobody has that token")
        await visit.page.get_by_label("Token").fill(ADA.token)
        await visit.page.keyboard.press("Enter")
        await expect(actions(visit)).to_have_text(["Pause", "Ramp", "Stop", "Sign out"])

        await actions(visit).first.click()
        meaning = visit.page.locator("#act .meaning")
        await expect(meaning).to_contain_text("status running \u2192 paused")
        await expect(meaning).to_contain_text("Of 10,000 made-up units 0 take part, 10,000 before")
        await visit.page.get_by_label("Why, for the history").fill("support is flooded")
        await visit.page.locator("#act button[type=submit]").click()

        await expect(visit.page.locator(".said")).to_have_text(re.compile("Paused"))
        await expect(visit.page.locator(".heading .tag").nth(1)).to_have_text("paused")
        await expect(actions(visit)).to_have_text(["Resume", "Ramp", "Stop", "Sign out"])
        latest = visit.page.locator("[data-key=history] tbody tr").first
        await expect(latest).to_contain_text("ada by dashboard")
        await expect(latest).to_contain_text("support is flooded")
        await leave(visit)
    assert await office.status(KEY) == "paused"


async def test_a_ramp_shows_what_it_means_as_it_is_typed(visit: Visit):
    office = Office()
    async with opened(office, BUTTON) as address:
        await come(visit, address, PATH)
        await sign_in(visit)
        await visit.page.get_by_role("button", name="Ramp").click()
        share = visit.page.get_by_label("Percent of eligible units")
        await expect(share).to_have_value("100")
        meaning = visit.page.locator("#act .meaning")
        await expect(meaning).to_contain_text("nothing would change")
        await share.fill("10")
        await expect(meaning).to_contain_text("coverage 1 \u2192 0.1")
        await share.fill("101")
        await expect(meaning).to_contain_text("from 0 to 100")
        await share.fill("25")
        await visit.page.keyboard.press("Enter")
        await expect(visit.page.locator(".said")).to_have_text(re.compile("Ramped"))
        await leave(visit)
    spec = find(await office.store.look(), KEY)
    assert spec.document["coverage"] == 0.25


async def test_who_was_slower_is_told_and_changes_nothing(visit: Visit):
    office = Office()
    visit.refused = {409}
    async with opened(office, BUTTON) as address:
        await come(visit, address, PATH)
        await sign_in(visit)
        await visit.page.get_by_role("button", name="Stop").click()
        await expect(visit.page.locator("#act .meaning")).to_contain_text("completed")
        await office.publish(BUTTON.model_copy(update={"coverage": 0.5}), who="fay", why="calm")
        await visit.page.locator("#act button[type=submit]").click()
        problem = visit.page.locator("#act .problem")
        await expect(problem).to_contain_text("not any more what you were looking at")
        await expect(problem).to_contain_text("fay")
        await visit.page.keyboard.press("Escape")
        await expect(visit.page.locator("[data-key=history] tbody tr")).to_have_count(2)
        await leave(visit)
    assert await office.status(KEY) == "running"


async def test_a_session_that_ended_is_told(visit: Visit):
    office = Office()
    visit.refused = {401}
    async with opened(office, BUTTON) as address:
        await come(visit, address, PATH)
        await sign_in(visit)
        await expect(actions(visit)).to_have_count(4)
        office.clock.now += 13 * 3600
        await visit.page.get_by_role("button", name="Pause").click()
        await expect(visit.page.locator(".said")).to_have_text(re.compile("session has ended"))
        await expect(actions(visit)).to_have_text(["Sign in to change it"])
        await leave(visit)


async def test_actions_by_keyboard_in_both_themes_and_on_a_phone(visit: Visit):
    async with opened(Office(), BUTTON) as address:
        await visit.page.set_viewport_size({"width": 390, "height": 844})
        await come(visit, address, PATH)
        await sign_in(visit)
        pause = visit.page.get_by_role("button", name="Pause")
        await pause.focus()
        await visit.page.keyboard.press("Enter")
        await expect(visit.page.get_by_role("dialog")).to_be_visible()
        await expect(visit.page.get_by_label("Why, for the history")).to_be_focused()
        await expect(visit.page.locator("#act .meaning")).to_contain_text("made-up units")
        for theme in THEMES:
            await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            assert (await visit.page.evaluate(CONTRAST))["poor"] == []
        await visit.page.keyboard.press("Escape")
        await expect(visit.page.get_by_role("dialog")).to_be_hidden()
        await expect(pause).to_be_focused()
        assert await visit.page.evaluate("document.scrollingElement.scrollWidth") <= 390
        await leave(visit)


async def test_a_unit_is_explained(visit: Visit):
    async with opened(Office(people=()), BUTTON) as address:
        await come(visit, address, PATH)
        await expect(visit.page.locator("[data-key=actions]")).to_have_count(0)
        await visit.page.get_by_label("User id").fill("ada")
        attributes = visit.page.get_by_label("Attributes, as JSON")
        await attributes.fill("{plan")
        await visit.page.get_by_role("button", name="Explain").click()
        told = visit.page.locator("[data-key=explained]")
        await expect(told).to_contain_text("Attributes are no JSON")
        await attributes.fill('{"plan": "pro"}')
        await visit.page.keyboard.press("Enter")
        await expect(told.locator(".outcome")).to_have_text(
            "user:ada gets b, and takes part. Decided by allocation.rules[0]."
        )
        await expect(told).to_contain_text('context.attributes?.plan is "pro"')
        for theme in THEMES:
            await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            assert (await visit.page.evaluate(CONTRAST))["poor"] == []
        await leave(visit)


async def test_versions_tell_what_they_changed(visit: Visit):
    office = Office(people=())
    async with opened(office, BUTTON) as address:
        await come(visit, address, PATH)
        await office.publish(
            experiment(KEY, "2.0.0", title="Bolder button", status="running"), who="fay"
        )
        versions = visit.page.locator("[data-key=history] details")
        await visit.page.goto(address + PATH)
        await expect(versions).to_have_count(2)
        await versions.first.locator("summary").click()
        await expect(versions.first).to_contain_text("meta.title Button \u2192 Bolder button")
        await expect(versions.first.locator("pre")).to_contain_text('"version": "2.0.0"')
        await visit.page.wait_for_timeout(1500)  # the page was drawn anew meanwhile
        await expect(versions.first).to_have_attribute("open", "")
        await leave(visit)
