"""The dashboard as people meet it: in a browser, over the running pipeline."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from anabranch.demo import EXPERIMENT, demo_catalog
from anabranch.web import Board
from tests.browser.site import Site, described_board, server
from tests.browser.visit import Visit, expect

CONTRAST = (Path(__file__).parent / "contrast.js").read_text()
THEMES = ["light", "dark"]

UNITS = ".tile:has-text('Units in the experiment') .figure"
LOST = "#link[data-state=lost]"

# Something was drawn on every chart that is there, and there are some.
PLOTTED = """() => {
  const plots = [...document.querySelectorAll('[data-chart] canvas')];
  return plots.length >= 2 && plots.every((canvas) => {
    const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
    return data.some((byte, i) => i % 4 === 3 && byte > 0);
  });
}"""


async def come(visit: Visit, address: str, path: str = "/") -> None:
    await visit.page.goto(address + path)
    await expect(visit.page.locator("#link")).to_have_text("Live")


async def units(visit: Visit) -> int:
    text = await visit.page.locator(UNITS).inner_text()
    return int(re.sub(r"\D", "", text))


async def test_the_list_leads_to_an_experiment(visit: Visit, site: Site):
    await come(visit, site.address)
    listed = visit.page.locator("#experiments a")
    await expect(listed).to_have_count(1)
    await expect(listed.locator(".title")).to_have_text("Split onboarding form")
    await expect(listed.locator(".hint")).to_contain_text("units")
    await listed.click()
    await expect(visit.page).to_have_url(re.compile(r"experiment="))
    await expect(visit.page.locator("h1")).to_have_text("Split onboarding form")
    await expect(visit.page.locator(".metric h3").first).to_contain_text("Completion rate")


async def test_numbers_move_while_people_look(visit: Visit, site: Site):
    await come(visit, site.address, f"/?experiment={EXPERIMENT}")
    before = await units(visit)
    listed = await visit.page.locator("#experiments .hint").inner_text()
    await site.send(5)
    await expect(visit.page.locator(UNITS)).not_to_have_text(f"{before:,}")
    await expect(visit.page.locator("#experiments .hint")).not_to_have_text(listed)
    assert await units(visit) > before


async def test_charts_are_drawn_in_both_themes(visit: Visit, site: Site):
    await come(visit, site.address, f"/?experiment={EXPERIMENT}")
    await visit.page.wait_for_function(PLOTTED)
    await visit.page.locator("#theme").click()
    await expect(visit.page.locator("html")).to_have_attribute("data-theme", "dark")
    await visit.page.wait_for_function(PLOTTED)
    await visit.page.reload()
    await expect(visit.page.locator("html")).to_have_attribute("data-theme", "dark")


async def test_the_keyboard_reaches_what_the_mouse_does(visit: Visit, site: Site):
    await come(visit, site.address)
    await expect(visit.page.locator(".metric").first).to_be_visible()
    reached: list[str] = []
    for _ in range(12):
        await visit.page.keyboard.press("Tab")
        reached.append(
            await visit.page.evaluate(
                "() => { const e = document.activeElement;"
                " return e.id || e.dataset.experiment || e.dataset.view || e.dataset.why || e.className }"
            )
        )
    run = f"{EXPERIMENT}@1.0.0"
    assert reached[:6] == ["skip", "brand", "experiments", "pipeline", "theme", run]
    assert "figures" in reached, "columns of the results explain themselves"


async def test_an_explanation_opens_and_closes_by_keyboard(visit: Visit, site: Site):
    await come(visit, site.address)
    number = visit.page.locator("tbody button[data-why=sequential]").first
    await number.focus()
    await visit.page.keyboard.press("Enter")
    dialog = visit.page.locator("#why")
    await expect(dialog).to_be_visible()
    await expect(dialog.locator("h2")).to_have_text("Interval and p-value at any time")
    await visit.page.keyboard.press("Escape")
    await expect(dialog).to_be_hidden()


async def test_every_explanation_has_its_place_in_the_manual(visit: Visit, site: Site):
    await come(visit, site.address)
    anchors = await visit.page.evaluate(
        "async () => Object.values((await import('/static/js/why.js')).TOPICS).map((t) => t.anchor)"
    )
    await visit.page.goto(f"{site.address}/docs/statistics")
    for anchor in set(anchors):
        await expect(visit.page.locator(f"[id='{anchor}']")).to_have_count(1)


async def test_the_skip_link_leads_to_the_results(visit: Visit, site: Site):
    await come(visit, site.address)
    await visit.page.keyboard.press("Tab")
    await expect(visit.page.locator(".skip")).to_be_in_viewport()
    await visit.page.keyboard.press("Enter")
    await expect(visit.page.locator("#main")).to_be_focused()


@pytest.mark.parametrize("theme", THEMES)
async def test_text_can_be_read(visit: Visit, site: Site, theme: str):
    await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    await come(visit, site.address)
    await expect(visit.page.locator(".metric").first).to_be_visible()
    found = await visit.page.evaluate(CONTRAST)
    assert found["checked"] > 80
    assert found["poor"] == []


@pytest.mark.parametrize("theme", THEMES)
async def test_the_manual_can_be_read(visit: Visit, site: Site, theme: str):
    await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
    await visit.page.goto(f"{site.address}/docs/statistics")
    await expect(visit.page.locator("h1").first).to_be_visible()
    assert (await visit.page.evaluate(CONTRAST))["poor"] == []


async def test_intervals_and_probabilities_are_shown_and_explained(visit: Visit, site: Site):
    await come(visit, site.address)
    metric = visit.page.locator(".metric").first
    for topic, looks in {
        "mean": r"0\.\d+ to 0\.\d+",
        "lift": r"\d.% to [+\u2212]",
        "best": r"% to be best",
    }.items():
        number = metric.locator(f"tbody button[data-why={topic}]").first
        await expect(number).to_have_text(re.compile(looks))
        await number.click()
        await expect(visit.page.locator("#why a[href^='/docs/statistics#']")).to_have_count(1)
        await visit.page.keyboard.press("Escape")
    drawn = visit.page.locator("[data-chart^='trend:']")
    await expect(drawn).to_have_count(3)
    await expect(drawn.first).to_have_attribute("aria-label", re.compile("95 % interval"))


async def test_intervals_of_percentiles_are_explained_by_their_own_formula(
    visit: Visit, site: Site
):
    await come(visit, site.address)
    for topic in ("quantileInterval", "quantileFixed"):
        await visit.page.locator(f"tbody button[data-why={topic}]").first.click()
        await expect(visit.page.locator("#why a[href$='#quantiles']")).to_have_count(1)
        await expect(visit.page.locator("#why a[href^='https://']")).to_have_count(1)
        await visit.page.keyboard.press("Escape")


async def test_numbers_of_the_whole_and_windows_are_explained(visit: Visit, site: Site):
    await come(visit, site.address)
    for place, title in {
        ".tile button[data-why=figures]": "Units and what they did",
        ".tile button[data-why=ratio]": "Sample ratio at any time",
        "[data-key=windows] button[data-why=windows]": "Windows",
    }.items():
        await visit.page.locator(place).click()
        await expect(visit.page.locator("#why h2")).to_have_text(title)
        await expect(visit.page.locator("#why a[href^='/docs/statistics#']")).to_have_count(1)
        await visit.page.keyboard.press("Escape")


@pytest.mark.parametrize("width", [1280, 1090, 940])
async def test_no_figure_runs_into_its_neighbour(visit: Visit, site: Site, width: int):
    await visit.page.set_viewport_size({"width": width, "height": 900})
    await come(visit, site.address)
    await expect(visit.page.locator(".metric").first).to_be_visible()
    assert (
        await visit.page.evaluate(
            "() => [...document.querySelectorAll('.figures td')]"
            ".filter((cell) => cell.scrollWidth > cell.clientWidth + 1)"
            ".map((cell) => cell.textContent)"
        )
        == []
    )


@pytest.mark.parametrize("width", [390, 820])
async def test_nothing_is_cut_off_on_small_screens(visit: Visit, site: Site, width: int):
    await visit.page.set_viewport_size({"width": width, "height": 844})
    await come(visit, site.address)
    await visit.page.wait_for_function(PLOTTED)
    wide = await visit.page.evaluate("document.scrollingElement.scrollWidth")
    assert wide <= width


async def test_a_server_that_stops_is_told_and_found_again(visit: Visit):
    visit.offline = True
    board = described_board(demo_catalog())
    async with contextlib.AsyncExitStack() as running:
        address = await running.enter_async_context(server(board))
        await come(visit, address)
        await running.aclose()
        await expect(visit.page.locator(LOST)).to_have_text("Disconnected")
        banner = visit.page.get_by_role("alert")
        await expect(banner).to_contain_text("Connection lost. You see the state of")
        await expect(visit.page.locator("h1")).to_have_text("Split onboarding form")
        found = await visit.page.evaluate(CONTRAST)
        assert found["poor"] == []
        async with server(board, port=urlsplit(address).port or 0):
            await visit.page.get_by_role("button", name="Try now").click()
            await expect(visit.page.locator("#link")).to_have_text("Live")
            await expect(banner).to_have_count(0)


async def test_an_empty_dashboard_says_what_it_waits_for(visit: Visit):
    async with server(Board()) as address:
        await come(visit, address)
        await expect(visit.page.locator("h1")).to_have_text("Waiting for the first assignment")
        await expect(visit.page.locator("#experiments a")).to_have_count(0)
        assert (await visit.page.evaluate(CONTRAST))["poor"] == []
        await visit.page.goto("about:blank")  # its stream ends before the server does


async def test_an_experiment_that_nobody_heard_of(visit: Visit, site: Site):
    await come(visit, site.address, "/?experiment=nothing")
    await expect(visit.page.locator("h1")).to_have_text("No such experiment")
    await visit.page.locator("#experiments a").click()
    await expect(visit.page.locator("h1")).to_have_text("Split onboarding form")
