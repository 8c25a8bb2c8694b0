"""Expressions against JavaScript itself: ``python -m tests.fuzz --pairs 100000 --seed 1``.

Generates expressions and contexts, evaluates each here and in Node, and tells where the two differ.
``--freeze`` keeps some pairs with Node's answers for the tests, which need no Node.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

from tests.assignment import node_oracle

FROZEN = Path(__file__).with_name("expressions.json.gz")
BATCH = 5000
REFUSED = ["throws", "SyntaxError"]


def generate(random: Random) -> tuple[str, Any]:
    """Mostly expressions that mean something; some are tokens thrown together."""
    if random.random() < 0.1:
        return node_oracle.soup(random), node_oracle.context(random)
    return node_oracle.expression(random, random.randint(1, 4)), node_oracle.context(random)


def differs(source: str, theirs: Any, ours: Any) -> bool:
    """What is refused here may well be JavaScript: the subset is smaller on purpose."""
    return ours not in (theirs, REFUSED)


def say(text: str) -> None:
    sys.stdout.write(text + "\n")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--pairs", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--freeze", type=int, default=0, help="how many pairs to keep")
    told = parser.parse_args()
    if node_oracle.NODE is None:
        say("node is not installed: there is nothing to compare with")
        return 2
    random = Random(told.seed)
    kinds: Counter[str] = Counter()
    refused = different = 0
    kept: list[Any] = []
    sources: set[str] = set()
    for start in range(0, told.pairs, BATCH):
        pairs = [generate(random) for _ in range(min(BATCH, told.pairs - start))]
        for (source, context), theirs in zip(pairs, node_oracle.javascript(pairs), strict=True):
            ours = node_oracle.ours(source, context)
            sources.add(source)
            kinds[theirs[1] if theirs[0] == "throws" else theirs[0]] += 1
            refused += ours == REFUSED != theirs
            if differs(source, theirs, ours):
                different += 1
                if different <= 5:
                    say(json.dumps({"source": source, "context": context, "javascript": theirs,
                                      "ours": ours}))  # fmt: skip
            if len(kept) < told.freeze and ours != REFUSED:
                kept.append([source, context, theirs])
    version = subprocess.run(
        [node_oracle.NODE, "--version"], capture_output=True, text=True, check=True
    ).stdout.strip()
    if kept:
        text = json.dumps({"node": version, "pairs": kept}, separators=(",", ":"))
        FROZEN.write_bytes(gzip.compress(text.encode(), mtime=0))
    outcomes = ", ".join(f"{kind} {n:,}" for kind, n in kinds.most_common())
    say(f"{told.pairs:,} pairs, {len(sources):,} expressions, Node {version}: {outcomes}")
    say(f"{refused:,} refused here that are JavaScript, {different:,} that differ")
    return int(different > 0)


if __name__ == "__main__":
    sys.exit(main())
