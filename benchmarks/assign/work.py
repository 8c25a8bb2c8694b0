"""The work that the contestants share: the experiment, and the contexts."""

from __future__ import annotations

import json
from collections.abc import Iterator

from anabranch import ExperimentSpec
from anabranch.runtime import Message

EXPERIMENT = ExperimentSpec.model_validate(
    {
        "meta": {
            "key": "checkout.button",
            "version": 1,
            "title": "Checkout button",
            "description": "Does a green button sell more?",
            "domain": "checkout",
            "owners": ["@checkout"],
            "tags": ["benchmark"],
            "stability": "experimental",
        },
        "controlVariant": "control",
        "variants": [{"id": "control", "name": "Grey"}, {"id": "green", "name": "Green"}],
        "allocation": {"type": "random"},
    }
)


def contexts(count: int) -> Iterator[Message]:
    """Contexts of ``count`` units, without exposure: one output each."""
    for i in range(count):
        value = {"userId": f"user-{i}", "attributes": {"segment": "vip"}, "exposure": False}
        yield Message("contexts", None, json.dumps(value).encode())
