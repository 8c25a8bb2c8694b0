"""The page about the stages, and what it says when brokers are away."""

from __future__ import annotations

from anabranch.errors import KafkaUnavailableError
from anabranch.web import Board
from anabranch.web.pipeline import Watch
from tests.browser.site import Site, server
from tests.browser.test_dashboard import CONTRAST, THEMES, come
from tests.browser.visit import Visit, expect


async def test_every_stage_and_partition_is_shown(visit: Visit, site: Site):
    await come(visit, site.address)
    await visit.page.get_by_role("link", name="Pipeline").click()
    for stage in ("assign", "gate", "attribute", "aggregate"):
        panel = visit.page.locator(f"[data-key=stage-{stage}]")
        await expect(panel.locator(".tile").first).to_contain_text("Lag")
        await expect(panel.locator("tbody tr").first).to_be_visible()
    await expect(visit.page.locator("[data-key=stage-gate] .tile").first).to_contain_text("0")
    await visit.page.set_viewport_size({"width": 390, "height": 844})
    for theme in THEMES:
        await visit.page.emulate_media(color_scheme=theme, reduced_motion="reduce")
        assert (await visit.page.evaluate(CONTRAST))["poor"] == []
    assert await visit.page.evaluate("document.scrollingElement.scrollWidth") <= 390


async def test_brokers_that_are_away_are_told(visit: Visit):
    async def away() -> list:
        raise KafkaUnavailableError("no Kafka broker answers at 127.0.0.1:9")

    watch = Watch(away)
    await watch.look(lambda: 0.0)
    async with server(Board(), pipeline=watch) as address:
        await come(visit, address, "/?view=pipeline")
        told = visit.page.get_by_role("alert")
        await expect(told).to_contain_text("The offsets cannot be read.")
        await expect(told).to_contain_text("Nothing was seen so far.")
        await expect(visit.page.locator("[data-key=stage-gate] .tile").first).to_contain_text(
            "unknown"
        )
        assert (await visit.page.evaluate(CONTRAST))["poor"] == []
        await visit.page.goto("about:blank")  # its stream ends before the server does
