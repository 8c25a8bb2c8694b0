"""Print what sequential intervals say of each variant, as the results topic has it now.

    pip install aiokafka
    python results.py localhost:9092

Nothing of anabranch is needed to read its topics: this is aiokafka and JSON. The topic is
compacted, so from its beginning it has the latest results of every run. ``docs/asyncapi.json`` says
what is in a record.
"""

from __future__ import annotations

import argparse
import asyncio
import json
from typing import Any

from aiokafka import AIOKafkaConsumer


async def latest(bootstrap: str, topic: str) -> dict[str, Any]:
    """``experiment|version`` to its latest results."""
    consumer = AIOKafkaConsumer(
        topic,
        bootstrap_servers=bootstrap,
        isolation_level="read_committed",  # else results of aborted transactions are seen, too
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    try:
        partitions = consumer.assignment()  # all of them: it is in no group
        ends = await consumer.end_offsets(partitions)
        found: dict[str, Any] = {}
        while any([await consumer.position(tp) < ends[tp] for tp in partitions]):
            for records in (await consumer.getmany(timeout_ms=500)).values():
                for record in records:
                    key = record.key.decode()
                    if record.value is None:  # the run was deleted
                        found.pop(key, None)
                    else:
                        found[key] = json.loads(record.value)
        return found
    finally:
        await consumer.stop()


def describe(results: dict[str, Any]) -> list[str]:
    """A line for each variant and metric that can be compared."""
    lines = []
    for metric in results["metrics"]:
        for one in metric["comparisons"]:
            interval = one["sequential"]
            if interval is None:
                continue
            low, high = interval["low"], interval["high"]
            clear = "differs" if low > 0 or high < 0 else "no difference yet"
            lines.append(
                f"{results['experiment']} {metric['name']}: {one['variant']} {clear}, "
                f"{one['difference']:+.4g} [{low:.4g}, {high:.4g}]"
            )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bootstrap", help="host:port of a broker")
    parser.add_argument("--topic", default="anabranch.results.v1")
    given = parser.parse_args()
    for results in asyncio.run(latest(given.bootstrap, given.topic)).values():
        print("\n".join(describe(results)) or f"{results['experiment']}: too little data yet")


if __name__ == "__main__":
    main()
