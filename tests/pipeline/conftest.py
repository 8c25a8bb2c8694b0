from __future__ import annotations

import pytest

from anabranch.demo import demo_catalog
from tests.support.pipelines import running


@pytest.fixture(params=["embedded", "kafka"])
async def onboarding(request):
    """The pipeline over the document's onboarding experiment."""
    async with running(request, demo_catalog(), partitions=2) as pipeline:
        yield pipeline
