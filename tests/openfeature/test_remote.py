"""OpenFeature's own remote provider against ``anabranch serve``: the same answers as in-process."""

from __future__ import annotations

import asyncio

import pytest
import yaml

pytest.importorskip(
    "openfeature.contrib.provider.ofrep",
    reason="openfeature-provider-ofrep is not installed: pip install '.[openfeature]'",
)

from openfeature import api
from openfeature.contrib.provider.ofrep import OFREPProvider
from openfeature.evaluation_context import EvaluationContext
from openfeature.exception import ErrorCode

from anabranch.openfeature import AnabranchProvider
from anabranch.specs import Catalog
from tests.cli.test_serve import TOKEN, served
from tests.openfeature.test_provider import FLAGS

NOBODY = EvaluationContext()


async def test_remote_answers_are_those_of_the_process(tmp_path):
    path = tmp_path / "specs.yaml"
    path.write_text(yaml.safe_dump_all([spec.document for spec in FLAGS]))
    async with served(tmp_path, "--specs", str(path)) as client:
        remote = OFREPProvider(
            str(client.base_url), headers_factory=lambda: {"Authorization": f"Bearer {TOKEN}"}
        )
        await asyncio.to_thread(compare, remote)


def compare(remote: OFREPProvider) -> None:
    api.set_provider(remote, "remote")
    api.set_provider(AnabranchProvider(Catalog.of(FLAGS)), "local")
    try:
        for kind, default in (
            ("boolean", False),
            ("string", "bye"),
            ("integer", 1),
            ("float", 0.1),
            ("object", {}),
        ):
            key = f"{kind}-flag"
            there, here = (
                getattr(api.get_client(name), f"get_{kind}_details")(
                    key, default, EvaluationContext("u1")
                )
                for name in ("remote", "local")
            )
            assert there == here
            assert there.error_code is None
        for key, context, code in (
            ("missing-flag", EvaluationContext("u1"), ErrorCode.FLAG_NOT_FOUND),
            ("string-flag", NOBODY, ErrorCode.TARGETING_KEY_MISSING),
            ("wrong-flag", EvaluationContext("u1"), ErrorCode.TYPE_MISMATCH),
        ):
            for name in ("remote", "local"):
                details = api.get_client(name).get_integer_details(key, 13, context)
                assert (details.value, details.error_code) == (13, code)
    finally:
        api.clear_providers()
        remote.session.close()
