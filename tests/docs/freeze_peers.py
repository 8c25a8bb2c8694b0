"""Asks other systems' own SDKs what units get, for the pages on how to move away from them.

The SDKs go into an environment of their own; neither asks a network for anything here::

    python3.11 -m venv peers && peers/bin/pip install growthbook==4.0.0 \
        launchdarkly-server-sdk==9.18.2
    peers/bin/python tests/docs/freeze_peers.py > tests/docs/peers.json

Each answer is a character a unit, ``u0`` to ``u999``: the variation's index, ``-`` for not in it.
"""

import json
import logging
import re
import sys
from importlib.metadata import version
from pathlib import Path

from freeze_shape import people
from growthbook import GrowthBook

GUIDES = Path(__file__).parents[2] / "docs" / "guides"


def page(name):
    text = (GUIDES / f"migrate-from-{name}.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```json\n(.*?)^```$", text, flags=re.DOTALL | re.MULTILINE)
    return [json.loads(block) for block in blocks]


def growthbook(features):
    (name,) = features
    found = []
    for unit, country in people():
        book = GrowthBook(attributes={"id": unit, "country": country}, features=features)
        result = book.eval_feature(name).experimentResult
        inside = result is not None and result.inExperiment
        found.append(str(result.variationId) if inside else "-")
    return {"asked": features, "given": "".join(found)}


def namespace():
    rule = {
        "key": "pricing-page",
        "variations": ["old", "new"],
        "namespace": ["pricing", 0.2, 0.6],
    }
    return growthbook({"pricing": {"defaultValue": "old", "rules": [rule]}})


def main():
    logging.disable(logging.CRITICAL)
    sys.stdout.write(
        json.dumps(
            {
                "versions": {name: version(name) for name in ["growthbook"]},
                "growthbook": [growthbook(block) for block in page("growthbook")] + [namespace()],
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
