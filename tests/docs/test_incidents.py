"""The guides for bad days and upgrades, followed to the letter on a running pipeline."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.docs.walk import Shell, follow

GUIDES = Path(__file__).parents[2] / "docs" / "guides"
SPECS = {
    "telemetry.yaml": """\
        kind: Telemetry
        meta: {key: shop.telemetry, version: 1.0.0, title: Events of the shop}
        events:
          - key: shop.order_placed
            version: 1.0.0
            semantics: {what: an order is placed}
            properties:
              amount: {type: number, required: true}
    """,
    "order_button.yaml": """\
        kind: Experiment
        meta: {key: shop.order_button, version: 1.0.0, title: Order button}
        controlVariant: control
        variants: [{id: control, name: Grey}, {id: green, name: Green}]
        allocation: {type: random}
        successMetrics:
          - {name: Orders, telemetryEvent: {key: shop.order_placed, version: 1.0.0}, aggregation: unique}
    """,
}
SEND = """
import asyncio, json, os, sys
from aiokafka import AIOKafkaProducer
async def main():
    async with AIOKafkaProducer(bootstrap_servers=os.environ["ANABRANCH_BOOTSTRAP"]) as producer:
        for line in sys.stdin:
            kind = json.loads(line)["type"].split(".")[1]
            topic = {"context": "contexts", "telemetry": "telemetry"}[kind]
            key = json.loads(line)["data"]["userId"].encode()
            await producer.send(
                f"{os.environ['ANABRANCH_PREFIX']}.{topic}.v1", line.encode(), key,
                headers=[("content-type", b"application/cloudevents+json")],
            )
asyncio.run(main())
"""


def events() -> Iterator[str]:
    """200 shoppers; 25 order, and 25 order a gift, which no spec declares yet."""
    begin = datetime.now(UTC) - timedelta(hours=1)

    def event(kind: str, number: int, at: datetime, data: dict) -> str:
        envelope = {"specversion": "1.0", "id": f"{kind}-{number}", "source": "shop"}
        told = {"type": f"anabranch.{kind}.v1", "time": at.isoformat(), "data": data}
        return json.dumps(envelope | told)

    for n in range(200):
        user, at = f"shopper-{n}", begin + timedelta(seconds=n)
        yield event("context", n, at, {"experiment": "shop.order_button", "userId": user})
        if n % 4 == 0:
            name = "shop.order_placed" if n % 8 else "shop.gift_placed"
            order = {"name": name, "version": 1, "userId": user, "properties": {"amount": 10}}
            yield event("telemetry", n, at + timedelta(seconds=60), order)


@pytest.fixture
def running(kafka, topic_prefix, tmp_path) -> Iterator[Shell]:
    """A shell whose first job is a worker, which has taken in the shop's events."""
    (tmp_path / "specs").mkdir()
    for name, text in SPECS.items():
        (tmp_path / "specs" / name).write_text(textwrap.dedent(text), encoding="utf-8")
    (tmp_path / "send.py").write_text(SEND, encoding="utf-8")
    (tmp_path / "events.jsonl").write_text("\n".join(events()) + "\n", encoding="utf-8")
    where = {"ANABRANCH_BOOTSTRAP": kafka, "ANABRANCH_PREFIX": topic_prefix, "COLUMNS": "120"}
    with Shell(tmp_path, where) as shell:
        for command in (
            "anabranch topics create",
            "anabranch publish specs --why 'is green better?' --yes",
            "anabranch worker > worker.log 2>&1 &",
            "timeout 120 sh -c 'until grep ready: worker.log; do sleep 1; done'",
            "python send.py < events.jsonl",
            "timeout 120 sh -c \"until anabranch dlq list | grep ' 25'; do sleep 1; done\"",
        ):
            code, printed = shell.run(command)
            assert code == 0, f"$ {command}\n{printed}"
        yield shell


def test_recover(running):
    follow((GUIDES / "recover.md").read_text(encoding="utf-8"), running)


def test_upgrade(running):
    page = (GUIDES / "upgrade.md").read_text(encoding="utf-8")
    follow(
        textwrap.dedent("\n".join(line.removeprefix("   ") for line in page.splitlines())), running
    )
