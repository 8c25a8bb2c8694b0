"""GrowthBook's Python SDK over the same users: ``eval_feature``, in an environment of its own.

Run with ``--users``, ``--calls`` and ``--feature``: prints one line of JSON with ``wall`` and
``cpu``, seconds of all calls after a warm-up. Attributes are set before each call, as its users do
where one process serves many people; the instance is made once.
"""

from __future__ import annotations

import argparse
import gc
import json
import logging
import time

from growthbook import GrowthBook

SPLIT = {
    "key": "bench",
    "variations": ["control", "green"],
    "hashAttribute": "id",
    "hashVersion": 2,
}
FEATURES = {
    "random": {"defaultValue": "control", "rules": [SPLIT]},
    "targeted": {
        "defaultValue": "control",
        "rules": [
            {
                "condition": {"segment": "vip"},
                "force": "green",
                "coverage": 0.5,
                "hashAttribute": "id",
                "hashVersion": 2,
            },
            SPLIT,
        ],
    },
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--users", type=int, required=True)
    parser.add_argument("--calls", type=int, required=True)
    parser.add_argument("--feature", choices=FEATURES, required=True)
    given = parser.parse_args()
    logging.disable(logging.CRITICAL)
    users = [
        {"id": f"user-{i}", "organization": f"org-{i % 97}", "segment": "vip" if i % 2 else "new"}
        for i in range(given.users)
    ]
    book = GrowthBook(features=FEATURES)
    gc.collect()
    gc.freeze()
    _calls(book, given.feature, users, given.users)
    wall, cpu = time.perf_counter(), time.process_time()
    seen = _calls(book, given.feature, users, given.calls)
    figures = {"wall": time.perf_counter() - wall, "cpu": time.process_time() - cpu}
    if seen != {"control", "green"}:
        raise SystemExit(f"it gave {sorted(seen)}, not both variations")
    print(json.dumps(figures))


def _calls(book: GrowthBook, feature: str, users: list[dict[str, str]], calls: int) -> set[str]:
    seen = set()
    done = 0
    while done < calls:
        for user in users[: calls - done]:
            book.set_attributes(user)
            seen.add(book.eval_feature(feature).value)
        done += len(users)
    return seen


if __name__ == "__main__":
    main()
