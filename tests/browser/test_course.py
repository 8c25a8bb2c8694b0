"""Units and sample ratio over time, and segments, of one experiment."""

from __future__ import annotations

import re

from anabranch.processors.reports import EXPOSURES
from anabranch.web import Board
from tests.browser.site import Site, server
from tests.browser.test_dashboard import CONTRAST, PLOTTED, THEMES, come
from tests.browser.visit import Visit, expect
from tests.web.records import KEY, MINUTE, NOW, RUN, VERSION, results, window


async def test_units_over_time_come_with_their_formula(visit: Visit, site: Site):
    await come(visit, site.address)
    chart = visit.page.locator("[data-chart='course:units']")
    await expect(chart).to_have_attribute("aria-label", re.compile(r"Latest: .* \d"))
    await visit.page.wait_for_function(PLOTTED)
    await visit.page.locator("[data-key=course] button[data-why=figures]").click()
    await expect(visit.page.locator("#why h2")).to_have_text("Units and what they did")
    await visit.page.keyboard.press("Escape")


async def test_segments_can_be_read(visit: Visit):
    board = Board()
    board.apply("metric-windows", *window(NOW, 4.0, metric=EXPOSURES), (), NOW)
    board.apply("results", *results(), (), NOW)
    for value in ("de", "fr"):
        key = f"{KEY}|{VERSION}|country|{value}".encode()
        board.apply("segments", key, results(50, difference=0.25)[1], (), NOW)
    await visit.page.set_viewport_size({"width": 390, "height": 844})
    async with server(board) as address:
        await come(visit, address, f"/?experiment={RUN}")
        ratio = visit.page.locator("[data-chart='course:ratio']")
        await expect(ratio).to_have_attribute("aria-label", re.compile("Latest 1"))
        rows = visit.page.locator("[data-key=segments] tbody tr")
        await expect(rows).to_have_count(4)
        await expect(rows.nth(1)).to_contain_text("+0.25")
        for theme in THEMES:
            await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
            assert (await visit.page.evaluate(CONTRAST))["poor"] == []
        assert await visit.page.evaluate("document.scrollingElement.scrollWidth") <= 390
        await visit.page.goto("about:blank")  # its stream ends before the server does


# Painted pixels of the plot's right and left quarter.
PAINTED = """(chart) => {
  const drawn = chart.querySelector('canvas');
  const { width, height } = drawn;
  const copy = Object.assign(document.createElement('canvas'), { width, height });
  const pen = copy.getContext('2d', { willReadFrequently: true });
  pen.drawImage(drawn, 0, 0);
  const quarter = Math.floor(width / 4);
  const painted = (from) => pen.getImageData(from, 0, quarter, height).data
    .filter((byte, i) => i % 4 === 3 && byte > 0).length;
  return [painted(width - quarter), painted(quarter)];
}"""


async def test_windows_that_are_not_final_are_hatched(visit: Visit):
    board = Board()
    for n in range(20):
        board.apply("metric-windows", *window(NOW + n * MINUTE, 4.0, final=n < 10), (), NOW)
    await visit.page.set_viewport_size({"width": 390, "height": 844})
    async with server(board) as address:
        await come(visit, address, f"/?experiment={RUN}")
        chart = visit.page.locator("[data-chart='window:1m:Orders']")
        await expect(chart).to_have_attribute(
            "aria-label", re.compile("10 of 20 windows not final")
        )
        legend = visit.page.locator("[data-key=windows] .legend .state")
        await expect(legend).to_have_text("10 of 20 windows not final")
        await expect(legend.locator(".hatched")).to_be_visible()
        await expect(chart.locator("canvas")).to_be_visible()
        hatched, plain = await chart.evaluate(PAINTED)
        assert hatched > 2 * plain
        for n in range(10, 20):
            board.apply("metric-windows", *window(NOW + n * MINUTE, 4.0), (), NOW)
        await expect(legend).to_have_text("all windows final")
        await expect(legend.locator(".hatched")).to_have_count(0)
        hatched, plain = await chart.evaluate(PAINTED)
        assert hatched < 2 * plain
        await visit.page.goto("about:blank")  # its stream ends before the server does


async def test_how_long_it_takes_and_what_was_left_out(visit: Visit, site: Site):
    await come(visit, site.address)
    rows = visit.page.locator("[data-key=outlook] tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.first).to_contain_text(re.compile(r"±0\.\d+ \(±\d+\.\d %\)"))
    await expect(rows.last).to_contain_text("Cannot be said: the formula is of means")
    await visit.page.locator("[data-key=outlook] button[data-why=outlook]").click()
    await expect(visit.page.locator("#why h2")).to_have_text("How long it takes")
    await visit.page.keyboard.press("Escape")
    chart = visit.page.locator("[data-key=windows] [role=img]").first
    await expect(chart).to_have_attribute(
        "aria-label", re.compile(r"\d+ of [\d,]+ windows not final")
    )
    left_out = visit.page.locator("[data-key=left-out]")
    await expect(left_out.locator("dt")).to_contain_text(
        ["Crossovers", "Late, and counted", "Too late for windows", "Dead letters", "Repeats"]
    )
    for topic in ("letters", "repeats"):
        await left_out.locator(f"button[data-why={topic}]").focus()
        await visit.page.keyboard.press("Enter")
        await expect(visit.page.locator("#why a[href$='#late-and-left-out']")).to_have_count(1)
        await visit.page.keyboard.press("Escape")
    for theme in THEMES:
        await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert (await visit.page.evaluate(CONTRAST))["poor"] == []
