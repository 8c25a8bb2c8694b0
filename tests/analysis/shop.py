"""A small shop whose events every test of notebooks reads: as a file, as columns, by unit."""

from __future__ import annotations

import json
from pathlib import Path

from anabranch.events.cloudevents import format_time
from anabranch.specs import Catalog, ExperimentSpec, TelemetrySpec

BEGIN = 1_767_225_600_000
MINUTE = 60_000
UNITS = 120
META = {
    "version": 1,
    "title": "t",
    "description": "d",
    "domain": "shop",
    "owners": ["@a"],
    "tags": [],
    "stability": "experimental",
}


def catalog() -> Catalog:
    order = {"name": "shop.order", "version": 1}
    experiment = ExperimentSpec.model_validate(
        {
            "meta": META | {"key": "shop.button"},
            "controlVariant": "blue",
            "variants": [{"id": "blue"}, {"id": "green"}],
            "allocation": {"type": "random"},
            "successMetrics": [
                {"name": "orders", "telemetryEvent": order, "aggregation": "unique"},
                {
                    "name": "revenue",
                    "telemetryEvent": order,
                    "aggregation": "sum",
                    "property": "amount",
                },
            ],
        }
    )
    telemetry = TelemetrySpec.model_validate(
        {
            "meta": META | {"key": "shop.telemetry"},
            "events": [
                {
                    "name": "shop.order",
                    "version": 1,
                    "semantics": {"who": "a", "what": "b", "why": "c"},
                    "privacy": "internal",
                    "properties": {"amount": {"type": "number", "required": True}},
                }
            ],
        }
    )
    return Catalog.of([experiment, telemetry])


def variant(n: int) -> str:
    return "green" if n % 2 else "blue"


def amount(n: int) -> float | None:
    """What a unit spends a minute after it came: every third of blue, every other of green."""
    if n % 2:
        return 12.5 + n if n % 4 == 1 else None
    return 10.25 + n if n % 3 == 0 else None


def rows() -> list[dict]:
    """Event by event, as a data frame would have them."""
    made = []
    for n in range(UNITS):
        at = BEGIN + n * MINUTE
        made.append(
            {
                "time": at,
                "unit": f"user:{n}",
                "experiment": "shop.button",
                "variant": variant(n),
                "name": None,
                "amount": None,
            }
        )
        spent = amount(n)
        if spent is not None:
            made.append(
                {
                    "time": at + MINUTE,
                    "unit": f"user:{n}",
                    "experiment": None,
                    "variant": None,
                    "name": "shop.order",
                    "amount": spent,
                }
            )
    return made


def columns(of: list[dict]) -> dict[str, list]:
    return {name: [row[name] for row in of] for name in of[0]}


def by_unit() -> dict[str, list]:
    return {
        "arm": [variant(n) for n in range(UNITS)],
        "spent": [amount(n) for n in range(UNITS)],
    }


def file(path: Path) -> Path:
    lines = []
    for n, row in enumerate(rows()):
        if row["variant"] is not None:
            kind = "exposure"
            data = {
                "experiment": "shop.button",
                "version": 1,
                "variant": row["variant"],
                "unit": row["unit"],
            }
        else:
            kind = "telemetry"
            data = {
                "name": "shop.order",
                "version": 1,
                "userId": row["unit"].removeprefix("user:"),
                "properties": {"amount": row["amount"]},
            }
        lines.append(
            json.dumps(
                {
                    "specversion": "1.0",
                    "id": str(n),
                    "source": "test",
                    "type": f"anabranch.{kind}.v1",
                    "time": format_time(row["time"]),
                    "data": data,
                }
            )
        )
    path.write_text("\n".join(lines))
    return path
