"""Asks other systems' own SDKs what units get, for the pages on how to move away from them.

The SDKs go into an environment of their own; neither asks a network for anything here::

    python3.11 -m venv peers && peers/bin/pip install growthbook==4.0.0 \
        launchdarkly-server-sdk==9.18.2
    peers/bin/python tests/docs/freeze_peers.py > tests/docs/peers.json

Each answer is a character a unit, in the order of freeze_shape.py: the variation's index, ``-`` for
not in the experiment.
"""

import json
import logging
import re
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import ldclient
from freeze_shape import context_keys, people
from growthbook import GrowthBook
from ldclient import Context
from ldclient.config import Config
from ldclient.integrations import Files

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


def launchdarkly(flag):
    rollout = flag["fallthrough"]["rollout"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "flags.json")
        file.write_text(json.dumps({"flags": {flag["key"]: flag}}), encoding="utf-8")
        source = Files.new_data_source(paths=[str(file)])
        client = ldclient.LDClient(
            Config("none", update_processor_class=source, send_events=False), start_wait=5
        )
        found = ""
        tracked = ""
        for key in context_keys():
            context = Context.builder(key).kind(rollout["contextKind"]).build()
            detail = client.variation_detail(flag["key"], context, None)
            found += str(detail.variation_index)
            tracked += "t" if detail.reason.get("inExperiment") else "-"
        client.close()
    return {"asked": flag, "given": found, "in_experiment": tracked}


def main():
    logging.disable(logging.CRITICAL)
    sys.stdout.write(
        json.dumps(
            {
                "versions": {
                    name: version(name) for name in ["growthbook", "launchdarkly-server-sdk"]
                },
                "growthbook": [growthbook(block) for block in page("growthbook")] + [namespace()],
                "launchdarkly": [launchdarkly(block) for block in page("launchdarkly")],
            },
            indent=1,
        )
        + "\n"
    )


if __name__ == "__main__":
    main()
