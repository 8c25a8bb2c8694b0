"""The same expressions, the same contexts, in Node and here."""

from random import Random

import pytest

from tests.assignment import node_oracle

pytestmark = pytest.mark.skipif(node_oracle.NODE is None, reason="node is not installed")


def test_generated_expressions_mean_the_same() -> None:
    random = Random(20_240)
    pairs = [(node_oracle.expression(random, 3), node_oracle.context(random)) for _ in range(2500)]
    judged = node_oracle.javascript(pairs)
    differing = [
        (source, context, {"javascript": want, "ours": got})
        for (source, context), want in zip(pairs, judged, strict=True)
        if (got := node_oracle.ours(source, context)) != want
    ]
    assert differing == []
    assert sum(want[0] != "throws" for want in judged) > 1000


def test_what_we_accept_is_javascript() -> None:
    """Ours is a subset: whatever parses here parses there, and means the same."""
    random = Random(7)
    pairs = [(node_oracle.soup(random), {"a": "x"}) for _ in range(4000)]
    accepted = [pair for pair in pairs if node_oracle.ours(*pair) != ["throws", "SyntaxError"]]
    assert len(accepted) > 50
    assert [node_oracle.ours(*pair) for pair in accepted] == node_oracle.javascript(accepted)
