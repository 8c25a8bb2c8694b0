"""Expressions mean what Node said that they mean, on any machine."""

from __future__ import annotations

import gzip
import json

from tests.assignment import node_oracle
from tests.fuzz.__main__ import FROZEN


def test_every_frozen_expression_means_what_javascript_says() -> None:
    frozen = json.loads(gzip.decompress(FROZEN.read_bytes()))
    pairs = frozen["pairs"]
    assert len(pairs) == 3000
    assert sum(theirs[0] != "throws" for *_, theirs in pairs) > 1500
    differing = [
        (source, context, theirs)
        for source, context, theirs in pairs
        if node_oracle.ours(source, context) != theirs
    ]
    assert differing == []
