"""What the evaluation API tells Prometheus."""

from __future__ import annotations

from itertools import count

import httpx

from anabranch.runtime import LiveCatalog
from anabranch.specs import Catalog
from anabranch.web.ofrep.ops import operations
from tests.web.ofrep.test_api import CONTEXT, FLAGS, KEY, api, client, post, specs
from tests.web.test_metrics import parse


async def told(app) -> dict[tuple[str, ...], float]:
    async with client(app) as http:
        answer: httpx.Response = await http.get("/metrics")
    return parse(answer.text)


async def test_requests_are_counted_by_how_long_they_took():
    live = LiveCatalog(Catalog.of(specs()))
    seconds = count(step=0.004)
    app = api(live=live, monotonic=lambda: next(seconds))
    app.ops.update(operations(app, live, None))
    for _ in range(3):
        await post(app, f"{FLAGS}/{KEY}", json=CONTEXT)
    await post(app, FLAGS, content=b"{")

    found = await told(app)
    name = "anabranch_served_request_seconds"
    assert found[f"{name}_count", "endpoint=flag"] == 3
    assert found[f"{name}_bucket", "endpoint=flag", "le=0.0025"] == 0
    assert found[f"{name}_bucket", "endpoint=flag", "le=0.005"] == 3
    assert round(found[f"{name}_sum", "endpoint=flag"], 3) == 0.012
    assert found[f"{name}_count", "endpoint=flags"] == 1
    assert found["anabranch_served_requests_total", "endpoint=flags", "status=400"] == 1
    assert found["anabranch_served_flags_total", "reason=SPLIT"] == 3


async def test_what_it_answers_by_is_told():
    live = LiveCatalog(Catalog.of(specs()))
    app = api(live=live)
    app.ops.update(operations(app, live, None))
    found = await told(app)
    assert found["anabranch_experiments", "status=running"] == 2
    assert found["anabranch_experiments", "status=paused"] == 1
    assert found["anabranch_refused_specs",] == 0
    assert [key for key in found if key[0] == "anabranch_build_info"]
